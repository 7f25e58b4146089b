"""Who may ask an embedding server while it does not answer, and for how long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import SystemRandom

from shelfsight.embedding.remote.answer import (
    Answer,
    AwayError,
    BrokenError,
    FailedError,
    RefusedError,
)
from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.errors import ServerError

Send = Callable[[], Awaitable[Answer]]


class ServerBreaker:
    """Lets requests through while the server answers, and one at a time while it does not.

    A try without a usable answer makes all others wait but one, which is sent again after pauses
    that grow. The first answer lets all go on; patience that ends, ends the run.
    """

    def __init__(self, config: ServerConfig, shown: str) -> None:
        self._config = config
        self._retry_policy = config.retry_policy
        self._shown = shown
        self._random = SystemRandom()
        self._changed = asyncio.Event()
        self._open_requests = 0
        self._asked_at = 0.0
        self._heard_at: float | None = None
        self._away = False
        self._probing = False
        self._last = "no answer"
        self._told = 0.0

    @property
    def was_heard(self) -> bool:
        """Whether the server has answered at least once."""
        return self._heard_at is not None

    async def ask(self, send: Send, *, hold_on: bool = False) -> object:
        """Give the value of an answer, sending again while there is patience.

        Raises:
            RefusedError: the server will not have it or, unless told to `hold_on`, fails at it
                again and again.
            ServerError: no other try will do, or patience has ended.
        """
        tries = 0
        with self._open_request():
            while True:
                async with self._turn():
                    try:
                        return await self._try(send)
                    except AwayError as error:
                        self._away, self._last, tries = True, str(error), tries + 1
                        given_up = tries >= self._retry_policy.tries_at_error and not hold_on
                        if given_up and isinstance(error, BrokenError):
                            raise FailedError(error.kind, str(error)) from error
                        await self._pause(error, tries)

    async def tell(self) -> None:
        """Say how long there has been no answer, for ever."""
        while True:
            await asyncio.sleep(self._retry_policy.quiet)
            silence = self._silence()
            if silence >= max(self._retry_policy.quiet, 1.5 * self._told):
                self._told = silence
                self._config.waiting(f"the embedding server {self._state(silence)}…")

    async def _try(self, send: Send) -> object:
        try:
            async with asyncio.timeout(self._patience_left()):
                answer = await send()
            value = answer.value()
        except TimeoutError as error:  # the end of patience, of which the last answer says more
            raise AwayError(self._last) from error
        except RefusedError:
            self._answered()
            raise
        self._answered()
        return value

    async def _pause(self, error: AwayError, tries: int) -> None:
        """Wait as long as the server asks for, else ever longer."""
        pause = max(error.after or 0.0, self._retry_policy.first_pause)
        if error.after is None:
            longest = self._retry_policy.first_pause * 2.0 ** min(tries - 1, 30)
            pause = self._random.uniform(0, min(longest, self._retry_policy.longest_pause))
        if pause >= self._patience_left():
            raise self._out_of_patience() from error
        await self._retry_policy.sleep(pause)

    def _answered(self) -> None:
        if self._told and self._away:
            self._config.waiting("the embedding server answers again; the run goes on")
        self._heard_at = self._retry_policy.clock()
        self._away, self._told, self._last = False, 0.0, "no answer"
        self._wake()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a turn: at once while the server answers, else until no other tries."""
        while self._away and self._probing:
            await self._changed.wait()
        alone = self._away
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
            self._asked_at = self._retry_policy.clock()
        self._open_requests += 1
        try:
            yield
        finally:
            self._open_requests -= 1

    def _silence(self) -> float:
        """For how many seconds somebody has waited and nobody was answered."""
        if not self._open_requests:
            return 0.0
        return self._retry_policy.clock() - max(self._asked_at, self._heard_at or 0.0)

    def _patience_left(self) -> float:
        return self._patience - self._silence()

    @property
    def _patience(self) -> float:
        if self.was_heard:
            return self._config.down_timeout
        return self._config.cold_start_timeout

    def _state(self, silence: float) -> str:
        if not self.was_heard:
            return f"is waking up ({silence:.0f} s)"
        pauses = "; the run pauses" if self._away else ""
        return f"has not answered for {silence:.0f} s{pauses}"

    def _out_of_patience(self) -> ServerError:
        name, what = "COLD_START_TIMEOUT", "see that it runs, or change EMBEDDING_SERVER_URL"
        if self.was_heard:
            name, what = "SERVER_DOWN_TIMEOUT", "run again once it is well (what is stored stays)"
        return ServerError(
            f"the embedding server {self._shown} gave no usable answer within {self._patience:g} s"
            f" (last: {self._last}): {what}, or wait longer with {name}"
        )
