"""From products to their pictures, many at once, behind one ordinary call."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from weakref import WeakValueDictionary

from anyio.from_thread import start_blocking_portal

from shelfsight.images.addresses import host_of, shown
from shelfsight.images.decode import decode, resize
from shelfsight.images.download import LIMITS, Downloader, Limits
from shelfsight.images.files import is_path, read_below
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure, Picture, Pictured, PictureFormat, Product

RECENT = 8192
"""How many addresses are remembered with what came of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchConfig:
    """`private_hosts`: `host` or `host:port`, in lower case, fetched from though private.

    Without `image_root` no file is read. `say` hears, from another thread, which host is paused.
    """

    images_per_product: int = 1
    image_root: Path | None = None
    private_hosts: frozenset[str] = frozenset()
    say: Callable[[str], None] = lambda _: None


class PictureFetcher:
    """`seams.ImageFetcher` over HTTP and a folder: an event loop and decoders in own threads.

    An address seen lately gives the same `Picture` object, or the same failure, again.
    """

    def __init__(
        self, picture_format: PictureFormat, config: FetchConfig, limits: Limits = LIMITS
    ) -> None:
        self._format = picture_format
        self._config = config
        self._recent: OrderedDict[str, Picture | Failure] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._pages: set[Future[list[Pictured]]] = set()
        decoders = os.cpu_count() or 1
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._decoding = asyncio.Semaphore(2 * decoders)
        self._open = ExitStack()
        self._open.callback(self._decoders.shutdown, wait=False, cancel_futures=True)
        self._portal = self._open.enter_context(start_blocking_portal(name="pictures"))
        downloader = Downloader(config.private_hosts, limits, config.say)
        self._downloader = self._open.enter_context(
            self._portal.wrap_async_context_manager(downloader)
        )
        self._open.callback(self._cancel)

    def fetch(self, page: Sequence[Product]) -> list[Pictured]:
        """The products in order, each with its first pictures as uint8 (side, side, 3).

        One whose image is not needed comes without. Blocks until all are there. If another thread
        closes meanwhile, it raises `concurrent.futures.CancelledError`.
        """
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
        for page in tuple(self._pages):
            page.cancel()

    async def _fetch(self, page: Sequence[Product]) -> list[Pictured]:
        limit = self._config.images_per_product
        needed = [product.image_urls[:limit] if product.needs_image else () for product in page]
        urls = dict.fromkeys(chain.from_iterable(needed))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {url: group.create_task(self._in_turn(url)) for url in urls}
        except ExceptionGroup as bugs:
            raise bugs.exceptions[0] from None
        outcomes = {url: task.result() for url, task in tasks.items()}
        return [
            _pictured(product, [outcomes[url] for url in own])
            for product, own in zip(page, needed, strict=True)
        ]

    async def _in_turn(self, url: str) -> Picture | Failure:
        """Wait for another page that is at this very address: it is fetched once."""
        async with self._turns.setdefault(url, asyncio.Lock()):
            return await self._outcome(url)

    async def _outcome(self, url: str) -> Picture | Failure:
        outcome = self._recent.get(url)
        if outcome is None:
            try:
                outcome = await self._picture(url)
            except UnusablePictureError as error:
                message = f"{shown(url)}: {error.failure.message}"
                outcome = replace(error.failure, message=message, host=host_of(url))
                if outcome.kind == "host_paused":  # it was not asked for
                    return outcome
            self._recent[url] = outcome
            if len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        self._recent.move_to_end(url)
        return outcome

    async def _picture(self, url: str) -> Picture:
        loop = asyncio.get_running_loop()
        if is_path(url):
            async with self._decoding:
                return await loop.run_in_executor(self._decoders, self._from_file, url)
        async with self._downloader.download(url) as data:
            await self._decoding.acquire()
        try:
            return await loop.run_in_executor(self._decoders, self._decoded, url, data)
        finally:
            self._decoding.release()

    def _from_file(self, path: str) -> Picture:
        return self._decoded(path, read_below(self._config.image_root, path))

    def _decoded(self, url: str, data: bytes) -> Picture:
        pixels = resize(decode(data), self._format)
        return Picture(url=url, content_hash=sha256(data).hexdigest(), pixels=pixels)


def _pictured(product: Product, outcomes: Sequence[Picture | Failure]) -> Pictured:
    return Pictured(
        product=product,
        pictures=tuple(outcome for outcome in outcomes if isinstance(outcome, Picture)),
        failures=tuple(outcome for outcome in outcomes if isinstance(outcome, Failure)),
    )
