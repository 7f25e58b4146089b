"""Keeps a catalogue embedded for good: what changes is embedded within seconds."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import cycle
from threading import Event
from time import monotonic
from typing import Protocol

from shelfsight.backfill.leases import Hold, Mark, Page, Take, each
from shelfsight.backfill.pipeline import Parts, flow
from shelfsight.backfill.poller import Sweeper
from shelfsight.backfill.ports import Catalog, ChangeQueue
from shelfsight.backfill.report import Report
from shelfsight.errors import DatabaseAwayError, DatabaseError
from shelfsight.records import Embedded, Product, Selection

PAGE = 32
"""Products a page: one that changes during a flood waits for few others."""

SESSION = 300.0
"""Seconds after which connections, and what is known of pictures, are had anew."""

GLANCE = 1.0
"""Seconds between two looks at the queue, where nothing tells of changes."""

_SOON = 0.2
_LONGEST_PAUSE = 30.0


class Heard(Protocol):
    """Is told what a watch does."""

    def changed(self, page: Sequence[Embedded], seconds: float) -> None:
        """Changed products were stored, so long after they were taken from the queue."""
        ...

    def waiting(self, *, is_told: bool) -> None:
        """Nothing is due; triggers tell of changes, or they are looked for."""
        ...

    def say(self, message: str) -> None:
        """Something that the user should know; may come from any thread."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What a watch is made of.

    `open_parts` gives the parts of a session; of their ledger nothing is used. `listen` waits up to
    so many seconds for a change, and gives False at once where it cannot. `is_back` tries to
    reach the database.
    """

    catalog: Catalog
    queue: ChangeQueue
    sweeper: Sweeper
    open_parts: Callable[[], AbstractContextManager[Parts]]
    listen: Callable[[float], bool]
    is_back: Callable[[], bool]


def watch(watching: Watching, report: Report, heard: Heard, stop: Event) -> None:
    """Embed what is due and what changes, until `stop` is set; a lost database is waited for.

    Raises:
        ShelfsightError: it cannot begin, or go on for another reason than a lost database.
    """
    has_begun = False
    try:
        while not stop.is_set():
            try:
                with watching.open_parts() as parts:
                    parts.store.require(parts.models)
                    report.recombined += parts.store.recombine()
                    has_begun = True
                    _session(watching, parts, report, heard, stop)
            except DatabaseAwayError as error:
                if not has_begun:
                    raise
                _wait_for_database(watching, error, heard, stop)
    finally:
        with suppress(DatabaseError):  # then they are free once their time is over
            watching.queue.release()


def _session(watching: Watching, parts: Parts, report: Report, heard: Heard, stop: Event) -> None:
    """Work for a while."""
    changes = _Changes(watching, heard, stop)
    try:
        for page in flow(parts, changes.pages(), each(parts.embed), stop):
            products, began = changes.begun.pop(page.mark.lease)
            if page.items:
                report.add(page.items)
                heard.changed(page.items, monotonic() - began)
            left = {product.id for product in products} - {item.product.id for item in page.items}
            if left and not page.mark.lease.lost:  # what is stored of them changed: due again
                watching.queue.add(sorted(left), as_change=True)
    finally:
        changes.over.set()


class _Changes:
    """Pages of changed products, and which of them are on their way."""

    def __init__(self, watching: Watching, heard: Heard, stop: Event) -> None:
        self._watching = watching
        self._heard = heard
        self._stop = stop
        self._is_told = watching.queue.is_told()
        self.over = Event()
        self.begun: dict[Hold, tuple[list[Product], float]] = {}

    def pages(self) -> Iterator[Page[Product]]:
        """What is due of each take, until the session is over.

        Newest and oldest changes take turns: neither waits for all of the others.
        """
        watching = self._watching
        watching.queue.release()
        end = monotonic() + SESSION
        turns = cycle((True, False))
        while monotonic() < end and not self._stop.is_set() and not self.over.is_set():
            is_looking = watching.sweeper.look()
            take = watching.queue.take(PAGE, newest=next(turns))
            if take is not None:
                yield from self._due(take)
            elif is_looking or self.begun:  # what is in hand may have changed again
                self._stop.wait(_SOON)
            else:
                self._heard.waiting(is_told=self._is_told)
                self._wait()

    def _due(self, take: Take) -> Iterator[Page[Product]]:
        began = monotonic()
        chosen = Selection(variants=take.variants)
        products = [p for page in self._watching.catalog.pages(chosen, PAGE) for p in page]
        if products:
            self.begun[take] = products, began
            yield Page(items=products, mark=Mark(lease=take))
        else:
            self._watching.queue.drop(take)

    def _wait(self) -> None:
        if not (self._is_told and self._watching.listen(GLANCE)):
            self._stop.wait(GLANCE)


def _wait_for_database(
    watching: Watching, error: DatabaseAwayError, heard: Heard, stop: Event
) -> None:
    heard.say(f"{error}; waiting for it")
    began, pause = monotonic(), 1.0
    while not stop.wait(pause):
        if watching.is_back():
            heard.say(f"the database is back after {monotonic() - began:.0f} s")
            watching.sweeper.hasten()
            return
        pause = min(2 * pause, _LONGEST_PAUSE)
