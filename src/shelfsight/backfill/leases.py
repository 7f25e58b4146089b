"""What one worker holds of the work, and the pages in which it goes through it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import wraps
from itertools import count
from threading import Event
from typing import Generic, TypeVar

from shelfsight.backfill.runs import WHOLE, KeyRange

In = TypeVar("In")
Out = TypeVar("Out")
Item = TypeVar("Item")


@dataclass(slots=True, eq=False, kw_only=True)
class Claim:
    """Products that are this worker's for a while: one object for all their pages.

    `ended` is set once they are done, or lost to another worker, which `lost` tells apart.
    """

    lost: bool = False
    ended: Event = field(default_factory=Event)

    def lose(self) -> None:
        """Another worker has them now: what is in hand of them is not stored."""
        self.lost = True
        self.ended.set()

    def note(self, _stored: "Checkpoint", _counts: "Counts | None" = None) -> None:
        """That page of it is stored: its only one."""
        self.ended.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of products: as `report.Report` has it, and the failures by kind."""

    products: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def __add__(self, more: "Counts") -> "Counts":
        return Counts(
            products=self.products + more.products, failures=self.failures + more.failures
        )


@dataclass(slots=True, eq=False, kw_only=True)
class Lease(Claim):
    """What was left of a range of a run; `fence` tells this tenure from every other of it.

    Its pages are stored in any order. `stored` is how many were, in this tenure and before, and
    `counts` what became of their products. `ids` are all that were due in it, where they were few.
    """

    run: int
    number: int
    fence: int
    ranges: tuple[KeyRange, ...]
    ids: tuple[str, ...] | None = None
    stored: int = 0
    counts: Counts = field(default_factory=Counts)
    _read: list["Checkpoint"] = field(default_factory=list)
    _done: set[int] = field(default_factory=set)

    def read(self, checkpoint: "Checkpoint") -> None:
        """That page of it is on its way: the next one."""
        self._read.append(checkpoint)

    def has(self, checkpoint: "Checkpoint") -> bool:
        """Whether that page was noted before."""
        return checkpoint.number in self._done

    def left(self, checkpoint: "Checkpoint") -> tuple[KeyRange, ...]:
        """What is left of it once this page is stored, too; a run of pages is one range."""
        done = {*self._done, checkpoint.number}
        read = list(self._read)  # another thread reads on
        waiting = [one.range for one in read if one.number not in done]
        left: list[KeyRange] = []
        for one in (*waiting, *read[-1].rest):
            if left and left[-1].last == one.after is not None:
                left[-1] = KeyRange(after=left[-1].after, last=one.last)
            else:
                left.append(one)
        return tuple(left)

    def note(self, stored: "Checkpoint", counts: Counts | None = None) -> None:
        """That page of it is stored."""
        if not self.has(stored):
            self.stored += 1
            self.counts += counts or Counts()
            self._done.add(stored.number)
            if not self.left(stored):
                self.ended.set()


@dataclass(slots=True, eq=False, kw_only=True)
class QueueClaim(Claim):
    """Variants out of the queue of changes; `rows` of it bear `token`, which no other take has."""

    token: str
    rows: tuple[int, ...]
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Which page of its lease it is, stored with the page in one transaction; a take has but one.

    `range` is what it covers, from the page before it on, and `rest` what lies behind it.
    """

    lease: Lease | QueueClaim
    number: int = 0
    range: KeyRange = WHOLE
    rest: tuple[KeyRange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """What travels from stage to stage."""

    items: Sequence[Item]
    checkpoint: Checkpoint


def each(function: Callable[[Sequence[In]], list[Out]]) -> Callable[[Page[In]], Page[Out]]:
    """A stage's function, which takes and gives the items of a page, over whole pages."""

    @wraps(function)
    def over(page: Page[In]) -> Page[Out]:
        items = [] if page.checkpoint.lease.lost else function(page.items)
        return Page(items=items, checkpoint=page.checkpoint)

    return over


def pages(
    lease: Lease,
    batches: Callable[[KeyRange], Iterable[Sequence[Item]]],
    size: int,
    id_of: Callable[[Item], str],
) -> Iterator[Page[Item]]:
    """The pages of a lease, `size` items each, the last of a batch shorter.

    An empty one covers what is behind the last item of a range.
    """
    numbers = count()

    def page(items: Sequence[Item], *left: KeyRange) -> Page[Item]:
        covered, *rest = left
        checkpoint = Checkpoint(lease=lease, number=next(numbers), range=covered, rest=tuple(rest))
        lease.read(checkpoint)
        return Page(items=items, checkpoint=checkpoint)

    for index, whole in enumerate(lease.ranges):
        later, after = lease.ranges[index + 1 :], whole.after
        for batch in batches(whole):
            for start in range(0, len(batch), size):
                items = batch[start : start + size]
                before, after = after, id_of(items[-1])
                rest = KeyRange(after=after, last=whole.last)
                if lease.lost:
                    return
                covered = KeyRange(after=before, last=after)
                yield page(items, covered, rest, *later)
        yield page((), KeyRange(after=after, last=whole.last), *later)
