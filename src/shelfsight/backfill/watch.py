"""Keeps a catalogue embedded: whatever changes is embedded within seconds."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import cycle
from threading import Event
from time import monotonic
from typing import Protocol

from shelfsight.backfill.leases import Checkpoint, Claim, Page, QueueClaim, per_page
from shelfsight.backfill.pipeline import Pipeline, process_pages
from shelfsight.backfill.poller import ChangePoller
from shelfsight.backfill.ports import Catalog, ChangeQueue
from shelfsight.backfill.report import Report
from shelfsight.errors import DatabaseAwayError, DatabaseError
from shelfsight.records import EmbeddedProduct, Product, Selection

PAGE_SIZE = 32
"""Products in a page: so few that a change waits for few others during a flood of changes."""

SESSION_SECONDS = 300.0
"""Seconds after which connections are reopened and what is known of pictures is forgotten."""

POLL_SECONDS = 1.0
"""Seconds between two looks at the queue if no notification comes."""

_BUSY_POLL_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 30.0


class WatchObserver(Protocol):
    """Is told what a watch does."""

    def changed(self, page: Sequence[EmbeddedProduct], seconds: float) -> None:
        """Changed products were stored, `seconds` after they were claimed from the queue."""
        ...

    def waiting(self, *, is_told: bool) -> None:
        """Nothing is due. `is_told`: triggers report changes; else the catalogue is polled."""
        ...

    def notify(self, message: str) -> None:
        """The user should know this; may be called from any thread."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchContext:
    """What a watch needs.

    `open_pipeline` opens the pipeline of one session; its ledger is not used. `listen` waits up to
    so many seconds for a notification, and returns False at once if it cannot listen. `is_back`
    tries to reach the database.
    """

    catalog: Catalog
    queue: ChangeQueue
    poller: ChangePoller
    open_pipeline: Callable[[], AbstractContextManager[Pipeline]]
    listen: Callable[[float], bool]
    is_back: Callable[[], bool]


def watch(context: WatchContext, report: Report, observer: WatchObserver, stop: Event) -> None:
    """Embed what is due and what changes until `stop` is set; wait for a database that goes away.

    Raises:
        ShelfsightError: it cannot begin, or cannot go on for another reason than a lost database.
    """
    has_begun = False
    try:
        while not stop.is_set():
            try:
                with context.open_pipeline() as pipeline:
                    pipeline.store.require(pipeline.models)
                    report.recombined += pipeline.store.recombine()
                    has_begun = True
                    _session(context, pipeline, report, observer, stop)
            except DatabaseAwayError as error:
                if not has_begun:
                    raise
                _wait_for_database(context, error, observer, stop)
    finally:
        with suppress(DatabaseError):  # then they are free once their time is over
            context.queue.release()


def _session(
    context: WatchContext, pipeline: Pipeline, report: Report, observer: WatchObserver, stop: Event
) -> None:
    """Process changes for up to `SESSION_SECONDS` seconds."""
    changes = _Changes(context, observer, stop)
    try:
        for page in process_pages(pipeline, changes.pages(), per_page(pipeline.embed), stop):
            products, began = changes.begun.pop(page.checkpoint.claim)
            if page.items:
                report.add(page.items)
                observer.changed(page.items, monotonic() - began)
            left = {product.id for product in products} - {item.product.id for item in page.items}
            if left and not page.checkpoint.claim.lost:  # what is stored of them changed: due again
                context.queue.add(sorted(left), as_change=True)
    finally:
        changes.over.set()


class _Changes:
    """Reads pages of changed products, and remembers which are on their way."""

    def __init__(self, context: WatchContext, observer: WatchObserver, stop: Event) -> None:
        self._context = context
        self._observer = observer
        self._stop = stop
        self._is_told = context.queue.is_told()
        self.over = Event()
        self.begun: dict[Claim, tuple[list[Product], float]] = {}

    def pages(self) -> Iterator[Page[Product]]:
        """Yield what is due of each claim until the session is over.

        Newest and oldest changes take turns, so that neither waits for all of the others.
        """
        context = self._context
        context.queue.release()
        end = monotonic() + SESSION_SECONDS
        turns = cycle((True, False))
        while monotonic() < end and not self._stop.is_set() and not self.over.is_set():
            is_polling = context.poller.poll()
            claim = context.queue.claim(PAGE_SIZE, newest=next(turns))
            if claim is not None:
                yield from self._due(claim)
            elif is_polling or self.begun:  # what is in hand may have changed again
                self._stop.wait(_BUSY_POLL_SECONDS)
            else:
                self._observer.waiting(is_told=self._is_told)
                self._wait()

    def _due(self, claim: QueueClaim) -> Iterator[Page[Product]]:
        began = monotonic()
        chosen = Selection(variants=claim.variants)
        products = [p for page in self._context.catalog.pages(chosen, PAGE_SIZE) for p in page]
        if products:
            self.begun[claim] = products, began
            yield Page(items=products, checkpoint=Checkpoint(claim=claim))
        else:
            self._context.queue.drop(claim)

    def _wait(self) -> None:
        if not (self._is_told and self._context.listen(POLL_SECONDS)):
            self._stop.wait(POLL_SECONDS)


def _wait_for_database(
    context: WatchContext, error: DatabaseAwayError, observer: WatchObserver, stop: Event
) -> None:
    observer.notify(f"{error}; waiting for it")
    began, pause = monotonic(), 1.0
    while not stop.wait(pause):
        if context.is_back():
            observer.notify(f"the database is back after {monotonic() - began:.0f} s")
            context.poller.poll_all_now()
            return
        pause = min(2 * pause, _MAX_BACKOFF_SECONDS)
