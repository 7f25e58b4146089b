"""Claims: products of a run that a worker has reserved, with their pages and checkpoints."""

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
    """Products reserved for this worker for a limited time; all their pages share the claim.

    `ended` is set when all products of the claim are stored, or when another worker has taken the
    claim. In the second case `lost` is true.
    """

    lost: bool = False
    ended: Event = field(default_factory=Event)

    def mark_lost(self) -> None:
        """Mark the claim as lost to another worker: its remaining pages will not be stored."""
        self.lost = True
        self.ended.set()

    def record_stored(self, _stored: "Checkpoint", _counts: "Counts | None" = None) -> None:
        """Record that the given page was stored, which ends a queue claim: it has only one page."""
        self.ended.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The results of processing some products.

    `products` has the counters of `report.Report`; `failures` counts the failures of each kind.
    """

    products: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def __add__(self, more: "Counts") -> "Counts":
        return Counts(
            products=self.products + more.products, failures=self.failures + more.failures
        )


@dataclass(slots=True, eq=False, kw_only=True)
class Lease(Claim):
    """A claim on a range of a run, or on what is left of that range, for a limited time.

    `fence` is a new random number each time that a worker leases the range, so that a worker that
    lost its lease cannot write. Pages may be stored in any order. `stored` counts the pages that
    were stored under this lease and under earlier leases of the range. `counts` has the results of
    the products on those pages. `ids` lists all products that were due in the range, if they were
    few.
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
        """Record that the next page was read and is being processed."""
        self._read.append(checkpoint)

    def is_stored(self, checkpoint: "Checkpoint") -> bool:
        """Return whether this page was recorded as stored."""
        return checkpoint.number in self._done

    def remaining_after(self, checkpoint: "Checkpoint") -> tuple[KeyRange, ...]:
        """Return the ranges that remain after this page is stored, with adjacent pages merged."""
        done = {*self._done, checkpoint.number}
        read = list(self._read)  # a copy: another thread appends pages meanwhile
        waiting = [one.range for one in read if one.number not in done]
        left: list[KeyRange] = []
        for one in (*waiting, *read[-1].rest):
            if left and left[-1].last == one.after is not None:
                left[-1] = KeyRange(after=left[-1].after, last=one.last)
            else:
                left.append(one)
        return tuple(left)

    def record_stored(self, stored: "Checkpoint", counts: Counts | None = None) -> None:
        """Record that this page was stored, and the results of its products."""
        if not self.is_stored(stored):
            self.stored += 1
            self.counts += counts or Counts()
            self._done.add(stored.number)
            if not self.remaining_after(stored):
                self.ended.set()


@dataclass(slots=True, eq=False, kw_only=True)
class QueueClaim(Claim):
    """Product variants claimed from the change queue; `token` marks its rows in the queue."""

    token: str
    rows: tuple[int, ...]
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The progress of a claim after a page; written in the same transaction as that page.

    `number` is the position of the page in its lease, counted from 0. `range` is the key range that
    the page covers; it begins where the previous page ended. `rest` has the key ranges after the
    page. A queue claim has a single page.
    """

    claim: Lease | QueueClaim
    number: int = 0
    range: KeyRange = WHOLE
    rest: tuple[KeyRange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Items that pass through the stages together, and the checkpoint that is stored with them."""

    items: Sequence[Item]
    checkpoint: Checkpoint


def per_page(function: Callable[[Sequence[In]], list[Out]]) -> Callable[[Page[In]], Page[Out]]:
    """Turn a function of items into a function of pages; pages of a lost claim come out empty.

    A claim is lost if another worker has taken it.
    """

    @wraps(function)
    def of_page(page: Page[In]) -> Page[Out]:
        items = [] if page.checkpoint.claim.lost else function(page.items)
        return Page(items=items, checkpoint=page.checkpoint)

    return of_page


def lease_pages(
    lease: Lease,
    batches: Callable[[KeyRange], Iterable[Sequence[Item]]],
    size: Callable[[], int],
    id_of: Callable[[Item], str],
) -> Iterator[Page[Item]]:
    """Divide the batches of a lease into pages; a batch's last page may be smaller.

    `size` returns how many items the next page has.

    After the last item of each range, an empty page covers the rest of the range.
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
            start = 0
            while start < len(batch):
                items = batch[start : start + size()]
                start += len(items)
                before, after = after, id_of(items[-1])
                rest = KeyRange(after=after, last=whole.last)
                if lease.lost:
                    return
                covered = KeyRange(after=before, last=after)
                yield page(items, covered, rest, *later)
        yield page((), KeyRange(after=after, last=whole.last), *later)
