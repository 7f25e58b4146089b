"""Downloads pictures over HTTP, within limits and only from allowed addresses."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_fixed
from yarl import URL

from shelfsight import __version__
from shelfsight.images.addresses import PublicResolver, check_url, is_listed, public_socket
from shelfsight.images.decode import MAX_BYTES
from shelfsight.images.download_errors import download_error, is_transient, status_error
from shelfsight.images.file_formats import ACCEPT
from shelfsight.images.hosts import Host, HostPolicy, Hosts, RetryAfterError
from shelfsight.images.names import NameResolver
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.images.validators import ConditionalRequest, Download, whole_file
from shelfsight.records import PictureFile

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_MODIFIED = 304
_HAS_FILE = frozenset({200, 203})
"""Statuses of answers with the file; 203 means that a proxy has changed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """Limits of downloads; times in seconds, sizes in bytes.

    Attributes:
        connect: time to open a connection.
        read: time between two parts of the body.
        total: time for one attempt with its redirects, not counting the wait for a slot.
        retry_pause: time before the only immediate retry.
        patience: total time that a picture may wait for a host that asks for pauses.
        host_pause: for how long no requests are sent to a host that keeps failing, before one
            request tests it; 0 means that no host is paused.
        probe: replaces `total` for that test request, and for hosts that have only ever failed.
        redirects: the largest number of redirects to follow.
        max_bytes: the largest size of a body after decompression.
        concurrency: the largest number of requests at the same time.
        per_host: the largest number of requests at the same time to one host.
    """

    connect: float = 10
    read: float = 15
    total: float = 60
    retry_pause: float = 0.5
    patience: float = 30
    host_pause: float = 60
    probe: float = 5
    redirects: int = 5
    max_bytes: int = MAX_BYTES
    concurrency: int = 32
    per_host: int = 8


LIMITS = FetchLimits()


def _ignore(_size: int) -> None:
    """Count no bytes."""


class Downloader:
    """Downloads files; use it as an asynchronous context manager.

    It has two connection pools: one for public addresses only, one for the hosts in
    `private_hosts`. `notify` is called with a line when a host is paused or answers again.
    """

    def __init__(
        self,
        private_hosts: frozenset[str],
        limits: FetchLimits = LIMITS,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._private_hosts = private_hosts
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._hosts = Hosts(
            HostPolicy(
                concurrency=limits.per_host,
                patience=limits.patience,
                pause=limits.host_pause,
                notify=notify,
            )
        )

    @property
    def known_hosts(self) -> int:
        """The number of hosts that are remembered; at most `hosts.CACHED_HOSTS`."""
        return len(self._hosts)

    @property
    def known_names(self) -> int:
        """The number of names whose addresses are remembered; at most `names.CACHED_NAMES`."""
        return len(self._names)

    async def __aenter__(self) -> Self:
        tls = ssl.create_default_context()
        per_host = self._limits.per_host
        self._names = NameResolver()
        # The connectors keep no names of their own: the resolver remembers failures, too.
        self._public = self._session(
            aiohttp.TCPConnector(
                resolver=PublicResolver(self._names),
                use_dns_cache=False,
                socket_factory=public_socket,
                ssl=tls,
                limit=self._limits.concurrency,
                limit_per_host=per_host,
            )
        )
        self._private = self._session(
            aiohttp.TCPConnector(
                resolver=self._names,
                use_dns_cache=False,
                ssl=tls,
                limit=self._limits.concurrency,
                limit_per_host=per_host,
            )
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._public.close()
        await self._private.close()
        await self._names.close()

    @asynccontextmanager
    async def download(
        self, address: str, on_bytes: Callable[[int], None] = _ignore
    ) -> AsyncIterator[bytes]:
        """Yield the decompressed body of the file at an address; see `download_if_changed`.

        `on_bytes` is called with the size of each part that arrives; an error of it is raised.
        """
        async with self.download_if_changed(address, on_bytes=on_bytes) as download:
            yield download.data or b""

    @asynccontextmanager
    async def download_if_changed(
        self,
        address: str,
        known: PictureFile | None = None,
        *,
        source: str | None = None,
        on_bytes: Callable[[int], None] = _ignore,
    ) -> AsyncIterator[Download]:
        """Yield the decompressed body, or no data if the server still has the `known` file.

        While the context is open, it occupies one of the slots that limit how many bodies are in
        memory. `source` is that of `ConditionalRequest`.

        Raises:
            UnusablePictureError: the download failed, for whatever reason.
        """
        url = check_url(address, self._private_hosts)
        async with AsyncExitStack() as slot:
            request = ConditionalRequest(url, known, on_bytes, source)
            yield await self._wait_and_download(request, slot)

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        limits = self._limits
        return aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"shelfsight/{__version__}", "Accept": ACCEPT},
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=limits.connect, sock_read=limits.read
            ),
        )

    async def _wait_and_download(
        self, request: ConditionalRequest, slot: AsyncExitStack
    ) -> Download:
        """Download the file; while the host asks for a pause, wait without occupying a slot."""
        host, patience = self._hosts.of(request.url.raw_authority), self._limits.patience
        while True:
            async with host.slot():
                # Names that get no answer would occupy all slots.
                await self._names.prefetch(request.url.raw_host or "")
                await slot.enter_async_context(self._slots)
                try:
                    return await self._with_one_retry(request, host)
                except RetryAfterError as later:
                    patience -= max(later.after, 1.0)
                    if patience < 0:
                        raise
            await slot.aclose()

    async def _with_one_retry(self, request: ConditionalRequest, host: Host) -> Download:
        attempts = AsyncRetrying(
            stop=stop_after_attempt(2),
            wait=wait_fixed(self._limits.retry_pause),
            retry=retry_if_exception(is_transient),
            reraise=True,
        )
        return await attempts(self._attempt, request, host)

    async def _attempt(self, request: ConditionalRequest, host: Host) -> Download:
        seconds = self._limits.probe if host.is_doubtful else self._limits.total
        with host.observe():
            try:
                async with asyncio.timeout(seconds):
                    return await self._follow(request)
            except (aiohttp.ClientError, OSError) as error:
                raise download_error(error) from error

    async def _follow(self, request: ConditionalRequest) -> Download:
        url, source, cookies = request.url, request.source, _ChainCookies()
        for _ in range(self._limits.redirects + 1):
            session = self._private if is_listed(url, self._private_hosts) else self._public
            condition = request.condition(source)
            headers = condition | cookies.header(url)
            async with session.get(url, headers=headers, allow_redirects=False) as response:
                target = response.headers.get("Location")
                if response.status == _NOT_MODIFIED and condition:
                    return Download(data=None)
                if response.status not in _REDIRECTS or target is None:
                    body = await self._body(response, request.on_bytes)
                    return whole_file(body, response.headers, source)
                cookies.update(response)
            url = check_url(target, self._private_hosts, base=url)
            source = str(url)
        raise UnusablePictureError(
            "too_many_redirects", f"more than {self._limits.redirects} redirects"
        )

    async def _body(
        self, response: aiohttp.ClientResponse, on_bytes: Callable[[int], None]
    ) -> bytes:
        if response.status not in _HAS_FILE:
            raise status_error(response)
        if "Content-Encoding" not in response.headers:
            self._check_length(response.content_length or 0)
        data = bytearray()
        async for chunk in response.content.iter_any():
            data += chunk
            self._check_length(len(data))
            on_bytes(len(chunk))
        if not data:
            raise UnusablePictureError("empty", "the answer is empty")
        return bytes(data)

    def _check_length(self, length: int) -> None:
        if length > self._limits.max_bytes:
            raise UnusablePictureError(
                "too_large", f"the file is larger than {self._limits.max_bytes:,} bytes"
            )


class _ChainCookies:
    """The cookies of one chain of redirects: some hosts set one and redirect until it comes back.

    A cookie goes to the hosts of its domain only, and is forgotten with the chain.
    """

    def __init__(self) -> None:
        self._jar: aiohttp.CookieJar | None = None

    def update(self, response: aiohttp.ClientResponse) -> None:
        """Remember the cookies that a response sets."""
        if response.cookies:
            self._jar = self._jar or aiohttp.CookieJar(unsafe=True)  # also of hosts without names
            self._jar.update_cookies(response.cookies, response.url)

    def header(self, url: URL) -> dict[str, str]:
        """Return the header for a request; empty if no cookie belongs to this address."""
        if self._jar is None:
            return {}
        cookies = self._jar.filter_cookies(url)
        line = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())
        return {"Cookie": line} if line else {}
