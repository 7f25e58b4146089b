"""Threads for what blocks: models, the database, the reading of pictures."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class ThreadPool:
    """At most `at_once` calls at the same time; the others wait for their turn.

    A call whose waiter has gone away keeps its place until it is through.
    """

    def __init__(self, at_once: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do `work` in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def start(self, work: Callable[[], None]) -> None:
        """Do `work` when there is a thread for it, and do not wait; an error of it is logged."""
        self._threads.submit(work).add_done_callback(_raise)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _raise(done: Future[None]) -> None:
    if not done.cancelled():
        done.result()
