"""A run of the backfill, cut into ranges of products that workers lease one after another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import wraps
from threading import Event
from typing import Any, Generic, Literal, TypeVar

from pydantic import TypeAdapter

from shelfsight.records import ModelPair, Selection

In = TypeVar("In")
Out = TypeVar("Out")
Item = TypeVar("Item")

RANGE = 2_000
"""About how many products a range has at the most."""

GRAIN = 125
"""About how many it has at the least, so that a small catalogue can be shared, too."""

_SHARES = 64
"""Into how many ranges a run is cut where they then have between `GRAIN` and `RANGE` products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked of a run. `max_batches` 0 means no limit.

    What is made `beside` is not used before a switch to its models.
    """

    selection: Selection
    batch_size: int
    max_batches: int
    images_per_product: int = 1
    beside: bool = False

    @property
    def limit(self) -> int | None:
        """The most products that a run of this takes, None where there is no limit."""
        return self.max_batches * self.batch_size or None

    @property
    def grain(self) -> int:
        """Products of the smallest range: whole batches, about `GRAIN` products."""
        return max(1, GRAIN // self.batch_size) * self.batch_size

    def products(self, due: int) -> int:
        """How many products a run takes where so many are due."""
        return due if self.limit is None else min(due, self.limit)

    def batches(self, products: int) -> int:
        """How many batches they make."""
        return -(-products // self.batch_size)

    def to_json(self) -> dict[str, Any]:
        """As it is kept in `"BackfillRuns"`."""
        kept: dict[str, Any] = _JOB.dump_python(self, mode="json")
        return kept

    @staticmethod
    def from_json(kept: dict[str, Any]) -> "Job":
        """Read what `to_json` gave."""
        return _JOB.validate_python(kept)


_JOB = TypeAdapter(Job)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """The products behind `after` and up to `last`, in order of their ids; None: no bound."""

    after: str | None = None
    last: str | None = None


WHOLE = KeyRange()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How many products are due, and the ranges that a run of them is made of."""

    due: int
    ranges: tuple[KeyRange, ...]

    def merged(self, job: Job) -> "Cut":
        """With neighbouring ranges put together, where there are many, up to `RANGE` products."""
        several = max(1, min(-(-len(self.ranges) // _SHARES), RANGE // job.grain))
        groups = [
            self.ranges[start : start + several] for start in range(0, len(self.ranges), several)
        ]
        wider = (KeyRange(after=group[0].after, last=group[-1].last) for group in groups)
        return replace(self, ranges=tuple(wider))


Outcome = Literal["running", "stopped", "done", "replaced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as it stands. `due` products were due when it began; `workers` are alive now.

    `counts` and `failures` are those of `report.Report`, of all workers together. It is `stopped`
    where nobody works on it though something is left.
    """

    id: int
    job: Job
    models: ModelPair
    due: int
    workers: int = 0
    outcome: Outcome = "running"
    counts: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    began: datetime | None = None
    ended: datetime | None = None

    @property
    def done(self) -> int:
        """Products that its workers have been through."""
        return self.counts.get("found", 0)

    @property
    def left(self) -> int:
        """Products that it still takes."""
        return max(self.job.products(self.due) - self.done, 0)


@dataclass(slots=True, eq=False, kw_only=True)
class Hold:
    """Products that are this worker's for a while: one object for all their pages.

    `ended` is set once they are done, or lost to another worker, which `lost` tells apart.
    """

    lost: bool = False
    ended: Event = field(default_factory=Event)

    def lose(self) -> None:
        """Another worker has them now: what is in hand of them is not stored."""
        self.lost = True
        self.ended.set()


@dataclass(slots=True, eq=False, kw_only=True)
class Lease(Hold):
    """A range of a run; `fence` tells this tenure from every other of that range."""

    run: int
    number: int
    fence: int
    range: KeyRange


@dataclass(slots=True, eq=False, kw_only=True)
class Take(Hold):
    """Variants out of the queue of changes; `rows` of it bear `token`, which no other take has."""

    token: str
    rows: tuple[int, ...]
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where in its lease a page lies: stored with the page, in one transaction.

    `before` is the id before its first product, `position` that of its last: the chain of them
    shows a page that a crash of the database has taken back. A take is one page.
    """

    lease: Lease | Take
    before: str | None = None
    position: str | None = None
    is_last: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """What travels from stage to stage."""

    items: Sequence[Item]
    mark: Mark


def each(function: Callable[[Sequence[In]], list[Out]]) -> Callable[[Page[In]], Page[Out]]:
    """A stage's function, which takes and gives the items of a page, over whole pages."""

    @wraps(function)
    def over(page: Page[In]) -> Page[Out]:
        return Page(items=[] if page.mark.lease.lost else function(page.items), mark=page.mark)

    return over


def marked(
    lease: Lease, pages: Iterable[list[Item]], id_of: Callable[[Item], str]
) -> Iterator[Page[Item]]:
    """The pages of a lease with their marks; an empty one where nothing of it is due any more."""
    before = lease.range.after
    waiting: list[Item] | None = None
    for page in pages:
        if lease.lost:
            return
        if waiting is not None:
            position = id_of(waiting[-1])
            mark = Mark(lease=lease, before=before, position=position, is_last=False)
            yield Page(items=waiting, mark=mark)
            before = position
        waiting = page
    end = id_of(waiting[-1]) if waiting else before
    mark = Mark(lease=lease, before=before, position=end, is_last=True)
    yield Page(items=waiting or [], mark=mark)
