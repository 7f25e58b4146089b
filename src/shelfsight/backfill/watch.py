"""Embeds products within seconds of their change, for as long as it runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import cycle
from threading import Event
from time import monotonic
from typing import Protocol

from shelfsight.backfill.leases import Checkpoint, Claim, Page, QueueClaim
from shelfsight.backfill.losses import LossPause
from shelfsight.backfill.pipeline import Pipeline, process_pages
from shelfsight.backfill.poller import ChangePoller
from shelfsight.backfill.ports import Catalog, ChangeQueue
from shelfsight.backfill.report import Report
from shelfsight.errors import (
    CatalogueChangedError,
    DatabaseAwayError,
    DatabaseError,
    DatabaseTimeoutError,
)
from shelfsight.records import EmbeddedProduct, Product, Selection

PAGE_SIZE = 32
"""Products in a page: few, so that each change is stored soon even when many products change."""

SESSION_SECONDS = 300.0
"""Seconds after which connections are reopened and cached results of pictures are dropped."""

POLL_SECONDS = 1.0
"""Seconds between two checks of the queue if no notification comes."""

CATALOGUE_POLL_SECONDS = 2.0
"""Seconds between two looks whether a missing column or table is back."""

BUSY_PAUSE_SECONDS = 10.0
"""Seconds for which a watch does nothing after a time limit of the database was reached again and
again."""

_BUSY_POLL_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 30.0


class WatchObserver(Protocol):
    """Receives the events of a watch."""

    def changed(self, page: Sequence[EmbeddedProduct], seconds: float) -> None:
        """Called when changed products were stored, `seconds` after they were claimed."""
        ...

    def in_progress(self, products: int) -> None:
        """Called with how many claimed products are not stored yet, whenever that changes."""
        ...

    def waiting(self, *, is_told: bool) -> None:
        """Called when no product is due; `is_told` means that triggers report changes."""
        ...

    def notify(self, message: str) -> None:
        """Called with a message for the user, from any thread."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchContext:
    """The parts that a watch needs.

    `open_pipeline` opens the pipeline of one session, whose ledger is not used. `listen` waits for
    a notification for up to the given number of seconds; it returns False at once if it cannot
    listen. `is_back` tries to reach the database, and returns whether that succeeded.
    """

    catalog: Catalog
    queue: ChangeQueue
    poller: ChangePoller
    open_pipeline: Callable[[], AbstractContextManager[Pipeline]]
    listen: Callable[[float], bool]
    is_back: Callable[[], bool]


def watch(context: WatchContext, report: Report, observer: WatchObserver, stop: Event) -> None:
    """Embed products that are due or change, until `stop` is set.

    It waits while the database is away, and while a column or table of the shop is missing that was
    read before.

    It also waits while the database lets its statements reach a time limit.

    Raises:
        ShelfsightError: the watch cannot begin, or cannot continue for another reason than a lost
            or busy database.
    """
    has_begun = False
    try:
        while not stop.is_set():
            try:
                with context.open_pipeline() as pipeline:
                    pipeline.store.require(pipeline.models)
                    pipeline.catalog.check()
                    pipeline.catalog.remember()
                    report.recombined += pipeline.store.recombine()
                    has_begun = True
                    _session(context, pipeline, report, observer, stop)
            except DatabaseAwayError as error:
                if not has_begun:
                    raise
                _wait_for_database(context, error, observer, stop)
            except CatalogueChangedError as error:
                _wait_for_catalogue(context, error, observer, stop)
            except DatabaseTimeoutError as error:
                observer.notify(f"{error}; waiting for {BUSY_PAUSE_SECONDS:.0f} s")
                stop.wait(BUSY_PAUSE_SECONDS)
    finally:
        with suppress(DatabaseError):  # on failure, the claims expire by themselves
            context.queue.release()


def _session(
    context: WatchContext, pipeline: Pipeline, report: Report, observer: WatchObserver, stop: Event
) -> None:
    """Process changes for up to `SESSION_SECONDS` seconds."""
    changes = _Changes(context, observer, stop)
    losses = LossPause(
        pipeline.store.count, lambda: pipeline.catalog.due(Selection()).lost, observer.notify
    )
    try:
        for page in process_pages(pipeline, changes.pages(), losses.filter, stop):
            products, began = changes.end(page.checkpoint.claim)
            if page.items:
                report.add(page.items)
                observer.changed(page.items, monotonic() - began)
            left = {product.id for product in products} - {item.product.id for item in page.items}
            left -= losses.paused
            if left and not page.checkpoint.claim.lost:  # their stored vectors changed: due again
                context.queue.add(sorted(left), as_change=True)
    finally:
        changes.over.set()


class _Changes:
    """Reads pages of changed products, and remembers which products are being processed."""

    def __init__(self, context: WatchContext, observer: WatchObserver, stop: Event) -> None:
        self._context = context
        self._observer = observer
        self._stop = stop
        self._is_told = context.queue.is_told()
        self.over = Event()
        self.begun: dict[Claim, tuple[list[Product], float]] = {}

    def pages(self) -> Iterator[Page[Product]]:
        """Yield the due products of each claim, until the session is over.

        The newest and the oldest changes are claimed in turn, so that neither waits for all the
        others.
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
            elif is_polling or self.begun:  # products in progress may have changed again
                self._stop.wait(_BUSY_POLL_SECONDS)
            else:
                self._observer.waiting(is_told=self._is_told)
                self._wait()

    def _due(self, claim: QueueClaim) -> Iterator[Page[Product]]:
        began = monotonic()
        chosen = Selection(variants=claim.variants)
        products = [p for page in self._context.catalog.pages(chosen, PAGE_SIZE) for p in page]
        if len(products) < len(claim.variants):
            self._context.poller.tell_of_claim(claim.variants)
        if products:
            self.begun[claim] = products, began
            self._show_in_progress()
            yield Page(items=products, checkpoint=Checkpoint(claim=claim))
        else:
            self._context.queue.drop(claim)

    def end(self, claim: Claim) -> tuple[list[Product], float]:
        """Return the products of a claim that is stored or lost, and when it began."""
        ended = self.begun.pop(claim)
        self._show_in_progress()
        return ended

    def _show_in_progress(self) -> None:
        begun = tuple(self.begun.values())
        self._observer.in_progress(sum(len(products) for products, _ in begun))

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


def _wait_for_catalogue(
    context: WatchContext, error: CatalogueChangedError, observer: WatchObserver, stop: Event
) -> None:
    observer.notify(f"{error}; until then this watch pauses")
    while not stop.wait(CATALOGUE_POLL_SECONDS):
        try:
            context.catalog.check()
        except (CatalogueChangedError, DatabaseAwayError):
            continue
        observer.notify("what was missing is back")
        context.poller.poll_all_now()
        return
