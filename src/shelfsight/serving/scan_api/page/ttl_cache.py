"""Answers that cost something, kept for a while."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from shelfsight.serving.scan_api.thread_pool import ThreadPool

Value = TypeVar("Value")

MOST = 64
"""Owners whose answers are kept at the same time."""


class TtlCache(Generic[Value]):
    """One answer an owner, asked for anew after `seconds`. To be used from one event loop.

    Whoever asks while an answer is under way waits for that one.
    """

    def __init__(self, workers: ThreadPool, seconds: float) -> None:
        self._workers = workers
        self._seconds = seconds
        self._answers: OrderedDict[str | None, tuple[float, asyncio.Task[Value]]] = OrderedDict()

    async def get(self, owner: str | None, ask: Callable[[], Value]) -> Value:
        """The owner's answer, by `ask` in a thread where there is none or it is too old."""
        at, task = self._answers.get(owner, (-math.inf, None))
        if task is None or (task.done() and monotonic() - at > self._seconds):
            task = asyncio.create_task(self._workers.run(ask))
            self._answers[owner] = monotonic(), task
            self._answers.move_to_end(owner)
            if len(self._answers) > MOST:
                self._answers.popitem(last=False)
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done():  # it failed, rather than that who asked went away
                self.forget(owner)
            raise

    def forget(self, owner: str | None) -> None:
        """Ask anew next time."""
        self._answers.pop(owner, None)
