"""Looks through the catalogue now and then for changes that no trigger has told of."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic

from shelfsight.backfill.ports import Catalog, ChangeQueue
from shelfsight.errors import DatabaseAwayError, SelectionError
from shelfsight.records import Selection

ENOUGH = 1_000
"""Products that wait before a look at all goes on: the queue stays small, whatever is due."""

REST = 50
"""A look at all is followed by a rest of so many times its length: 2% of the time at the most."""

OVERLAP = timedelta(minutes=5)
"""How far a look at the latest reaches back: transactions that were open, clocks that differ."""

_PAGE = 500
_LOOK_AGAIN = 0.5


class ChangePoller:
    """Puts into the queue what is due: all of it, the latest, and what may be tried again.

    It works in a thread of its own. Where there are no triggers, the products with a new
    `"UpdatedAt"` are looked for `every` so many seconds; all products as often, where that is
    quick. While a backfill is at work, what is due is left to it.
    """

    def __init__(self, catalog: Catalog, queue: ChangeQueue, every: float) -> None:
        self._catalog = catalog
        self._queue = queue
        self._every = every
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sweep")
        self._over = Event()
        self._poll: Future[None] | None = None
        self._latest_since: datetime | None = None
        self.poll_all_now()

    def poll_all_now(self) -> None:
        """Let the next look be one at all, at once."""
        self._next = self._next_of_all = self._next_of_latest = 0.0

    def poll(self) -> bool:
        """Begin a look if its time has come; gives whether one is under way.

        Raises:
            ShelfsightError: the last one could not be done.
        """
        if self._poll is not None and self._poll.done():
            done, self._poll = self._poll, None
            with suppress(DatabaseAwayError):  # whoever takes from the queue meets it too
                done.result()
        if self._poll is None and monotonic() >= self._next:
            self._next = monotonic() + self._every
            self._poll = self._thread.submit(self._go)
        return self._poll is not None

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.shutdown()

    def _go(self) -> None:
        self._queue.add_retries(ENOUGH)
        if monotonic() < self._next_of_all or self._queue.is_run_at_work():
            self._poll_latest()
        else:
            self._poll_all()

    def _poll_all(self) -> None:
        if self._latest_since is None:
            self._latest_since = datetime.now(UTC) - OVERLAP
        began, waited = monotonic(), 0.0
        for page in self._catalog.pages(Selection(), _PAGE):
            before = monotonic()
            while self._queue.is_full(ENOUGH) and not self._over.wait(_LOOK_AGAIN):
                self._poll_latest()
            waited += monotonic() - before
            if self._over.is_set():
                return
            self._queue.add([product.id for product in page], as_change=False)
        now = monotonic()
        self._next_of_all = now + REST * (now - began - waited)

    def _poll_latest(self) -> None:
        since = self._latest_since
        if since is None or monotonic() < self._next_of_latest or self._queue.is_told():
            return
        self._next_of_latest = monotonic() + self._every
        self._latest_since = datetime.now(UTC) - OVERLAP
        try:
            for page in self._catalog.pages(Selection(updated_since=since), _PAGE):
                self._queue.add([product.id for product in page], as_change=True)
        except SelectionError:  # no such column: a look at all finds it
            self._next_of_latest = float("inf")
