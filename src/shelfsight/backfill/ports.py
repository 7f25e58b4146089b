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
        """Count the products that `pages` would yield."""
        ...

    def partition(self, selection: Selection, size: int, limit: int | None = None) -> Partitioning:
        """Divide what is due into key ranges of `size` products, up to `limit` products in all.

        Without a limit the last range is open, so that it covers products that are added meanwhile.
        """
        ...

    def pages(
        self, selection: Selection, size: int, within: KeyRange = WHOLE
    ) -> Iterator[list[Product]]:
        """Yield the products that are due by id, `size` a page, the last page shorter."""
        ...


class ImageFetcher(Protocol):
    """Fetches pictures and decodes them. A picture's failure is a value and never raises.

    Several threads may fetch at the same time.
    """

    def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        """Return the products of a page, in order, with their pictures decoded and resized.

        If a product comes with `files`, its stored image is only made anew if one of them has
        changed; see `refetch.stays`. The files that are unchanged are passed on.
        """
        ...

    def close(self) -> None:
        """Close connections and end threads."""
        ...


class VectorStore(Protocol):
    """Stores vectors and failures."""

    def require(self, models: ModelPair, *, replace: bool = False) -> None:
        """Refuse, before the first write, vectors that would not fit those that are stored.

        Raises:
            SchemaError: columns are missing or have other dimensions.
            ModelMismatchError: other models made the stored vectors, and not `replace`.
        """
        ...

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        """Store a page in one transaction and return what was stored.

        Saving a page twice changes nothing. With a `checkpoint` its claim advances in the same
        transaction; if the claim was lost, nothing is stored and `[]` is returned. A vector that
        could not be made anew stays while its content is unchanged. The returned products have
        their stored vectors too; a product whose stored vectors changed since it was read is left
        out, and is due again. Of an untouched product only the failures of its pictures and its
        files are updated.
        """
        ...

    def recombine(self) -> int:
        """Recompute combined vectors that were made with other weights; return how many."""
        ...


class Ledger(Protocol):
    """Keeps the runs, and which worker holds which range of them."""

    def begin(
        self,
        job: Job,
        models: ModelPair,
        partition: Callable[[], Partitioning],
        stop: Event,
        notify: Callable[[str], None],
    ) -> tuple[Run, bool]:
        """Return the run of this job that is at work, else a new one of what `partition` returns.

        The second value tells whether the run was joined. Workers that were silent lately are
        waited for, until `stop` is set.
        """
        ...

    def leases(
        self, run: Run, stop: Event, notify: Callable[[str], None]
    ) -> AbstractContextManager[Iterator[Lease]]:
        """A context that yields the ranges of a run as this worker leases them, until all are done.

        Within the context the leases are renewed; at its end those not done go back to the run. It
        also ends once `stop` is set.
        """
        ...

    def run(self, id_: int) -> Run:
        """Return a run as it stands."""
        ...

    def close(self, run: Run) -> Run:
        """Close a run if nothing is left of it; return it as it stands."""
        ...


class ChangeQueue(Protocol):
    """Products that may have changed; any number of workers claim from it."""

    def claim(self, limit: int, *, newest: bool) -> QueueClaim | None:
        """Claim up to `limit` products, the newest changes or the oldest; None if there are none.

        They leave the queue in the transaction that stores their page. Until then no other worker
        gets them, even if they change again: that is another entry.
        """
        ...

    def drop(self, claim: QueueClaim) -> None:
        """Remove the products of a claim of which nothing is due."""
        ...

    def release(self) -> None:
        """Put back what this worker still holds, and what workers that have ended held."""
        ...

    def add(self, ids: Sequence[str], *, as_change: bool) -> None:
        """Add products that are not queued; unless `as_change`, as older than all changes."""
        ...

    def add_retries(self, limit: int) -> None:
        """Add up to `limit` products that failed and may be tried again by now."""
        ...

    def is_full(self, enough: int) -> bool:
        """Whether at least `enough` products are queued."""
        ...

    def is_told(self) -> bool:
        """Whether triggers on the shop's tables report changes."""
        ...

    def is_run_at_work(self) -> bool:
        """Whether a worker of a backfill holds a range."""
        ...
