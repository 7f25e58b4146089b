"""A budget of memory for pictures that wait to be embedded."""

import gc
from concurrent.futures import CancelledError
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock

_PATIENCE = 2.0
"""Seconds after which a page that waits for memory looks for pictures that nobody needs."""


class MemoryBudget:
    """Lets a page of pictures begin when there is room for its bytes. Thread-safe.

    A page may begin with any number of bytes if nothing else is held. So what is held is at most
    `limit`, or what a single page needs.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._turn = Lock()
        # `put` may be called by a finalizer at any moment, even while this thread is in `reserve`.
        self._changes: SimpleQueue[int] = SimpleQueue()
        self._is_closed = False

    def reserve(self, count: int) -> None:
        """Wait until there is room for `count` bytes, then hold them.

        Raises:
            CancelledError: the budget is closed.
        """
        with self._turn:
            while not self._changes.empty():
                self._held += self._changes.get()
            while self._held > 0 and self._held + count > self._limit and not self._is_closed:
                self._held += self._next_change()
            if self._is_closed:
                raise CancelledError
            self._held += count

    def _next_change(self) -> int:
        with suppress(Empty):
            return self._changes.get(timeout=_PATIENCE)
        gc.collect()  # a picture in a reference cycle is freed only now
        return 0

    def hold(self, count: int) -> None:
        """Hold bytes without waiting: a part of what was reserved."""
        self._changes.put(count)

    def release(self, count: int) -> None:
        """Give bytes back; a finalizer may call this."""
        self._changes.put(-count)

    def close(self) -> None:
        """Let nobody wait any more."""
        self._is_closed = True
        self._changes.put(0)
