"""Queues in which the callers take turns, however much one of them has put in."""

from collections import deque
from collections.abc import Container, Iterable, Iterator
from threading import Condition
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

    def has_any(self, skip: Container[str] = ()) -> bool:
        """Return whether there is an item of a caller other than those to skip."""
        return any(caller not in skip for caller in self._by_caller)

    def pop(self, skip: Container[str] = ()) -> Item:
        """Take the next item of a caller other than those to skip.

        Raises:
            IndexError: there is none.
        """
        caller = next((one for one in self._by_caller if one not in skip), None)
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


class BlockingFairQueue(Generic[Item]):
    """A `FairQueue` for threads, which wait for the next item."""

    def __init__(self) -> None:
        self._items: FairQueue[Item] = FairQueue()
        self._is_closed = False
        self._changed = Condition()

    def put(self, caller: str, item: Item) -> None:
        """Add an item of a caller."""
        with self._changed:
            self._items.extend(caller, [item])
            self._changed.notify_all()

    def get(self, skip: Container[str] = ()) -> Item | None:
        """Wait for the next item; None once the queue is closed and empty.

        Until it is closed, items of the callers to `skip` stay in the queue. Call `wake` after
        `skip` has become smaller.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items.has_any(skip) or self._is_closed)
            if self._is_closed:
                return self._items.pop() if self._items else None
            return self._items.pop(skip)

    def wake(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Let those who wait go on without an item."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
