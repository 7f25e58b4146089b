"""One request to an embedding server, sent until it is answered or patience ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from time import monotonic
from typing import Self

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)
from yarl import URL

from shelfsight.embedding.server_answer import Answer, AwayError, BrokenError, RefusedError
from shelfsight.errors import ServerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times in seconds; `answer` is longer than the 150 s after which Modal sends its 303.

    After `quiet` seconds without an answer the wait is said, again and again. A request at which
    the server fails (500) is sent `tries_at_error` times; `errors_in_a_row` such requests without
    an answer between them end the run.
    """

    connect: float = 10
    answer: float = 160
    first_pause: float = 0.5
    longest_pause: float = 15
    quiet: float = 5
    tries_at_error: int = 4
    errors_in_a_row: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """`waiting` hears, now and then, that there was no answer for so many seconds."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    cold_start_timeout: float = 300
    waiting: Callable[[str], None] = lambda _: None
    pace: Pace = Pace()


class ServerConnection:
    """Connections to one server, reused; an asynchronous context manager."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._pace = config.pace
        url = URL(config.url)
        self._url = url.with_user(None) if config.api_key else url
        self.shown = str(url.with_user(None).with_query(None))
        self._heard_at: float | None = None
        self._asked_at = 0.0
        self._open_requests = 0
        self._errors_in_a_row = 0

    async def __aenter__(self) -> Self:
        key = self._config.api_key
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            connector=aiohttp.TCPConnector(limit=0),
        )
        self._voice = asyncio.create_task(self._say_while_waiting())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._voice.cancel()
        await self._session.close()

    async def get(self, path: str) -> object:
        """Give the JSON that `path` answers.

        Raises:
            NotThereError: there is no such endpoint.
            ServerError: there is no usable answer, nor will there be.
        """
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: bytes) -> object:
        """Give the JSON that `path` answers to a JSON body.

        Raises:
            RefusedError: the server will not have this body; else as `get`.
        """
        return await self._ask("POST", path, body)

    async def _ask(self, method: str, path: str, body: bytes | None) -> object:
        patience = self._config.cold_start_timeout
        deadline = monotonic() + patience
        tries = AsyncRetrying(
            retry=retry_if_exception_type(AwayError),
            wait=self._pause,
            stop=self._gives_up,
            reraise=True,
        )
        try:
            async with self._open_request():
                return await tries(self._once, method, path, body, deadline)
        except BrokenError as error:
            self._count_error(error)
            raise RefusedError(f"server_{error.status}", str(error)) from error
        except AwayError as error:
            raise ServerError(
                f"the embedding server {self.shown} gave no usable answer within {patience:g} s"
                f" (last: {error}): see that it runs, or change EMBEDDING_SERVER_URL"
                " or COLD_START_TIMEOUT"
            ) from error

    async def _once(self, method: str, path: str, body: bytes | None, deadline: float) -> object:
        answer = await self._send(method, path, body, max(deadline - monotonic(), 0.001))
        value = answer.value()
        self._heard_at = monotonic()
        self._errors_in_a_row = 0
        return value

    async def _send(self, method: str, path: str, body: bytes | None, seconds: float) -> Answer:
        """Send once, following redirects; a 303 is followed by GET, as Modal wants it."""
        timeout = aiohttp.ClientTimeout(
            total=seconds, sock_connect=self._pace.connect, sock_read=self._pace.answer
        )
        headers = {} if body is None else {"Content-Type": "application/json"}
        url = self._url.joinpath(path.lstrip("/"))
        data = None if body is None else BytesIO(body)  # bytes would be written in one piece
        if self._session.closed:  # between two tries: nobody waits for the answer any more
            raise asyncio.CancelledError
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, timeout=timeout, max_redirects=20
            ) as response:
                content = await response.read()
                self._refuse_moved(response)
                return Answer(
                    request=f"{method} {path}",
                    status=response.status,
                    headers=response.headers,
                    content=content,
                )
        except (aiohttp.InvalidURL, aiohttp.ClientSSLError, aiohttp.TooManyRedirects) as error:
            raise ServerError(
                f"the embedding server {self.shown} cannot be used: {error}"
            ) from error
        except aiohttp.ClientConnectorDNSError as error:
            if self._heard_at is None:
                raise ServerError(
                    f"no host of the name {self._url.host} is known: correct EMBEDDING_SERVER_URL"
                ) from error
            raise AwayError(str(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AwayError(str(error) or type(error).__name__) from error

    def _refuse_moved(self, response: aiohttp.ClientResponse) -> None:
        """Refuse a redirect that turns a POST into a GET by custom, as from http to https."""
        if any(step.status in (301, 302) for step in response.history):
            raise ServerError(
                f"the embedding server {self.shown} has moved to {response.url.origin()}:"
                " set EMBEDDING_SERVER_URL to its new address"
            )

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, AwayError) and error.after is not None:
            return max(error.after, self._pace.first_pause)
        return wait_random_exponential(self._pace.first_pause, self._pace.longest_pause)(state)

    def _gives_up(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, BrokenError) and state.attempt_number >= self._pace.tries_at_error:
            return True
        return stop_before_delay(self._config.cold_start_timeout)(state)

    def _count_error(self, error: BrokenError) -> None:
        self._errors_in_a_row += 1
        if self._errors_in_a_row >= self._pace.errors_in_a_row:
            raise ServerError(
                f"the embedding server {self.shown} fails at every request ({error}):"
                " see its log, and run again once it is well"
            ) from error

    @asynccontextmanager
    async def _open_request(self) -> AsyncIterator[None]:
        if not self._open_requests:
            self._asked_at = monotonic()
        self._open_requests += 1
        try:
            yield
        finally:
            self._open_requests -= 1

    async def _say_while_waiting(self) -> None:
        while True:
            await asyncio.sleep(self._pace.quiet)
            seconds = monotonic() - max(self._asked_at, self._heard_at or 0)
            if not self._open_requests or seconds < self._pace.quiet:
                continue
            what = f"has not answered for {seconds:.0f} s"
            if self._heard_at is None:
                what = f"is waking up ({seconds:.0f} s)"
            self._config.waiting(f"the embedding server {what}…")
