"""A run of the backfill: its job, and the ranges of products that workers lease one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, TypeAdapter

from shelfsight.records import NO_VECTORS, ModelPair, Selection, TextField, VectorCounts

MAX_RANGE_SIZE = 2_000
"""Approximate number of products in the largest range."""

MIN_RANGE_SIZE = 125
"""Approximate products in the smallest range: few, so that workers can share a small catalogue."""

PAGES_IN_FLIGHT = 2
"""Pages that a worker embeds or stores at the same time, and loses if it is killed."""

_MANY_RANGES = 64
"""Number of ranges to aim for, within the limits on the size of a range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The task of a run: which products, in batches of which size. `max_batches` 0 means no limit.

    If products stay due when they are done (`Selection.stays_due`), the limit is one of each call:
    the run stays open, and the next call of the same job goes on with it, in batches of any size.

    `text_fields` are those that the settings ask for, if they do.

    The vectors of a `staged` job are stored in a second set. Scans do not search that set until the
    user switches to it.
    """

    selection: Selection
    batch_size: int
    max_batches: int
    images_per_product: int = 1
    text_fields: tuple[TextField, ...] | None = None
    staged: Annotated[bool, Field(validation_alias=AliasChoices("staged", "beside"))] = False

    @property
    def limit(self) -> int | None:
        """The largest number of products that a call processes; None means no limit."""
        return self.max_batches * self.batch_size or None

    @property
    def run_limit(self) -> int | None:
        """The largest number of products that all calls of a run process; None means no limit."""
        return None if self.selection.stays_due else self.limit

    @property
    def call_limit(self) -> int | None:
        """The number of products after which a call leaves the rest to the next one, or None."""
        return self.limit if self.selection.stays_due else None

    @property
    def range_size(self) -> int:
        """Number of products in the smallest range: whole batches, about `MIN_RANGE_SIZE`."""
        return max(1, MIN_RANGE_SIZE // self.batch_size) * self.batch_size

    @property
    def page_size(self) -> int:
        """Number of products in a page; `PAGES_IN_FLIGHT` pages make up a batch."""
        return max(1, self.batch_size // PAGES_IN_FLIGHT)

    def products(self, due: int) -> int:
        """Return how many products a call processes if `due` products are due."""
        return due if self.limit is None else min(due, self.limit)

    def batches(self, products: int) -> int:
        """Return the number of batches that this number of products is divided into."""
        return -(-products // self.batch_size)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that `"BackfillRuns"` stores for this job."""
        kept: dict[str, Any] = _JOB.dump_python(self, mode="json")
        if self.text_fields is None:  # as in the runs of releases that had no such field
            del kept["text_fields"]
        return kept

    @staticmethod
    def from_json(kept: dict[str, Any]) -> "Job":
        """Return the job from what `to_json` of this or an earlier version returned."""
        return _JOB.validate_python(kept)


_JOB = TypeAdapter(Job)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """The products with ids greater than `after` and at most `last`; None means no bound."""

    after: str | None = None
    last: str | None = None


WHOLE = KeyRange()


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitioning:
    """The number of products that are due, and the key ranges that together contain them.

    If only a small part of a large catalogue is due, `ids` lists all these products in order;
    `last` is the last id of the catalogue that was examined. `selected` counts the products that
    were examined, whether they are due or not. `lost` counts the stored vectors that the run would
    take away, because their products have no such content any more; `losses_accepted` tells that
    somebody agreed to lose any number.
    """

    due: int
    selected: int
    ranges: tuple[KeyRange, ...]
    ids: tuple[str, ...] | None = None
    last: str | None = None
    lost: VectorCounts = NO_VECTORS
    losses_accepted: bool = False

    def merged(self, job: Job) -> "Partitioning":
        """Merge neighbouring ranges if there are many, up to `MAX_RANGE_SIZE` products each."""
        several = max(
            1, min(-(-len(self.ranges) // _MANY_RANGES), MAX_RANGE_SIZE // job.range_size)
        )
        groups = [
            self.ranges[start : start + several] for start in range(0, len(self.ranges), several)
        ]
        wider = (KeyRange(after=group[0].after, last=group[-1].last) for group in groups)
        return replace(self, ranges=tuple(wider))

    def ranges_with_ids(self) -> Iterator[tuple[KeyRange, list[str] | None]]:
        """Yield each range with the ids of the due products in it, or None if they are unknown.

        Products that were added after the id `last` are covered by one more range, without ids.
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
    """The current state of a run.

    `due` is how many products were due when the run began; `workers` is how many workers are active
    now. `counts` and `failures` are those of `report.Report`, summed over all workers. The outcome
    is `stopped` if work is left and no worker is active. With `losses_accepted` the run may take
    away any number of stored vectors.
    """

    id: int
    job: Job
    models: ModelPair
    due: int
    workers: int = 0
    outcome: Outcome = "running"
    counts: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    losses_accepted: bool = False
    began: datetime | None = None
    ended: datetime | None = None

    @property
    def done(self) -> int:
        """The number of products that the workers have finished."""
        return self.counts.get("found", 0)

    @property
    def remaining(self) -> int:
        """The number of products that a call of its job still processes."""
        if self.job.selection.stays_due:
            return self.job.products(max(self.due - self.done, 0))
        return max(self.job.products(self.due) - self.done, 0)

    @property
    def left(self) -> int:
        """The number of products due when the run began that are not done, whatever its limit."""
        if self.outcome != "done":
            return max(self.due - self.done, 0)
        limit = self.job.run_limit
        return 0 if limit is None else max(self.due - limit, 0)
