"""Threads for blocking calls: to models, to the database, and to decode pictures."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class ThreadPool:
    """Runs blocking calls for an event loop, at most `size` at the same time.

    A call continues if the task that awaits it is cancelled; it occupies its thread until it is
    done.
    """

    def __init__(self, size: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Call `work` in a thread, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def submit(self, work: Callable[[], None]) -> None:
        """Call `work` when a thread is free, without waiting for it; an error is logged."""
        self._threads.submit(work).add_done_callback(_log_error)

    def close(self) -> None:
        """Cancel the queued calls, and return without waiting for the calls in progress."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _log_error(done: Future[None]) -> None:
    if not done.cancelled():
        done.result()  # concurrent.futures logs an exception that is raised in a callback
