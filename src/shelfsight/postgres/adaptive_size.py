"""Does less in one transaction after a time limit of the database, and slowly more again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shelfsight.errors import DatabaseTimeoutError

Item = TypeVar("Item")
Result = TypeVar("Result")

SHRINK = 8
"""A size that took too long is divided by this."""

GROW_AFTER = 10
"""After this many transactions in time, the size is doubled."""


@dataclass(frozen=True, slots=True)
class Part(Generic[Item]):
    """Some of the items of a sequence, which one transaction handles; `is_last` if none follow."""

    items: Sequence[Item]
    is_last: bool

    @property
    def patient(self) -> bool:
        """Whether a time limit is waited out (see `Database.run`), for the part is the smallest."""
        return len(self.items) <= 1


class AdaptiveSize:
    """How many rows or items one transaction handles, at most `largest`."""

    def __init__(self, largest: int) -> None:
        self.largest = self.current = largest
        self._in_time = 0

    def run(self, work: Callable[[int, bool], Result]) -> Result:
        """Call `work(size, patient)`, with a smaller size after each time limit.

        `patient` says whether a time limit is to be waited out, for the size is the smallest.

        Raises:
            DatabaseTimeoutError: even one row takes too long.
        """
        while True:
            size = self.current
            try:
                result = work(size, size == 1)
            except DatabaseTimeoutError:
                if size == 1:
                    raise
                self.shrink(size)
            else:
                self.grow()
                return result

    def in_parts(
        self, items: Sequence[Item], work: Callable[[Part[Item]], Result]
    ) -> Iterator[Result]:
        """Call `work` for one part of the items after another; yield each result when it is there.

        Without items there is one part, which is empty.

        Raises:
            DatabaseTimeoutError: even one item takes too long.
        """
        start, is_over = 0, False
        while not is_over:
            end = start + self.current
            part = Part(items[start:end], is_last=end >= len(items))
            try:
                result = work(part)
            except DatabaseTimeoutError:
                if part.patient:
                    raise
                self.shrink(len(part.items))
            else:
                self.grow()
                yield result
                start, is_over = end, part.is_last

    def shrink(self, tried: int) -> None:
        """Note that a transaction over `tried` items took too long."""
        self.current = max(1, tried // SHRINK)
        self._in_time = 0

    def grow(self) -> None:
        """Note that a transaction ended in time."""
        self._in_time += 1
        if self._in_time >= GROW_AFTER:
            self.current = min(self.largest, 2 * self.current)
            self._in_time = 0
