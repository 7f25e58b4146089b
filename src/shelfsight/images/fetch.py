"""From products to their pictures, many at once, behind one ordinary call."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from anyio.from_thread import start_blocking_portal
from cachetools import LRUCache

from shelfsight.backfill.refetch import Outcome, fetched_product, stays
from shelfsight.images.addresses import host_of, shown
from shelfsight.images.decode import pixels
from shelfsight.images.download import LIMITS, Downloader, Limits
from shelfsight.images.local_files import is_path, read_below
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.images.validators import Answer
from shelfsight.records import (
    Failure,
    FetchedProduct,
    KnownPicture,
    Need,
    Picture,
    PictureFile,
    PictureFormat,
    Product,
    Vector,
)

RECENT = 8192
"""Addresses whose outcome is remembered: a failure, or the file and not its pixels. About 8 MB."""

_Wish = tuple[str, PictureFile | None]
"""An address, and the file that it had, whose pixels are not needed if it still has it."""

_Read = Picture | KnownPicture | PictureFile
"""What is read at an address; the file alone where it is the one that was asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchConfig:
    """`private_hosts`: `host` or `host:port`, in lower case, fetched from though private.

    Without `image_root` no file is read. `notify` hears, from another thread, which host is paused.
    `known_result` returns what came of embedding a file earlier, by its content hash: its vector
    or failure, None if not known. It may be called from any thread.
    """

    images_per_product: int = 1
    image_root: Path | None = None
    private_hosts: frozenset[str] = frozenset()
    notify: Callable[[str], None] = lambda _: None
    known_result: Callable[[str], Vector | Failure | None] = lambda _: None


class PictureFetcher:
    """`seams.ImageFetcher` over HTTP and a folder: an event loop and decoders in own threads.

    An address seen lately is not fetched again while what came of it is still there: the failure,
    the `Picture` while a page that waits to be embedded holds it, or else its known result.
    """

    def __init__(
        self, picture_format: PictureFormat, config: FetchConfig, limits: Limits = LIMITS
    ) -> None:
        self._format = picture_format
        self._config = config
        self._recent: LRUCache[str, PictureFile | Failure] = LRUCache(RECENT)
        self._waiting: WeakValueDictionary[str, Picture] = WeakValueDictionary()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._pages: set[Future[list[FetchedProduct]]] = set()
        self._is_closing = False
        self._beginning = Lock()
        decoders = os.cpu_count() or 1
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._decoding = asyncio.Semaphore(2 * decoders)
        self._open = ExitStack()
        self._open.callback(self._decoders.shutdown, wait=False, cancel_futures=True)
        self._portal = self._open.enter_context(start_blocking_portal(name="pictures"))
        downloader = Downloader(config.private_hosts, limits, config.notify)
        self._downloader = self._open.enter_context(
            self._portal.wrap_async_context_manager(downloader)
        )
        self._open.callback(self._cancel)

    def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        """The products in order, each with its first pictures as uint8 (side, side, 3).

        One whose image is not needed comes without, and one whose stored image stays, too: then
        it is not needed any more. Blocks until all are there. If another thread closes meanwhile,
        or has closed, it raises `concurrent.futures.CancelledError`.
        """
        # If closing did not know of a page that has begun, that would not be broken off: it would
        # end with failures, those of the connections that closing has closed.
        with self._beginning:
            if self._is_closing:
                raise CancelledError
            future = self._portal.start_task_soon(self._fetch, page)
            self._pages.add(future)
        try:
            return future.result()
        finally:
            self._pages.discard(future)

    def close(self) -> None:
        """Break off what is under way and end the threads; a second call does nothing."""
        self._open.close()

    def _cancel(self) -> None:
        with self._beginning:
            self._is_closing = True
        for page in tuple(self._pages):
            page.cancel()

    async def _fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        wishes = [self._wishes(product) for product in page]
        found = await self._granted(chain.from_iterable(wishes))
        again = [
            [(url, None) for url, file in own if isinstance(found[url, file], PictureFile)]
            for product, own in zip(page, wishes, strict=True)
            if not stays(product, [found[wish] for wish in own])
        ]
        found |= await self._granted(chain.from_iterable(again))
        return [
            fetched_product(product, _last(product, own, found))
            for product, own in zip(page, wishes, strict=True)
        ]

    def _wishes(self, product: Product) -> list[_Wish]:
        is_kept = product.image_need is Need.KEEP
        urls = () if is_kept else product.image_urls[: self._config.images_per_product]
        known = {file.url: file for file in product.files}
        return [(url, known.get(url)) for url in urls]

    async def _granted(self, wishes: Iterable[_Wish]) -> dict[_Wish, Outcome]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    wish: group.create_task(self._in_turn(*wish)) for wish in dict.fromkeys(wishes)
                }
        except ExceptionGroup as bugs:
            raise bugs.exceptions[0] from None
        return {wish: task.result() for wish, task in tasks.items()}

    async def _in_turn(self, url: str, known: PictureFile | None) -> Outcome:
        """Wait for another page that is at this very address: it is fetched once."""
        async with self._turns.setdefault(url, asyncio.Lock()):
            return self._remembered(url, known) or await self._outcome(url, known)

    def _remembered(self, url: str, known: PictureFile | None) -> Outcome | None:
        """What came of an address lately; None where that is gone, or would not do."""
        recent = self._recent.get(url)
        if recent is None or isinstance(recent, Failure) or _is(known, recent.content_hash):
            return recent
        waiting = self._waiting.get(url)
        if waiting is not None and waiting.file.content_hash == recent.content_hash:
            return waiting
        result = self._config.known_result(recent.content_hash)
        return None if result is None else KnownPicture(file=recent, result=result)

    async def _outcome(self, url: str, known: PictureFile | None) -> Outcome:
        try:
            outcome = await self._picture(url, known)
        except UnusablePictureError as error:
            message = f"{shown(url)}: {error.failure.message}"
            failure = replace(error.failure, message=message, host=host_of(url))
            if failure.kind != "host_paused":  # then it was not asked for
                self._recent[url] = failure
            return failure
        self._recent[url] = outcome if isinstance(outcome, PictureFile) else outcome.file
        if isinstance(outcome, Picture):
            self._waiting[url] = outcome
        return outcome

    async def _picture(self, url: str, known: PictureFile | None) -> _Read:
        loop = asyncio.get_running_loop()
        if is_path(url):
            async with self._decoding:
                return await loop.run_in_executor(self._decoders, self._from_file, url, known)
        async with self._downloader.ask(url, known) as answer:
            if answer.data is None and known is not None:
                return known
            await self._decoding.acquire()
        try:
            return await loop.run_in_executor(self._decoders, self._decoded, url, answer, known)
        finally:
            self._decoding.release()

    def _from_file(self, path: str, known: PictureFile | None) -> _Read:
        data = read_below(self._config.image_root, path)
        return self._decoded(path, Answer(data=data), known)

    def _decoded(self, url: str, answer: Answer, known: PictureFile | None) -> _Read:
        data = answer.data or b""
        file = PictureFile(
            url=url,
            content_hash=sha256(data).hexdigest(),
            etag=answer.etag,
            last_modified=answer.last_modified,
            source=answer.source,
        )
        if _is(known, file.content_hash):
            return file
        result = self._config.known_result(file.content_hash)
        if result is not None:
            return KnownPicture(file=file, result=result)
        return Picture(file=file, pixels=pixels(data, self._format))


def _last(product: Product, own: Sequence[_Wish], found: Mapping[_Wish, Outcome]) -> list[Outcome]:
    """What came of its addresses: of all its pictures the pixels, where one of them is needed."""
    outcomes = [found[wish] for wish in own]
    if stays(product, outcomes):
        return outcomes
    return [
        found[url, None] if isinstance(one, PictureFile) else one
        for (url, _), one in zip(own, outcomes, strict=True)
    ]


def _is(known: PictureFile | None, content_hash: str) -> bool:
    return known is not None and known.content_hash == content_hash
