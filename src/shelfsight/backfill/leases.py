"""What a worker claims of a run, and the pages and checkpoints in which it works through it."""

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
    """Products that belong to this worker for a while; all their pages share this object.

    `ended` is set when they are done or lost; `lost` tells which.
    """

    lost: bool = False
    ended: Event = field(default_factory=Event)

    def mark_lost(self) -> None:
        """Mark the claim as lost to another worker: pages in hand are not stored any more."""
        self.lost = True
        self.ended.set()

    def record_stored(self, _stored: "Checkpoint", _counts: "Counts | None" = None) -> None:
        """Record that the given page was stored; a queue claim has only one."""
        self.ended.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of some products: counters of `report.Report`, and failures by kind."""

    products: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def __add__(self, more: "Counts") -> "Counts":
        return Counts(
            products=self.products + more.products, failures=self.failures + more.failures
        )


@dataclass(slots=True, eq=False, kw_only=True)
class Lease(Claim):
    """A claim on the rest of a range of a run, for a limited time.

    `fence` is drawn anew for each tenure, so that a worker that lost its lease cannot write. Pages
    may be stored in any order. `stored` counts the stored pages of this and earlier tenures, and
    `counts` says what became of their products. `ids` lists all products that were due in the
    range, if they were few.
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

    def add_page(self, checkpoint: "Checkpoint") -> None:
        """Record that the next page was read and is on its way."""
        self._read.append(checkpoint)

    def is_stored(self, checkpoint: "Checkpoint") -> bool:
        """Whether this page was recorded as stored."""
        return checkpoint.number in self._done

    def remaining_after(self, checkpoint: "Checkpoint") -> tuple[KeyRange, ...]:
        """The ranges that remain once this page is stored too; adjacent pages become one range."""
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

    def record_stored(self, stored: "Checkpoint", counts: Counts | None = None) -> None:
        """Record that this page was stored, and what became of its products."""
        if not self.is_stored(stored):
            self.stored += 1
            self.counts += counts or Counts()
            self._done.add(stored.number)
            if not self.remaining_after(stored):
                self.ended.set()


@dataclass(slots=True, eq=False, kw_only=True)
class QueueClaim(Claim):
    """Variants claimed from the change queue; their `rows` bear a `token` of this claim."""

    token: str
    rows: tuple[int, ...]
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far a claim is once a page is stored; it is written in the same transaction as the page.

    `number` counts the pages of a lease. `range` is what the page covers, beginning after the page
    before it; `rest` is what lies behind it. A queue claim has a single page.
    """

    claim: Lease | QueueClaim
    number: int = 0
    range: KeyRange = WHOLE
    rest: tuple[KeyRange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Items that travel through the stages together, with the checkpoint they are stored with."""

    items: Sequence[Item]
    checkpoint: Checkpoint


def per_page(function: Callable[[Sequence[In]], list[Out]]) -> Callable[[Page[In]], Page[Out]]:
    """Lift a function over items to one over pages; a page whose claim is lost comes out empty."""

    @wraps(function)
    def of_page(page: Page[In]) -> Page[Out]:
        items = [] if page.checkpoint.claim.lost else function(page.items)
        return Page(items=items, checkpoint=page.checkpoint)

    return of_page


def lease_pages(
    lease: Lease,
    batches: Callable[[KeyRange], Iterable[Sequence[Item]]],
    size: int,
    id_of: Callable[[Item], str],
) -> Iterator[Page[Item]]:
    """Cut the batches of a lease into pages of `size` items, or fewer at a batch's end.

    After the last item of each range comes an empty page that covers the rest of the range.
    """
    numbers = count()

    def page(items: Sequence[Item], *left: KeyRange) -> Page[Item]:
        covered, *rest = left
        checkpoint = Checkpoint(claim=lease, number=next(numbers), range=covered, rest=tuple(rest))
        lease.add_page(checkpoint)
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
