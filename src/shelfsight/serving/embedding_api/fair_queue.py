"""A queue in which the callers take turns."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Items by caller: each caller's in the order of their arrival, and one of each caller in turn.

    So a caller with few items does not wait for all those of another. Not safe for threads.
    """

    def __init__(self) -> None:
        self._by_caller: dict[str, deque[Item]] = {}
        self._count = 0

    def extend(self, caller: str, items: Iterable[Item]) -> None:
        """Add items of a caller."""
        queue = self._by_caller.setdefault(caller, deque())
        before = len(queue)
        queue.extend(items)
        self._count += len(queue) - before
        if not queue:
            del self._by_caller[caller]

    def pop(self) -> Item:
        """Take the next item.

        Raises:
            IndexError: the queue is empty.
        """
        caller = next(iter(self._by_caller), None)
        if caller is None:
            raise IndexError("the queue is empty")
        queue = self._by_caller.pop(caller)
        item = queue.popleft()
        self._count -= 1
        if queue:
            self._by_caller[caller] = queue  # behind the others
        return item

    def clear(self) -> None:
        """Remove all items."""
        self._by_caller.clear()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        for queue in self._by_caller.values():
            yield from queue
