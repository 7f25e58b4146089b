"""A run of the backfill: its job, and the ranges of products that workers lease one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, TypeAdapter

from shelfsight.records import ModelPair, Selection

MAX_RANGE_SIZE = 2_000
"""Products in the largest range, roughly."""

MIN_RANGE_SIZE = 125
"""Products in the smallest range, roughly: few, so that workers can share a small catalogue."""

PAGES_IN_FLIGHT = 2
"""Pages that a worker embeds or stores at a time. They are what it may lose when it is killed."""

_MANY_RANGES = 64
"""Ranges that a run has, if they then hold between the least and the most products each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is asked to do. `max_batches` 0 means no limit.

    The vectors of a `staged` job are not searched before a switch to them.
    """

    selection: Selection
    batch_size: int
    max_batches: int
    images_per_product: int = 1
    staged: Annotated[bool, Field(validation_alias=AliasChoices("staged", "beside"))] = False

    @property
    def limit(self) -> int | None:
        """The most products that a run of this job takes; None means no limit."""
        return self.max_batches * self.batch_size or None

    @property
    def range_size(self) -> int:
        """Products in the smallest range: whole batches, about `MIN_RANGE_SIZE` products."""
        return max(1, MIN_RANGE_SIZE // self.batch_size) * self.batch_size

    @property
    def page_size(self) -> int:
        """Products in a page: the pages in hand of a worker make up one batch."""
        return max(1, self.batch_size // PAGES_IN_FLIGHT)

    def products(self, due: int) -> int:
        """How many products a run takes if `due` are due."""
        return due if self.limit is None else min(due, self.limit)

    def batches(self, products: int) -> int:
        """How many batches so many products make."""
        return -(-products // self.batch_size)

    def to_json(self) -> dict[str, Any]:
        """The JSON that `"BackfillRuns"` stores."""
        kept: dict[str, Any] = _JOB.dump_python(self, mode="json")
        return kept

    @staticmethod
    def from_json(kept: dict[str, Any]) -> "Job":
        """Read what `to_json` returned, also in an earlier version."""
        return _JOB.validate_python(kept)


_JOB = TypeAdapter(Job)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """The products with ids greater than `after` and up to `last`; None means no bound."""

    after: str | None = None
    last: str | None = None


WHOLE = KeyRange()


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitioning:
    """How many products are due, and the key ranges that together hold them.

    If few of many are due, `ids` lists all of them in order, found up to the id `last`.
    """

    due: int
    ranges: tuple[KeyRange, ...]
    ids: tuple[str, ...] | None = None
    last: str | None = None

    def merged(self, job: Job) -> "Partitioning":
        """Merge neighbouring ranges, up to `MAX_RANGE_SIZE` products each, if there are many."""
        several = max(
            1, min(-(-len(self.ranges) // _MANY_RANGES), MAX_RANGE_SIZE // job.range_size)
        )
        groups = [
            self.ranges[start : start + several] for start in range(0, len(self.ranges), several)
        ]
        wider = (KeyRange(after=group[0].after, last=group[-1].last) for group in groups)
        return replace(self, ranges=tuple(wider))

    def ranges_with_ids(self) -> Iterator[tuple[KeyRange, list[str] | None]]:
        """Yield each range with the ids in it, if they are known, else None.

        Products added after the id `last` are then covered by one more range without ids.
        """
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

    `counts` and `failures` are those of `report.Report`, summed over all workers. The outcome is
    `stopped` if something is left and nobody works on it.
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
        """Products that its workers have finished."""
        return self.counts.get("found", 0)

    @property
    def remaining(self) -> int:
        """Products that are still to be done."""
        return max(self.job.products(self.due) - self.done, 0)
