"""A run of the backfill, cut into ranges of products that workers lease one after another."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, TypeAdapter

from shelfsight.records import ModelPair, Selection

RANGE = 2_000
"""About how many products a range has at the most."""

GRAIN = 125
"""About how many it has at the least, so that a small catalogue can be shared, too."""

IN_HAND = 2
"""Pages that a worker embeds or stores at a time: what is lost with it, and no more."""

_SHARES = 64
"""Into how many ranges a run is cut where they then have between `GRAIN` and `RANGE` products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked of a run. `max_batches` 0 means no limit.

    What is made `staged` is not used before a switch to its models.
    """

    selection: Selection
    batch_size: int
    max_batches: int
    images_per_product: int = 1
    staged: Annotated[bool, Field(validation_alias=AliasChoices("staged", "beside"))] = False

    @property
    def limit(self) -> int | None:
        """The most products that a run of this takes, None where there is no limit."""
        return self.max_batches * self.batch_size or None

    @property
    def grain(self) -> int:
        """Products of the smallest range: whole batches, about `GRAIN` products."""
        return max(1, GRAIN // self.batch_size) * self.batch_size

    @property
    def page(self) -> int:
        """Products of a page: so few that a batch is all that a worker has in hand of them."""
        return max(1, self.batch_size // IN_HAND)

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
class Partitioning:
    """How many products are due, and the ranges that a run of them is made of.

    Where they are few among many `ids` are all of theirs, in order, found up to the id `last`.
    """

    due: int
    ranges: tuple[KeyRange, ...]
    ids: tuple[str, ...] | None = None
    last: str | None = None

    def merged(self, job: Job) -> "Partitioning":
        """With neighbouring ranges put together, where there are many, up to `RANGE` products."""
        several = max(1, min(-(-len(self.ranges) // _SHARES), RANGE // job.grain))
        groups = [
            self.ranges[start : start + several] for start in range(0, len(self.ranges), several)
        ]
        wider = (KeyRange(after=group[0].after, last=group[-1].last) for group in groups)
        return replace(self, ranges=tuple(wider))

    def ranges_with_ids(self) -> Iterator[tuple[KeyRange, list[str] | None]]:
        """Each range with its ids, if they are known. What comes behind `last` is one more then."""
        if self.ids is None:
            yield from ((one, None) for one in self.ranges)
            return
        start, places = 0, {id_: place for place, id_ in enumerate(self.ids, 1)}
        for one in self.ranges:
            end = places.get(one.last or "", len(self.ids))
            yield replace(one, last=one.last or self.last), list(self.ids[start:end])
            start = end
        if self.ranges and self.ranges[-1].last is None:
            yield KeyRange(after=self.last), None


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
