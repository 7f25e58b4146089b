"""A queue that several callers share: each has its turn, however much another has put in."""

from collections import OrderedDict, deque
from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Gives one item of each caller in turn; the items of one caller in order. Thread-safe."""

    def __init__(self) -> None:
        self._by_caller: OrderedDict[str, deque[Item]] = OrderedDict()
        self._is_closed = False
        self._changed = Condition()

    def put(self, caller: str, item: Item) -> None:
        """Add an item of a caller."""
        with self._changed:
            self._by_caller.setdefault(caller, deque()).append(item)
            self._changed.notify()

    def get(self) -> Item | None:
        """Wait for the next item; None once the queue is closed and empty."""
        with self._changed:
            while not self._by_caller:
                if self._is_closed:
                    return None
                self._changed.wait()
            caller, items = self._by_caller.popitem(last=False)
            item = items.popleft()
            if items:
                self._by_caller[caller] = items  # its next turn comes after those of the others
            return item

    def close(self) -> None:
        """Let those who wait go on without an item."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
