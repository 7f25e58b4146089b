"""One worker's leases of a run: claimed in order, kept alive, advanced page by page, let go."""

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
from shelfsight.records import EmbeddedProduct
from shelfsight.storage.changes.change_queue import settle
from shelfsight.storage.runs.liveness import HEARTBEAT, LEASE, LOOK_AGAIN, LeaseMonitor
from shelfsight.storage.runs.queries import QUERIES
from shelfsight.storage.worker_name import new_name

_GLANCE = 0.2
"""Seconds in which a wait notices that the run is to stop."""


class LeaseKeeper:
    """The ranges of a run as this worker comes by them, until none is left to anybody.

    As a context it keeps them alive, and lets go of what it still holds at the end. A range that
    another worker holds is waited for, since that worker may be lost.
    """

    def __init__(self, url: str, run: int, notify: Callable[[str], None], stop: Event) -> None:
        self._claiming, self._beating = Database(url), Database(url, reconnect_seconds=1)
        self._values = {"run": run, "worker": new_name(), "lease": LEASE}
        self._run = run
        self._notify = notify
        self._stop = stop
        self._held: tuple[Lease, ...] = ()
        self._others = LeaseMonitor(run)
        self._over = Event()
        self._lock = Lock()
        self._heart = Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Iterator[Lease]:
        self._heart.start()
        return self._each()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._heart.join()
        values = {"run": self._run, "workers": [self._values["worker"]]}
        with self._lock:
            try:
                self._beating.run(lambda connection: connection.execute(QUERIES["release"], values))
            except DatabaseError:
                self._notify(
                    "the leases of this run could not be given back; they end by themselves"
                )
            self._claiming.close()
            self._beating.close()

    def _each(self) -> Iterator[Lease]:
        has_said = False
        while not self._is_over():
            self._let_go()
            lease = self._claim()
            if lease is not None:
                self._held = (*self._held, lease)
                yield lease
            elif self._held:
                self._wait_for(self._held[-1])
            elif not self._is_left():
                return
            else:
                if not has_said:
                    self._notify("waiting for the ranges that other workers are at")
                    has_said = True
                self._claiming.run(self._others.check)
                self._over.wait(LOOK_AGAIN)

    def _let_go(self) -> None:
        """Forget what has ended; what was lost is anybody's, unless another has it already."""
        ended = [lease for lease in self._held if lease.ended.is_set()]
        self._held = tuple(lease for lease in self._held if lease not in ended)
        for lease in ended:
            if lease.lost:
                values = {"run": self._run, "number": lease.number, "fence": lease.fence}
                self._claiming.run(partial(_execute, name="give_back", values=values))

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._over.is_set()

    def _wait_for(self, lease: Lease) -> None:
        while not lease.ended.wait(_GLANCE) and not self._is_over():
            pass

    def _claim(self) -> Lease | None:
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

    def _beat(self) -> None:
        pause = HEARTBEAT.total_seconds()
        while not self._over.wait(pause):
            held = [lease for lease in self._held if not lease.ended.is_set()]
            values = {
                "run": self._run,
                "lease": LEASE,
                "numbers": [lease.number for lease in held],
                "fences": [lease.fence for lease in held],
            }
            try:
                self._beating.run(partial(_execute, name="renew", values=values))
                pause = HEARTBEAT.total_seconds()
            except DatabaseError:  # whoever stores the pages waits for the database, and says so
                pause = LOOK_AGAIN


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


def is_left(database: Database, run: int) -> bool:
    """Whether a range of this run is not done."""

    def work(connection: Connection) -> bool:
        row = connection.execute(QUERIES["is_left"], {"run": run}).fetchone()
        return row is not None and bool(row[0])

    return database.run(work, read_only=True)


class LeaseLostError(Exception):
    """Another worker holds these products now: this page must not be stored."""

    def __init__(self, lease: Claim) -> None:
        super().__init__(lease)
        self.lease = lease


def counted(page: Sequence[EmbeddedProduct]) -> Counts:
    """What became of a page's products."""
    report = Report()
    report.add(page)
    counts = {name: n for name, n in asdict(report).items() if isinstance(n, int) and n}
    return Counts(products=Counter(counts), failures=report.failures)


def advance(
    connection: Connection, checkpoint: Checkpoint, page: Sequence[EmbeddedProduct]
) -> bool:
    """Move a lease on, in the transaction that stores the page; False if it was stored before.

    Raises:
        LeaseLostError: the range has another holder, or lacks a page that this one stored.
    """
    lease = checkpoint.lease
    if lease.lost:
        raise LeaseLostError(lease)
    if isinstance(lease, QueueClaim):
        if not settle(connection, lease):
            raise LeaseLostError(lease)
        return True
    if lease.has(checkpoint):
        return False
    left = [(one.after, one.last) for one in lease.left(checkpoint)]
    counts = lease.counts + counted(page)
    values = {
        "run": lease.run,
        "number": lease.number,
        "fence": lease.fence,
        "lease": LEASE,
        "stored": lease.stored,
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


def _execute(connection: Connection, *, name: str, values: Mapping[str, object]) -> None:
    connection.execute(QUERIES[name], values)
