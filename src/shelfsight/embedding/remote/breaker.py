"""The circuit breaker of an embedding server: which requests are sent while it does not answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import SystemRandom

from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.embedding.remote.server_response import (
    ContentRefusedError,
    RepeatedFailureError,
    RequestFailedError,
    ServerResponse,
    UnavailableError,
)
from shelfsight.errors import ServerError

Send = Callable[[], Awaitable[ServerResponse]]


class ServerBreaker:
    """Lets all requests through while the server answers, and only one while it does not.

    If a request gets no usable response, all requests wait except one, the probe. The probe is sent
    again and again, after growing pauses. When the server responds, all requests continue. If the
    server does not respond for too long, the run ends.
    """

    def __init__(self, config: ServerConfig, shown: str) -> None:
        self._config = config
        self._retry_policy = config.retry_policy
        self._shown = shown
        self._random = SystemRandom()
        self._changed = asyncio.Event()
        self._open_requests = 0
        self._waiting_since = 0.0
        self._answered_at: float | None = None
        self._is_unavailable = False
        self._probing = False
        self._last = "no answer"
        self._reported = 0.0

    @property
    def has_answered(self) -> bool:
        """Whether the server has answered at least once."""
        return self._answered_at is not None

    async def ask(self, send: Send, *, keep_trying: bool = False) -> object:
        """Send a request until there is a response or the time is used up; return the JSON.

        Raises:
            ContentRefusedError: the server refuses the content. Or the server failed in every
                attempt to process it, and `keep_trying` is False.
            ServerError: no other attempt can succeed, or the time is used up.
        """
        tries = 0
        with self._open_request():
            while True:
                async with self._turn():
                    try:
                        return await self._try(send)
                    except UnavailableError as error:
                        self._is_unavailable, self._last, tries = True, str(error), tries + 1
                        given_up = tries >= self._retry_policy.tries_at_error and not keep_trying
                        if given_up and isinstance(error, RequestFailedError):
                            raise RepeatedFailureError(error.kind, str(error)) from error
                        await self._pause(error, tries)

    async def report_silence(self) -> None:
        """Report now and then how long there has been no response, until this is cancelled."""
        while True:
            await asyncio.sleep(self._retry_policy.quiet)
            silence = self._silence()
            if silence >= max(self._retry_policy.quiet, 1.5 * self._reported):
                self._reported = silence
                self._config.waiting(f"the embedding server {self._state(silence)}…")

    async def _try(self, send: Send) -> object:
        try:
            async with asyncio.timeout(self._patience_left()):
                answer = await send()
            value = answer.value()
        except TimeoutError as error:  # the time is used up; the error before says more
            raise UnavailableError(self._last) from error
        except ContentRefusedError:
            self._answered()
            raise
        self._answered()
        return value

    async def _pause(self, error: UnavailableError, tries: int) -> None:
        """Wait before the next attempt: as long as the server asks for, or for a random time.

        The limit of the random time doubles with each attempt (exponential back-off with full
        jitter).
        """
        pause = max(error.after or 0.0, self._retry_policy.first_pause)
        if error.after is None:
            longest = self._retry_policy.first_pause * 2.0 ** min(tries - 1, 30)
            pause = self._random.uniform(0, min(longest, self._retry_policy.longest_pause))
        if pause >= self._patience_left():
            raise self._out_of_patience() from error
        await self._retry_policy.sleep(pause)

    def _answered(self) -> None:
        if self._reported and self._is_unavailable:
            self._config.waiting("the embedding server answers again; the run goes on")
        self._answered_at = self._retry_policy.clock()
        self._is_unavailable, self._reported, self._last = False, 0.0, "no answer"
        self._wake()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until a request may be sent: at once, or one at a time without a response."""
        while self._is_unavailable and self._probing:
            await self._changed.wait()
        alone = self._is_unavailable
        self._probing = self._probing or alone
        try:
            yield
        finally:
            if alone:
                self._probing = False
                self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @contextmanager
    def _open_request(self) -> Iterator[None]:
        if not self._open_requests:
            self._waiting_since = self._retry_policy.clock()
        self._open_requests += 1
        try:
            yield
        finally:
            self._open_requests -= 1

    def _silence(self) -> float:
        """Return for how many seconds requests have waited without any response."""
        if not self._open_requests:
            return 0.0
        return self._retry_policy.clock() - max(self._waiting_since, self._answered_at or 0.0)

    def _patience_left(self) -> float:
        return self._patience - self._silence()

    @property
    def _patience(self) -> float:
        if self.has_answered:
            return self._config.down_timeout
        return self._config.cold_start_timeout

    def _state(self, silence: float) -> str:
        if not self.has_answered:
            return f"is waking up ({silence:.0f} s)"
        pauses = "; the run pauses" if self._is_unavailable else ""
        return f"has not answered for {silence:.0f} s{pauses}"

    def _out_of_patience(self) -> ServerError:
        name, what = "COLD_START_TIMEOUT", "see that it runs, or change EMBEDDING_SERVER_URL"
        if self.has_answered:
            name, what = "SERVER_DOWN_TIMEOUT", "run again once it is well (what is stored stays)"
        return ServerError(
            f"the embedding server {self._shown} gave no usable answer within {self._patience:g} s"
            f" (last: {self._last}): {what}, or wait longer with {name}"
        )
