"""The contracts that a backfill relies on.

`wiring` chooses the implementations; `testing/` ships one of each that lives in memory;
`tests/contract` runs one suite over all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from threading import Event
from typing import Protocol

from shelfsight.backfill.leases import Checkpoint, Lease, QueueClaim
from shelfsight.backfill.runs import WHOLE, Job, KeyRange, Partitioning, Run
from shelfsight.records import Due, EmbeddedProduct, FetchedProduct, ModelPair, Product, Selection


class Catalog(Protocol):
    """The shop's products."""

    def due(self, selection: Selection) -> Due:
        """Count what `pages` would give."""
        ...

    def partition(self, selection: Selection, size: int, limit: int | None = None) -> Partitioning:
        """Divide what is due into ranges of `size` products, up to `limit` of them.

        The last range is open where there is no limit: what is added meanwhile belongs to it.
        """
        ...

    def pages(
        self, selection: Selection, size: int, within: KeyRange = WHOLE
    ) -> Iterator[list[Product]]:
        """The products that are due, in order of their ids, `size` a page, the last shorter."""
        ...


class ImageFetcher(Protocol):
    """From addresses to pixels. Never raises for a picture: failures are values.

    Several threads may fetch at the same time.
    """

    def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        """The products of a page, in order, with their pictures decoded and resized.

        The image of one that has `files` is needed no more if they are as they were, or cannot be
        had: then what is stored stays. Those that are as they were are handed on.
        """
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...


class VectorStore(Protocol):
    """Where vectors and failures are kept."""

    def require(self, models: ModelPair, *, replace: bool = False) -> None:
        """Refuse, before the first write, vectors that would not fit those that are stored.

        Raises:
            SchemaError: the columns are missing or of other dimensions.
            ModelMismatchError: other models made the stored vectors, and not `replace`.
        """
        ...

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        """Store a page in one transaction, and hand it on. Saving it again changes nothing.

        With `checkpoint` its lease moves on in the same transaction; gives `[]` where that is lost.
        A stored vector that could not be made anew stays while its content is the same. One that
        was not needed is handed on too; if it is no longer what it was when the product was read,
        the product is neither stored nor handed on: it is due again. One that is untouched has
        what failed of its pictures cleared or noted, and its files brought up to date, no more.
        """
        ...

    def recombine(self) -> int:
        """Bring combined vectors made with other weights up to date; gives how many."""
        ...


class Ledger(Protocol):
    """Which runs there are, and which worker holds which range of them."""

    def begin(
        self,
        job: Job,
        models: ModelPair,
        partition: Callable[[], Partitioning],
        stop: Event,
        notify: Callable[[str], None],
    ) -> tuple[Run, bool]:
        """The run of this job that somebody works on, else a new one of what `partition` gives.

        The second value says whether it was there before. Until `stop` is set, workers that were
        not heard of lately are waited for a while.
        """
        ...

    def leases(
        self, run: Run, stop: Event, notify: Callable[[str], None]
    ) -> AbstractContextManager[Iterator[Lease]]:
        """The ranges of a run as this worker comes by them, until all are done or `stop` is set.

        Within the context they are kept alive; at its end those not done go back to the run.
        """
        ...

    def run(self, id_: int) -> Run:
        """A run as it stands."""
        ...

    def close(self, run: Run) -> Run:
        """Close a run of which nothing is left; gives it as it stands."""
        ...


class ChangeQueue(Protocol):
    """Products that may have changed, which any number of workers take from."""

    def claim(self, limit: int, *, newest: bool) -> QueueClaim | None:
        """Up to `limit` products, the newest changes or the oldest, for this worker alone.

        They leave the queue with the page that is saved under the take's mark. None of them is
        given to another meanwhile, even if it changes again: that is a change of its own.
        """
        ...

    def drop(self, claim: QueueClaim) -> None:
        """Nothing of it is due."""
        ...

    def release(self) -> None:
        """Put back all that this worker still holds, and what workers that are gone do."""
        ...

    def add(self, ids: Sequence[str], *, as_change: bool) -> None:
        """Put in what does not wait there; unless `as_change`, it counts as older than those."""
        ...

    def add_retries(self, limit: int) -> None:
        """Put in up to `limit` products that failed and may be tried again by now."""
        ...

    def is_full(self, enough: int) -> bool:
        """Whether so many products wait."""
        ...

    def is_told(self) -> bool:
        """Whether the shop's own tables put in what changes."""
        ...

    def is_run_at_work(self) -> bool:
        """Whether a worker of a backfill holds a range of products."""
        ...
