"""The interfaces that a backfill relies on.

`wiring` chooses their implementations. `testing/` has an implementation of each interface in
memory. `tests/contract` runs the same tests on all implementations.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from threading import Event
from typing import Protocol

from shelfsight.backfill.leases import Checkpoint, Lease, QueueClaim
from shelfsight.backfill.runs import WHOLE, Job, KeyRange, Partitioning, Run
from shelfsight.records import (
    Due,
    EmbeddedProduct,
    FetchedProduct,
    ModelPair,
    Product,
    Selection,
    VectorCounts,
)


class Catalog(Protocol):
    """The shop's products, as a backfill reads them."""

    def check(self) -> None:
        """Read one product as `pages` does, whether it is due or not.

        Raises:
            SchemaError: a table or a column is missing; the message says what to do.
            CatalogueChangedError: one that an earlier run has read.
        """
        ...

    def remember(self) -> None:
        """Remember which columns there are, so that later runs notice if one is gone."""
        ...

    def forget(self) -> None:
        """Forget which columns there were, because what is gone is gone on purpose."""
        ...

    def due(self, selection: Selection) -> Due:
        """Count the products that `pages` would yield."""
        ...

    def partition(self, selection: Selection, size: int, limit: int | None = None) -> Partitioning:
        """Divide the products that are due into key ranges of `size` products each.

        With a `limit`, only that many products are divided. Without a limit, the last range has no
        upper bound, so that it includes products that are added during the run.
        """
        ...

    def pages(
        self, selection: Selection, size: int, within: KeyRange = WHOLE
    ) -> Iterator[list[Product]]:
        """Yield the due products in order of id, in pages of `size`; the last may be shorter."""
        ...


class ImageFetcher(Protocol):
    """Fetches pictures and decodes them. The failure of a picture is returned, never raised.

    Several threads may call `fetch` at the same time.
    """

    def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        """Return the products of a page, in order, with their pictures decoded and resized.

        A product with `files` has a stored image vector that is checked: its pictures are returned
        only if the vector must be made again (see `refetch.stays`). Otherwise the unchanged files
        are returned.
        """
        ...

    def close(self) -> None:
        """Close connections and end threads."""
        ...


class VectorStore(Protocol):
    """Stores the vectors and the failures of products."""

    def require(self, models: ModelPair, *, replace: bool = False) -> None:
        """Check, before anything is written, that new vectors are compatible with the stored ones.

        With `replace`, stored vectors of other models are accepted, because the run replaces them.

        Raises:
            SchemaError: columns are missing or have other dimensions.
            ModelMismatchError: other models made the stored vectors, and `replace` is false.
        """
        ...

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        """Store a page in one transaction and return what was stored.

        Saving a page twice changes nothing.

        With a `checkpoint`, the progress of its claim is written in the same transaction; if the
        claim was lost, nothing is stored and `[]` is returned.

        A vector that could not be made anew stays while its content is unchanged, and is part of
        the returned product.

        A product whose stored vectors changed since it was read is left out, and is due again.

        Of an untouched product (`is_untouched`) no vector is written: only `files`, and the
        failures of its pictures.
        """
        ...

    def count(self) -> VectorCounts:
        """Count the stored vectors of products that the shop has."""
        ...

    def recombine(self) -> int:
        """Recompute combined vectors that were made with other weights; return their number."""
        ...


class AttemptLog(Protocol):
    """Records which products are being embedded, so that it is known where a worker was killed."""

    def unended(self) -> dict[str, int]:
        """Return how often the embedding of each product began since it last ended.

        Products that were recorded as failed for that reason begin anew.
        """
        ...

    def begin(self, ids: Sequence[str]) -> None:
        """Record, before they are embedded, that these products are."""
        ...

    def end(self, ids: Sequence[str]) -> None:
        """Record that this has ended, whether it succeeded or not."""
        ...


class Ledger(Protocol):
    """Records the runs, and which worker has leased which range of a run."""

    def begin(
        self,
        job: Job,
        models: ModelPair,
        partition: Callable[[], Partitioning],
        stop: Event,
        notify: Callable[[str], None],
    ) -> tuple[Run, bool]:
        """Return the active run of this job, or a new run over the ranges that `partition` returns.

        The second value is true if an active run was joined. If workers of the run have not
        reported lately, this call waits for them until `stop` is set.
        """
        ...

    def leases(
        self, run: Run, stop: Event, notify: Callable[[str], None]
    ) -> AbstractContextManager[Iterator[Lease]]:
        """Return a context that yields the ranges of a run as this worker leases them.

        The iteration ends when no range is left, or once `stop` is set. Within the context the
        leases are renewed. At its end, ranges that are not done are returned to the run.
        """
        ...

    def run(self, id_: int) -> Run:
        """Return the current state of a run."""
        ...

    def accept_losses(self, run: Run) -> Run:
        """Let a run take away any number of stored vectors; return its current state."""
        ...

    def close(self, run: Run) -> Run:
        """Close a run if no work is left in it; return its current state."""
        ...


class OrphanPruner(Protocol):
    """Deletes what is stored of products that the shop has deleted."""

    def are_in_shop(self, ids: Sequence[str]) -> bool:
        """Return whether the shop still has all these products."""
        ...

    def prune(self) -> int:
        """Delete the rows of deleted products, unless they are many; return how many there were."""
        ...


class ChangeQueue(Protocol):
    """A queue of products that may have changed; any number of workers claim products from it."""

    def claim(self, limit: int, *, newest: bool) -> QueueClaim | None:
        """Claim up to `limit` products, the newest changes or the oldest; None if there are none.

        Claimed products leave the queue in the transaction that stores their page. Until then no
        other worker can claim them. If a claimed product changes again, that change gets a new
        entry in the queue.
        """
        ...

    def drop(self, claim: QueueClaim) -> None:
        """Remove the products of a claim from the queue, because none of them is due."""
        ...

    def release(self) -> None:
        """Return to the queue what this worker, and workers that have ended, left unfinished."""
        ...

    def add(self, ids: Sequence[str], *, as_change: bool) -> None:
        """Add the products that are not queued yet.

        They count as new changes if `as_change` is true, else as older than all changes.
        """
        ...

    def add_retries(self, limit: int) -> None:
        """Add up to `limit` products that failed and whose time for another attempt has come."""
        ...

    def is_full(self, enough: int) -> bool:
        """Return whether at least `enough` products are queued."""
        ...

    def is_told(self) -> bool:
        """Return whether triggers on the shop's tables report changes."""
        ...

    def is_run_at_work(self) -> bool:
        """Return whether a worker of a backfill currently holds a range of products."""
        ...
