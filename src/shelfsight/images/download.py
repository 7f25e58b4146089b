"""From an http(s) address to bytes: within limits, and only from where the rule allows."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http.client import responses
from types import TracebackType
from typing import Self

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_fixed

from shelfsight import __version__
from shelfsight.images.addresses import PublicResolver, check_url, is_listed, public_socket
from shelfsight.images.decode import MAX_BYTES
from shelfsight.images.hosts import Host, HostPolicy, Hosts, LaterError
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.images.validators import Answer, Wanted, answered
from shelfsight.records import PictureFile
from shelfsight.retry_after import retry_after

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_MODIFIED = 304
_PASSING = frozenset({"http_502", "http_503", "http_504"})
_BUSY = frozenset({429, 503})
_BROKEN = (
    aiohttp.ClientOSError,
    aiohttp.ClientPayloadError,
    aiohttp.ServerDisconnectedError,
    ConnectionResetError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Times in seconds, sizes in bytes, and how many at once, in all and of one host.

    `total` is for one attempt with its redirects; waiting for a place does not count. A picture
    waits `patience` in all where its host asks for pauses. A host that always fails is left alone
    for `host_pause`, 0 meaning never, and then asked once more. That one, and what is asked of a
    host that has only ever failed, has `probe` as its total.
    """

    connect: float = 10
    read: float = 15
    total: float = 60
    retry_pause: float = 0.5
    patience: float = 30
    host_pause: float = 60
    probe: float = 5
    redirects: int = 3
    max_bytes: int = MAX_BYTES
    at_once: int = 32
    per_host: int = 8


LIMITS = Limits()


class Downloader:
    """Two pools of connections: to public addresses only, and to hosts the user named.

    `notify` hears which host is paused.
    """

    def __init__(
        self,
        private_hosts: frozenset[str],
        limits: Limits = LIMITS,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._private_hosts = private_hosts
        self._limits = limits
        self._places = asyncio.Semaphore(limits.at_once)
        self._hosts = Hosts(
            HostPolicy(
                at_once=limits.per_host,
                patience=limits.patience,
                pause=limits.host_pause,
                notify=notify,
            )
        )

    async def __aenter__(self) -> Self:
        tls = ssl.create_default_context()
        per_host = self._limits.per_host
        self._public = self._session(
            aiohttp.TCPConnector(
                resolver=PublicResolver(),
                socket_factory=public_socket,
                ssl=tls,
                limit_per_host=per_host,
            )
        )
        self._private = self._session(aiohttp.TCPConnector(ssl=tls, limit_per_host=per_host))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._public.close()
        await self._private.close()

    @asynccontextmanager
    async def download(self, address: str) -> AsyncIterator[bytes]:
        """Give the body, with gzip and the like undone; see `ask`."""
        async with self.ask(address) as answer:
            yield answer.data or b""

    @asynccontextmanager
    async def ask(self, address: str, known: PictureFile | None = None) -> AsyncIterator[Answer]:
        """Give the body, with gzip and the like undone, unless it is that of the `known` file.

        Staying in the block keeps one of the places that bound how much is in memory at once.

        Raises:
            UnusablePictureError: whatever goes wrong.

        """
        url = check_url(address, self._private_hosts)
        async with AsyncExitStack() as place:
            yield await self._patiently(Wanted(url, known), place)

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        limits = self._limits
        return aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"shelfsight/{__version__}", "Accept": "image/*,*/*;q=0.5"},
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=limits.connect, sock_read=limits.read
            ),
        )

    async def _patiently(self, wanted: Wanted, place: AsyncExitStack) -> Answer:
        """Wait, without a place, while the host asks for it."""
        host, patience = self._hosts.of(wanted.url.raw_authority), self._limits.patience
        while True:
            async with host.turn():
                await place.enter_async_context(self._places)
                try:
                    return await self._with_one_retry(wanted, host)
                except LaterError as later:
                    patience -= max(later.after, 1.0)
                    if patience < 0:
                        raise
            await place.aclose()

    async def _with_one_retry(self, wanted: Wanted, host: Host) -> Answer:
        attempts = AsyncRetrying(
            stop=stop_after_attempt(2),
            wait=wait_fixed(self._limits.retry_pause),
            retry=retry_if_exception(_may_pass),
            reraise=True,
        )
        return await attempts(self._attempt, wanted, host)

    async def _attempt(self, wanted: Wanted, host: Host) -> Answer:
        seconds = self._limits.probe if host.is_doubtful else self._limits.total
        with host.judged():
            try:
                async with asyncio.timeout(seconds):
                    return await self._answer(wanted)
            except (aiohttp.ClientError, OSError) as error:
                raise _explained(error) from error

    async def _answer(self, wanted: Wanted) -> Answer:
        url, source = wanted.url, None
        for _ in range(self._limits.redirects + 1):
            session = self._private if is_listed(url, self._private_hosts) else self._public
            condition = wanted.condition(source)
            async with session.get(url, headers=condition, allow_redirects=False) as response:
                target = response.headers.get("Location")
                if response.status == _NOT_MODIFIED and condition:
                    return Answer(data=None)
                if response.status not in _REDIRECTS or target is None:
                    return answered(await self._body(response), response.headers, source)
            url = check_url(target, self._private_hosts, base=url)
            source = str(url)
        raise UnusablePictureError(
            "too_many_redirects", f"more than {self._limits.redirects} redirects"
        )

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status != 200:
            raise _status(response)
        if "Content-Encoding" not in response.headers:
            self._check_length(response.content_length or 0)
        data = bytearray()
        async for chunk in response.content.iter_any():
            data += chunk
            self._check_length(len(data))
        if not data:
            raise UnusablePictureError("empty", "the answer is empty")
        return bytes(data)

    def _check_length(self, length: int) -> None:
        if length > self._limits.max_bytes:
            raise UnusablePictureError(
                "too_large", f"the picture is larger than {self._limits.max_bytes:,} bytes"
            )


def _status(response: aiohttp.ClientResponse) -> UnusablePictureError:
    status = response.status
    kind = f"http_{status}"
    message = f"the server says {status} {responses.get(status, '')}".strip()
    after = retry_after(response.headers) if status in _BUSY else None
    if after is not None:
        return LaterError(kind, message, after)
    return UnusablePictureError(kind, message, retryable=status == 429 or status >= 500)


def _may_pass(error: BaseException) -> bool:
    """Whether to ask once more at once: a broken connection, or a server between two restarts."""
    if isinstance(error, UnusablePictureError) and error.failure.kind in _PASSING:
        return not isinstance(error, LaterError)
    cause = error.__cause__
    return isinstance(cause, _BROKEN) and not isinstance(cause, aiohttp.ClientConnectorError)


def _explained(error: aiohttp.ClientError | OSError) -> UnusablePictureError:
    """Say it in a line. The text of aiohttp's own errors may have the query, so it is not used."""
    match error:
        case TimeoutError():
            kind, message = "timeout", "the server takes too long"
        case aiohttp.ClientConnectorDNSError():
            kind, message = "unresolvable", "the host's name cannot be resolved"
        case aiohttp.ClientSSLError():
            return UnusablePictureError("tls_failed", _tls_reason(error))
        case aiohttp.InvalidURL():
            return UnusablePictureError("bad_address", "the address makes no sense")
        case aiohttp.ClientPayloadError():
            kind, message = "connection_failed", "the answer breaks off or cannot be unpacked"
        case aiohttp.ClientResponseError():
            kind, message = "connection_failed", "the server does not speak HTTP"
        case OSError() if error.errno:
            reason = os.strerror(error.errno)
            kind, message = "connection_failed", f"the connection failed: {reason}"
        case _:
            kind, message = "connection_failed", "the server closed the connection"
    return UnusablePictureError(kind, message, retryable=True)


def _tls_reason(error: aiohttp.ClientSSLError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "")
        return f"the server's certificate is not trusted: {reason}"
    return "the server and we do not agree on TLS"
