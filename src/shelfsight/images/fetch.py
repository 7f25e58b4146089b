"""Fetches the pictures of a page of products concurrently, in one blocking call."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import TypeVar
from weakref import WeakValueDictionary

from anyio.from_thread import start_blocking_portal
from cachetools import LRUCache

from shelfsight.backfill.failure_kinds import kind_of
from shelfsight.backfill.picture_address import shown
from shelfsight.backfill.refetch import Outcome, fetched_product, stays
from shelfsight.images.addresses import host_of
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.download import LIMITS, Downloader, FetchLimits
from shelfsight.images.location import is_local, location, read_local
from shelfsight.images.picture_maker import PictureMaker
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.images.validators import Download
from shelfsight.records import (
    Failure,
    FetchedProduct,
    KnownPicture,
    Need,
    Picture,
    PictureFile,
    PictureFormat,
    Product,
)

Result = TypeVar("Result")

CACHED_ADDRESSES = 8192
"""Number of addresses whose result (a failure or file, without pixels) is cached: about 8 MB."""

_Request = tuple[str, PictureFile | None]
"""An address, and its known file if the stored image vector is checked.
Pixels are needed only if the address has another file by now."""

_Content = Picture | KnownPicture | PictureFile
"""The content at an address; a `PictureFile` means that it is still the known file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchConfig:
    """Options of a `PictureFetcher`.

    Attributes:
        images_per_product: how many pictures of each product are used, from the first one on.
        image_root: the folder of pictures that are given as paths; without it no file is read.
        image_base_url: is put in front of paths, which are then not read from `image_root`.
        private_hosts: hosts that may have private addresses, as `host` or `host:port` in lower
            case.
        fingerprints: the settings that can make pictures fail, each as `name=hash`, by name. A
            failure names those that caused it.
        notify: called with a line when a host is paused, or when a truncated picture was read, from
            another thread.
        fetched: called when a picture was fetched or could not be, from another thread.
        known_picture: returns a picture whose file was embedded before; None for other files.
            Several threads call it.
    """

    images_per_product: int = 1
    image_root: Path | None = None
    image_base_url: str | None = None
    private_hosts: frozenset[str] = frozenset()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    notify: Callable[[str], None] = lambda _: None
    fetched: Callable[[], None] = lambda: None
    known_picture: Callable[[PictureFile], KnownPicture | None] = lambda _: None


class PictureFetcher:
    """Implements `ImageFetcher` for web addresses and a folder, with its own threads.

    One thread runs an event loop, others read and hash files, which `decoders` decode. An address
    is not fetched again while its result is cached. Cached results are failures, pictures that
    still wait to be embedded, and files whose vector or failure is known.
    """

    def __init__(
        self,
        picture_format: PictureFormat,
        decoders: DecoderPool,
        config: FetchConfig,
        limits: FetchLimits = LIMITS,
    ) -> None:
        self._config = config
        self._recent: LRUCache[str, PictureFile | Failure] = LRUCache(CACHED_ADDRESSES)
        self._waiting: WeakValueDictionary[str, Picture] = WeakValueDictionary()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._pages: set[Future[list[FetchedProduct]]] = set()
        self._is_closing = False
        self._start_lock = Lock()
        cores = os.cpu_count() or 1
        self._pictures = PictureMaker(picture_format, decoders, config.notify)
        self._readers = ThreadPoolExecutor(cores, thread_name_prefix="read")
        self._decoding = asyncio.Semaphore(2 * cores)
        self._open = ExitStack()
        self._open.callback(self._readers.shutdown, wait=False, cancel_futures=True)
        self._portal = self._open.enter_context(start_blocking_portal(name="pictures"))
        downloader = Downloader(config.private_hosts, limits, config.notify)
        self._downloader = self._open.enter_context(
            self._portal.wrap_async_context_manager(downloader)
        )
        self._open.callback(self._cancel)

    def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        """Return the products in order, each with its first pictures as uint8 (side, side, 3).

        A product whose stored image vector is kept, possibly after a check, has no pictures. The
        call blocks until all pictures are there. It raises `concurrent.futures.CancelledError` if
        the fetcher was closed, or is closed by another thread meanwhile.
        """
        with self._pictures.memory_for(sum(len(self._requests(product)) for product in page)):
            # `close` must cancel every page that has started. A page that it does not know would
            # end with failures, because its connections are closed.
            with self._start_lock:
                if self._is_closing:
                    raise CancelledError
                future = self._portal.start_task_soon(self._fetch, page)
                self._pages.add(future)
            try:
                return future.result()
            finally:
                self._pages.discard(future)

    def close(self) -> None:
        """Cancel the pages in progress and end the threads; a second call does nothing."""
        self._open.close()

    def _cancel(self) -> None:
        with self._start_lock:
            self._is_closing = True
        self._pictures.close()
        for page in tuple(self._pages):
            page.cancel()

    async def _fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        requests = [self._requests(product) for product in page]
        outcomes_by_request = await self._fetch_all(chain.from_iterable(requests))
        again = [
            [
                (url, None)
                for url, file in own
                if isinstance(outcomes_by_request[url, file], PictureFile)
            ]
            for product, own in zip(page, requests, strict=True)
            if not stays(product, [outcomes_by_request[request] for request in own])
        ]
        outcomes_by_request |= await self._fetch_all(chain.from_iterable(again))
        return [
            fetched_product(product, _final_outcomes(product, own, outcomes_by_request))
            for product, own in zip(page, requests, strict=True)
        ]

    def _requests(self, product: Product) -> list[_Request]:
        is_kept = product.image_need is Need.KEEP
        urls = () if is_kept else product.image_urls[: self._config.images_per_product]
        known = {file.url: file for file in product.files}
        return [(url, known.get(url)) for url in urls]

    async def _fetch_all(self, requests: Iterable[_Request]) -> dict[_Request, Outcome]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    request: group.create_task(self._fetch_once(*request))
                    for request in dict.fromkeys(requests)
                }
        except ExceptionGroup as bugs:
            raise bugs.exceptions[0] from None
        return {request: task.result() for request, task in tasks.items()}

    async def _fetch_once(self, url: str, known: PictureFile | None) -> Outcome:
        """Fetch an address, or wait for another page that is fetching it (single-flight)."""
        async with self._locks.setdefault(url, asyncio.Lock()):
            return self._cached_outcome(url, known) or await self._fetch_new(url, known)

    def _cached_outcome(self, url: str, known: PictureFile | None) -> Outcome | None:
        """Return the cached result of an address; None if it must be fetched."""
        recent = self._recent.get(url)
        if recent is None or isinstance(recent, Failure) or _is_file(known, recent.content_hash):
            return recent
        waiting = self._waiting.get(url)
        if waiting is not None and waiting.file.content_hash == recent.content_hash:
            return waiting
        return self._config.known_picture(recent)

    async def _fetch_new(self, url: str, known: PictureFile | None) -> Outcome:
        try:
            outcome = await self._read(url, known)
        except UnusablePictureError as error:
            self._config.fetched()
            whole = location(url, self._config.image_base_url)
            failure = replace(
                error.failure,
                message=f"{shown(whole)}: {error.failure.message}",
                host=host_of(whole),
                settings=self._causes(error.failure.kind, has_base=whole != url),
            )
            if failure.kind != "host_paused":  # a paused host was not asked: no result
                self._recent[url] = failure
            return failure
        self._config.fetched()
        self._recent[url] = outcome if isinstance(outcome, PictureFile) else outcome.file
        if isinstance(outcome, Picture):
            self._waiting[url] = outcome
        return outcome

    def _causes(self, kind: str, *, has_base: bool) -> str:
        """Return the fingerprints of the settings that may have caused this kind of failure.

        With `has_base`, `image_base_url` may have caused any.
        """
        fingerprints = self._config.fingerprints
        named = dict.fromkeys((*kind_of(kind).settings, *(["image_base_url"] if has_base else [])))
        names = (name for name in named if name in fingerprints)
        return " ".join(fingerprints[name] for name in names)

    async def _read(self, url: str, known: PictureFile | None) -> _Content:
        whole = location(url, self._config.image_base_url)
        if is_local(whole):
            async with self._decoding:
                data = await self._in_thread(read_local, self._config.image_root, whole)
                return await self._decode(url, Download(data=data), known)
        source = None if whole == url else whole
        async with self._downloader.download_if_changed(whole, known, source=source) as download:
            if download.data is None and known is not None:
                return known
            await self._decoding.acquire()
        try:
            return await self._decode(url, download, known)
        finally:
            self._decoding.release()

    async def _decode(self, url: str, download: Download, known: PictureFile | None) -> _Content:
        content = await self._in_thread(self._known_content, url, download, known)
        if not isinstance(content, _NewFile):
            return content
        address = shown(location(url, self._config.image_base_url))
        return await self._pictures.make(content.file, content.data, address)

    async def _in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)

    def _known_content(
        self, url: str, download: Download, known: PictureFile | None
    ) -> "_Content | _NewFile":
        """Hash a file; return it as it is to be decoded, or the result that it has already."""
        data = download.data or b""
        file = PictureFile(
            url=url,
            content_hash=sha256(data).hexdigest(),
            etag=download.etag,
            last_modified=download.last_modified,
            source=download.source,
        )
        if _is_file(known, file.content_hash):
            return file
        return self._config.known_picture(file) or _NewFile(file, data)


@dataclass(frozen=True, slots=True)
class _NewFile:
    """A file that has to be decoded."""

    file: PictureFile
    data: bytes


def _final_outcomes(
    product: Product, own: Sequence[_Request], outcomes_by_request: Mapping[_Request, Outcome]
) -> list[Outcome]:
    """Return the results of a product's addresses.

    If its image vector is made again, each unchanged file is replaced by its picture.
    """
    outcomes = [outcomes_by_request[request] for request in own]
    if stays(product, outcomes):
        return outcomes
    return [
        outcomes_by_request[url, None] if isinstance(one, PictureFile) else one
        for (url, _), one in zip(own, outcomes, strict=True)
    ]


def _is_file(known: PictureFile | None, content_hash: str) -> bool:
    return known is not None and known.content_hash == content_hash
