"""The leases of one worker, which claims ranges of a run in order, renews and releases them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from threading import Event, Lock, Thread

from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from shelfsight.backfill.leases import Checkpoint, Claim, Counts, Lease, QueueClaim
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import KeyRange
from shelfsight.errors import DatabaseError
from shelfsight.postgres.connection import Connection, Database
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.records import EmbeddedProduct
from shelfsight.storage.changes.change_queue import delete_claimed, lock_claimed
from shelfsight.storage.runs.liveness import HEARTBEAT, LEASE, POLL_SECONDS, LeaseMonitor
from shelfsight.storage.runs.queries import QUERIES
from shelfsight.storage.worker_name import new_name

_STOP_POLL_SECONDS = 0.2
"""A worker that waits for its own pages checks at this interval, in seconds, whether to stop."""


_RENEWAL_RETRIES = RetryPolicy(reconnect_seconds=1, busy_seconds=1)
"""The next heartbeat tries a renewal again, and at the end nobody waits long for the release."""

_CLAIM_SECONDS = 2.0
"""Seconds that the end of a run waits for a claim in progress before it makes the claim fail."""


class LeaseKeeper:
    """A context manager that yields leases of a run until all ranges of the run are done.

    A background thread renews the leases. On exit the leases that are left are released. If other
    workers lease all ranges that are not done, the iteration waits: these workers may die, and
    their ranges become free then.
    """

    def __init__(self, url: str, run: int, notify: Callable[[str], None], stop: Event) -> None:
        self._claiming, self._renewing = Database(url), Database(url, retries=_RENEWAL_RETRIES)
        self._values = {"run": run, "worker": new_name(), "lease": LEASE}
        self._run = run
        self._notify = notify
        self._stop = stop
        self._leases: tuple[Lease, ...] = ()
        self._others = LeaseMonitor(run)
        self._closed = Event()
        self._lock = Lock()
        self._heartbeat = Thread(target=self._renew, name="heartbeat", daemon=True)

    def __enter__(self) -> Iterator[Lease]:
        self._heartbeat.start()
        return self._claim_all()

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._heartbeat.join()
        values = {"run": self._run, "workers": [self._values["worker"]]}
        if self._lock.acquire(timeout=_CLAIM_SECONDS):
            self._lock.release()
        else:
            self._claiming.sever()
        with self._lock:
            try:
                self._renewing.run(
                    lambda connection: connection.execute(QUERIES["release"], values)
                )
            except DatabaseError:
                self._notify(
                    "the leases of this run could not be given back; they end by themselves"
                )
            self._claiming.close()
            self._renewing.close()

    def _claim_all(self) -> Iterator[Lease]:
        has_notified = False
        while not self._is_over():
            self._forget_ended()
            lease = self._claim()
            if lease is not None:
                self._leases = (*self._leases, lease)
                yield lease
            elif self._leases:
                self._wait_for(self._leases[-1])
            elif not self._is_left():
                return
            else:
                if not has_notified:
                    self._notify("waiting for the ranges that other workers are at")
                    has_notified = True
                self._claiming.run(self._others.check)
                self._closed.wait(POLL_SECONDS)

    def _forget_ended(self) -> None:
        """Forget the leases that have ended.

        A lost lease is released as well, unless another worker has claimed its range already.
        """
        ended = [lease for lease in self._leases if lease.ended.is_set()]
        self._leases = tuple(lease for lease in self._leases if lease not in ended)
        for lease in ended:
            if lease.lost:
                values = {"run": self._run, "number": lease.number, "fence": lease.fence}
                self._claiming.run(partial(_execute, name="release_lost", values=values))

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._closed.is_set()

    def _wait_for(self, lease: Lease) -> None:
        while not lease.ended.wait(_STOP_POLL_SECONDS) and not self._is_over():
            pass

    def _claim(self) -> Lease | None:
        """Claim the first range that is free or whose worker is silent; None if there is none."""
        silent = self._others.silent
        values = {
            **self._values,
            "numbers": [number for number, _ in silent],
            "versions": [version for _, version in silent],
        }

        def work(connection: Connection) -> Lease | None:
            cursor = connection.cursor(row_factory=dict_row)
            row = cursor.execute(QUERIES["claim"], values).fetchone()
            return None if row is None else _lease(self._run, row)

        with self._lock:
            return None if self._is_over() else self._claiming.run(work)

    def _is_left(self) -> bool:
        return is_left(self._claiming, self._run)

    def _renew(self) -> None:
        """Renew the leases at every heartbeat, until the keeper is closed."""
        pause = HEARTBEAT.total_seconds()
        while not self._closed.wait(pause):
            active = [lease for lease in self._leases if not lease.ended.is_set()]
            values = {
                "run": self._run,
                "lease": LEASE,
                "numbers": [lease.number for lease in active],
                "fences": [lease.fence for lease in active],
            }
            try:
                self._renewing.run(partial(_execute, name="renew", values=values))
                pause = HEARTBEAT.total_seconds()
            except DatabaseError:  # the thread that stores pages reports this error
                pause = POLL_SECONDS


def is_left(database: Database, run: int) -> bool:
    """Return whether any range of this run is not done."""

    def work(connection: Connection) -> bool:
        row = connection.execute(QUERIES["is_left"], {"run": run}).fetchone()
        return row is not None and bool(row[0])

    return database.run(work, read_only=True)


class LeaseLostError(Exception):
    """Another worker has claimed these products, so the page with them must not be stored."""

    def __init__(self, lease: Claim) -> None:
        super().__init__(lease)
        self.lease = lease


def count_outcomes(page: Sequence[EmbeddedProduct]) -> Counts:
    """Count the products of a page by outcome, and the failures by kind."""
    report = Report()
    report.add(page)
    counts = {name: n for name, n in asdict(report).items() if isinstance(n, int) and n}
    return Counts(products=Counter(counts), failures=report.failures)


def advance(
    connection: Connection, checkpoint: Checkpoint, page: Sequence[EmbeddedProduct]
) -> bool:
    """Record that a page is stored, in the same transaction that stores the page.

    Returns False if this page was stored before. A claim of the change queue has only one page, so
    its rows are deleted from the queue.

    Raises:
        LeaseLostError: another worker has claimed the range, or a page that this worker stored
            earlier is missing because the database crashed.
    """
    lease = checkpoint.claim
    if lease.lost:
        raise LeaseLostError(lease)
    if isinstance(lease, QueueClaim):
        if not delete_claimed(connection, lease):
            raise LeaseLostError(lease)
        return True
    if lease.is_stored(checkpoint):
        return False
    left = [(one.after, one.last) for one in lease.remaining_after(checkpoint)]
    counts = lease.counts + count_outcomes(page)
    values = {
        **_fenced(lease),
        "lease": LEASE,
        "left": Jsonb(left),
        "is_done": not left,
        "counts": Jsonb(counts.products),
        "failures": Jsonb(counts.failures),
    }
    if connection.execute(QUERIES["advance"], values).rowcount:
        return True
    row = connection.execute(QUERIES["has_advanced"], values).fetchone()
    if row is None or not row[0]:
        raise LeaseLostError(lease)
    return False


def hold(connection: Connection, checkpoint: Checkpoint) -> bool:
    """Lock a claim until the transaction ends, so that a part of its page can be stored.

    Returns False if the whole page was stored before.

    Raises:
        LeaseLostError: as in `advance`.
    """
    lease = checkpoint.claim
    if not lease.lost:
        if isinstance(lease, QueueClaim):
            if lock_claimed(connection, lease):
                return True
        elif lease.is_stored(checkpoint):
            return False
        elif connection.execute(QUERIES["hold"], _fenced(lease)).fetchone() is not None:
            return True
    raise LeaseLostError(lease)


def _fenced(lease: Lease) -> dict[str, int]:
    """Return the values by which a statement finds the row of a lease, if nobody else took it."""
    return {
        "run": lease.run,
        "number": lease.number,
        "fence": lease.fence,
        "stored": lease.stored,
    }


def _lease(run: int, row: DictRow) -> Lease:
    return Lease(
        run=run,
        number=row["number"],
        fence=row["fence"],
        ranges=tuple(KeyRange(after=after, last=last) for after, last in row["left"]),
        ids=None if row["ids"] is None else tuple(row["ids"]),
        stored=row["stored"],
        counts=Counts(products=Counter(row["products"]), failures=Counter(row["failures"])),
    )


def _execute(connection: Connection, *, name: str, values: Mapping[str, object]) -> None:
    connection.execute(QUERIES[name], values)
