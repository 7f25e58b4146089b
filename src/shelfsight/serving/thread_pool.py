"""Threads for blocking calls, to models and to the database."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

from shelfsight.serving.callers import CALLER

Result = TypeVar("Result")

MAX_SUBMITTED = 1_000
"""The number of calls that nobody waits for, in progress and queued."""


class ThreadPool:
    """Runs blocking calls for an event loop, at most `size` at the same time.

    The caller of the request (`CALLER`) with the fewest calls in progress is next, and no caller
    occupies more than three quarters of the threads. A call continues if the task that awaits it is
    cancelled; it occupies its thread until it is done.

    `submitted` is the number of calls by `submit` that are not done.
    """

    def __init__(self, size: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)
        self.size = size
        self._free = size
        self._started: dict[Future[Any], float] = {}
        self._per_caller = size - size // 4
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._lock = Lock()  # guards what follows
        self.submitted = 0

    async def run(self, work: Callable[[], Result]) -> Result:
        """Call `work` in a thread, and return its result."""
        loop, caller = asyncio.get_running_loop(), CALLER.get()
        if self._may_start(caller):
            self._start(caller)
        else:
            await self._wait_for_turn(caller)
        try:
            call = self._threads.submit(copy_context().run, work)  # its request, its trace
        except RuntimeError:  # the pool is closed
            self._finish(caller)
            raise
        self._started[call] = monotonic()
        call.add_done_callback(partial(self._finish_in, loop, caller))
        return await asyncio.wrap_future(call)

    def submit(self, work: Callable[[], None]) -> None:
        """Call `work` when a thread is free, without waiting for it; an error is logged.

        If `MAX_SUBMITTED` such calls are not done yet, this one is left out.
        """
        with self._lock:
            if self.submitted >= MAX_SUBMITTED:
                return
            self.submitted += 1
        self._threads.submit(work).add_done_callback(self._submitted_is_done)

    def _submitted_is_done(self, call: Future[None]) -> None:
        with self._lock:
            self.submitted -= 1
        _log_error(call)

    def blocked_seconds(self) -> float:
        """Return for how many seconds all threads have been busy with the same calls; else 0."""
        started = self._started.copy().values()
        return monotonic() - max(started) if len(started) >= self.size else 0.0

    def close(self) -> None:
        """Cancel the queued calls, and return without waiting for the calls in progress."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _wait_for_turn(self, caller: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn came in the same moment
                self._finish(caller)
            raise

    def _may_start(self, caller: str) -> bool:
        return self._free > 0 and self._running[caller] < self._per_caller

    def _start(self, caller: str) -> None:
        self._free -= 1
        self._running[caller] += 1

    def _finish_in(self, loop: asyncio.AbstractEventLoop, caller: str, call: Future[Any]) -> None:
        self._started.pop(call, None)
        with suppress(RuntimeError):  # the loop has ended before the call
            loop.call_soon_threadsafe(self._finish, caller)

    def _finish(self, caller: str) -> None:
        self._free += 1
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        while (following := self._next_turn()) is not None:
            following.set_result(None)

    def _next_turn(self) -> asyncio.Future[None] | None:
        """Start the next caller's turn; None if no thread is free, or nobody may use one."""
        for caller in sorted(self._waiting, key=lambda one: self._running[one]):
            turns = self._waiting[caller]
            while turns and turns[0].cancelled():
                turns.popleft()
            if turns and self._may_start(caller):
                self._start(caller)
                turn = turns.popleft()
                del self._waiting[caller]  # its next turn comes after those of the others
                if turns:
                    self._waiting[caller] = turns
                return turn
            if not turns:
                del self._waiting[caller]
        return None


def _log_error(done: Future[None]) -> None:
    if not done.cancelled():
        done.result()  # concurrent.futures logs an exception that is raised in a callback
