"""Reads and decodes the photos of a scan, which are sent as a URL, in base64 or as a file."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import pybase64

from shelfsight.images.decode import MAX_BYTES
from shelfsight.images.decoder.protocol import PhotoViews
from shelfsight.images.download import Downloader
from shelfsight.images.photo_box import WHOLE, PhotoBox
from shelfsight.images.truncated_jpeg import is_truncated
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import PhotoNote, Stage
from shelfsight.scan.matching import Photo
from shelfsight.serving.caller_slots import CallerSlots
from shelfsight.serving.callers import CALLER
from shelfsight.serving.refusals import RequestRefusedError
from shelfsight.serving.scan_api.metrics import ScanMetrics
from shelfsight.serving.scan_api.requests import MAX_PHOTOS, ImageBody, ScanBody
from shelfsight.serving.thread_pool import ThreadPool

ReadPhoto = Callable[[bytes, str, PhotoBox], Future[PhotoViews]]
"""Decodes the bytes of a picture, sent by a caller, into the views to embed of the part in a box,
and reads the codes there.
The future raises `UnusablePictureError`."""

DOWNLOADS_PER_CALLER = 16
"""Downloads of one caller at the same time; its other downloads wait, but not those of others."""


@dataclass(frozen=True, slots=True)
class PhotoSource:
    """A photo in the form in which it was sent: a URL, base64, a data URI, or a file's bytes.

    Only the part of it in `box` is looked at.
    """

    kind: Literal["url", "base64", "file"]
    content: str | bytes
    box: PhotoBox = WHOLE


@dataclass(frozen=True, slots=True)
class DecodedPhoto:
    """The views of a photo, the codes in it, and what is to be said of its file."""

    photo: Photo
    codes: tuple[str, ...]
    notes: tuple[PhotoNote, ...]


def photo_sources(body: ScanBody, files: tuple[bytes, ...]) -> tuple[PhotoSource, ...]:
    """Return the photos of a request, in order.

    Raises:
        RequestRefusedError: photos are sent in more than one way, or there are too many.
    """
    given = [
        [PhotoSource("url", body.image_url)] if body.image_url is not None else [],
        [PhotoSource("base64", body.image_base64)] if body.image_base64 is not None else [],
        [_image_source(image) for image in body.images or ()],
        [PhotoSource("file", file) for file in files],
    ]
    ways = [photos for photos in given if photos]
    if len(ways) > 1:
        raise RequestRefusedError(
            "bad_request", "give one of imageUrl, imageBase64, images, or files"
        )
    photos = tuple(ways[0]) if ways else ()
    if len(photos) > MAX_PHOTOS:
        raise RequestRefusedError("too_many_photos", f"at most {MAX_PHOTOS} photos at a time")
    if body.box is None:
        return photos
    if len(photos) != 1:
        raise RequestRefusedError("bad_request", "box: give one photo with it")
    return (replace(photos[0], box=PhotoBox(**dict(body.box))),)


def _image_source(image: ImageBody) -> PhotoSource:
    if image.url is not None:
        return PhotoSource("url", image.url)
    return PhotoSource("base64", image.base64 or "")


class PhotoReader:
    """Reads photos; its downloader must be open while it reads."""

    def __init__(
        self,
        downloader: Downloader,
        threads: ThreadPool,
        metrics: ScanMetrics,
    ) -> None:
        self._downloader = downloader
        self._threads = threads
        self._metrics = metrics
        self._slots = CallerSlots(DOWNLOADS_PER_CALLER)

    def open(self) -> AbstractAsyncContextManager[object]:
        """Return a context in which the downloader's connections stay open."""
        return self._downloader

    async def read(
        self, source: PhotoSource, read_photo: ReadPhoto, on_bytes: Callable[[int], None]
    ) -> DecodedPhoto:
        """Download a photo if it is a URL, and decode it with `read_photo`.

        `on_bytes` is called with the size of each part of a download; an error of it is raised.

        Raises:
            UnusablePictureError: the photo cannot be fetched or decoded.
        """
        content = source.content
        if isinstance(content, bytes):
            return await self._decode(content, read_photo, source.box)
        if source.kind == "base64":
            data = await self._threads.run(partial(decode_base64, content))
            return await self._decode(data, read_photo, source.box)
        async with self._slots.of(CALLER.get()), AsyncExitStack() as download:
            with self._metrics.step("fetch"):
                downloading = self._downloader.download(content, on_bytes)
                data = await download.enter_async_context(downloading)
            return await self._decode(data, read_photo, source.box)

    async def _decode(self, data: bytes, read_photo: ReadPhoto, box: PhotoBox) -> DecodedPhoto:
        with self._metrics.step("decode"):
            photo = await asyncio.wrap_future(read_photo(data, CALLER.get(), box))
        notes: tuple[PhotoNote, ...] = ("truncated",) if is_truncated(data) else ()
        return DecodedPhoto(list(photo.views), photo.codes, notes)


def decode_base64(encoded: str) -> bytes:
    """Decode strict base64 without line breaks, or a data URI that contains it (RFC 2397).

    Raises:
        UnusablePictureError: `bad_base64` or `too_large`.
    """
    content = encoded.partition(",")[2] if encoded[:5].lower() == "data:" else encoded
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
