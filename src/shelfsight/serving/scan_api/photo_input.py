"""From a photo as it is sent, by address, in base64 or as a file, to what the model takes."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial

import pybase64

from shelfsight.images.decode import MAX_BYTES
from shelfsight.images.download import Downloader
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Stage
from shelfsight.scan.matching import Photo
from shelfsight.serving.refusals import RequestRefusedError
from shelfsight.serving.scan_api.metrics import ScanMetrics
from shelfsight.serving.scan_api.requests import MAX_PHOTOS, ImageBody, ScanBody
from shelfsight.serving.scan_api.responses import SourceType
from shelfsight.serving.scan_api.thread_pool import ThreadPool

ReadPhoto = Callable[[bytes], Photo]
"""Reads a picture's file into views of it; raises `UnusablePictureError`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a photo comes from: an address, base64 (also a data URI), or a file's bytes."""

    kind: SourceType
    content: str | bytes


def sources(body: ScanBody, files: tuple[bytes, ...]) -> tuple[Source, ...]:
    """The photos of a request, in order.

    Raises:
        RequestRefusedError: they are given in two ways, or are too many.
    """
    given = [
        [Source("url", body.image_url)] if body.image_url is not None else [],
        [Source("base64", body.image_base64)] if body.image_base64 is not None else [],
        [_of_image(image) for image in body.images or ()],
        [Source("file", file) for file in files],
    ]
    ways = [photos for photos in given if photos]
    if len(ways) > 1:
        raise RequestRefusedError(
            "bad_request", "give one of imageUrl, imageBase64, images, or files"
        )
    photos = tuple(ways[0]) if ways else ()
    if len(photos) > MAX_PHOTOS:
        raise RequestRefusedError("too_many_photos", f"at most {MAX_PHOTOS} photos at a time")
    return photos


def _of_image(image: ImageBody) -> Source:
    if image.url is not None:
        return Source("url", image.url)
    return Source("base64", image.base64 or "")


class PhotoReader:
    """Reads photos, while its `downloader` is open."""

    def __init__(
        self,
        downloader: Downloader,
        read_photo: ReadPhoto,
        workers: ThreadPool,
        metrics: ScanMetrics,
    ) -> None:
        self._downloader = downloader
        self._read_photo = read_photo
        self._workers = workers
        self._metrics = metrics

    def open(self) -> AbstractAsyncContextManager[object]:
        """Hold connections for as long as the block runs."""
        return self._downloader

    async def read(self, source: Source) -> Photo:
        """Fetch, or take from base64, and decode.

        Raises:
            UnusablePictureError: whatever is wrong with it.
        """
        content = source.content
        if isinstance(content, bytes):
            return await self._decoded(content)
        if source.kind == "base64":
            return await self._workers.run(partial(self._from_base64, content))
        async with AsyncExitStack() as held:
            with self._metrics.step("fetch"):
                data = await held.enter_async_context(self._downloader.download(content))
            return await self._decoded(data)

    async def _decoded(self, data: bytes) -> Photo:
        return await self._workers.run(partial(self._decode, data))

    def _from_base64(self, sent: str) -> Photo:
        return self._decode(from_base64(sent))

    def _decode(self, data: bytes) -> Photo:
        with self._metrics.step("decode"):
            return self._read_photo(data)


def from_base64(sent: str) -> bytes:
    """The bytes of strict base64, or of a data URI with it (RFC 2397).

    Raises:
        UnusablePictureError: `bad_base64` or `too_large`.
    """
    content = sent.partition(",")[2] if sent[:5].lower() == "data:" else sent
    if len(content) > MAX_BYTES * 4 // 3 + 4:
        raise UnusablePictureError(
            "too_large", f"the picture is larger than {MAX_BYTES:,} bytes", stage=Stage.DECODE
        )
    try:
        return pybase64.b64decode(content, validate=True)
    except ValueError:
        raise UnusablePictureError(
            "bad_base64", "this is not base64, without line breaks", stage=Stage.DECODE
        ) from None
