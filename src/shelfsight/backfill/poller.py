"""Finds changed products by polling the catalogue, for changes that no trigger reports."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic

from shelfsight.backfill.ports import Catalog, ChangeQueue, OrphanPruner
from shelfsight.errors import DatabaseAwayError, DatabaseTimeoutError, SelectionError
from shelfsight.records import Selection

QUEUE_LIMIT = 1_000
"""A poll of the whole catalogue pauses while this many products are queued."""

PAUSE_FACTOR = 50
"""The pause after a poll of the whole catalogue or after pruning, in multiples of its duration."""

LOOKBACK = timedelta(minutes=5)
"""How far before the last poll the next one looks: transactions may be open, and clocks differ."""

_PAGE = 500
_QUEUE_POLL_SECONDS = 0.5


class ChangePoller:
    """Adds products that are due to the change queue: new, changed, or failed and due for a retry.

    It polls in its own thread. Without triggers, it looks every `every` seconds for products with a
    recent `"UpdatedAt"`. It also searches the whole catalogue, but takes at most about 2% of the
    time for that. While a backfill is running, it does not search the whole catalogue, because the
    backfill embeds all products that are due.

    Each poll also deletes what is stored of products that the shop has deleted, again in at most
    about 2% of the time.
    """

    def __init__(
        self, catalog: Catalog, queue: ChangeQueue, orphans: OrphanPruner, every: float
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._orphans = orphans
        self._every = every
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sweep")
        self._over = Event()
        self._poll: Future[None] | None = None
        self._latest_since: datetime | None = None
        self.poll_all_now()

    def poll_all_now(self) -> None:
        """Make the next poll search the whole catalogue, and make it due at once."""
        self._next = self._next_of_all = self._next_of_latest = self._next_of_orphans = 0.0
        self._has_deleted = False

    def tell_of_claim(self, ids: Sequence[str]) -> None:
        """Make the next poll due at once if the shop has deleted one of these products."""
        self._has_deleted = self._has_deleted or not self._orphans.are_in_shop(ids)

    def poll(self) -> bool:
        """Start a poll if it is time for the next one; return whether a poll is running.

        Raises:
            ShelfsightError: the last poll failed.
        """
        if self._poll is not None and self._poll.done():
            done, self._poll = self._poll, None
            # the reader of the queue gets this error too, or the next poll has more luck
            with suppress(DatabaseAwayError, DatabaseTimeoutError):
                done.result()
        now = monotonic()
        is_due = now >= self._next or (self._has_deleted and now >= self._next_of_orphans)
        if self._poll is None and is_due:
            self._has_deleted = False
            self._next = monotonic() + self._every
            self._poll = self._thread.submit(self._go)
        return self._poll is not None

    def close(self) -> None:
        """Stop polling and end the thread."""
        self._over.set()
        self._thread.shutdown()

    def _go(self) -> None:
        self._prune_orphans()
        self._queue.add_retries(QUEUE_LIMIT)
        if monotonic() < self._next_of_all or self._queue.is_run_at_work():
            self._poll_latest()
        else:
            self._poll_all()

    def _prune_orphans(self) -> None:
        began = monotonic()
        if began >= self._next_of_orphans:
            self._orphans.prune()
            now = monotonic()
            self._next_of_orphans = now + PAUSE_FACTOR * (now - began)

    def _poll_all(self) -> None:
        if self._latest_since is None:
            self._latest_since = datetime.now(UTC) - LOOKBACK
        began, waited = monotonic(), 0.0
        for page in self._catalog.pages(Selection(), _PAGE):
            before = monotonic()
            while self._queue.is_full(QUEUE_LIMIT) and not self._over.wait(_QUEUE_POLL_SECONDS):
                self._poll_latest()
            waited += monotonic() - before
            if self._over.is_set():
                return
            self._queue.add([product.id for product in page], as_change=False)
        now = monotonic()
        self._next_of_all = now + PAUSE_FACTOR * (now - began - waited)

    def _poll_latest(self) -> None:
        since = self._latest_since
        if since is None or monotonic() < self._next_of_latest or self._queue.is_told():
            return
        self._next_of_latest = monotonic() + self._every
        self._latest_since = datetime.now(UTC) - LOOKBACK
        try:
            for page in self._catalog.pages(Selection(updated_since=since), _PAGE):
                self._queue.add([product.id for product in page], as_change=True)
        except SelectionError:  # no "UpdatedAt": polls of the whole catalogue suffice
            self._next_of_latest = float("inf")
