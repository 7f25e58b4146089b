"""Stores backfill runs: begins a run or joins an open run, and reports the progress of runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from threading import Event
from time import sleep
from typing import Any

from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from shelfsight.backfill.runs import Job, Partitioning, Run
from shelfsight.errors import SelectionError
from shelfsight.postgres import statements
from shelfsight.postgres.advisory_locks import LockKey
from shelfsight.postgres.connection import Connection, Database, columns
from shelfsight.records import ModelPair
from shelfsight.storage.runs.lease_keeper import LeaseKeeper, is_left
from shelfsight.storage.runs.liveness import LEASE, POLL_SECONDS, LeaseMonitor
from shelfsight.storage.runs.queries import QUERIES

_OF_A_CALL = ["batch_size", "max_batches"]
"""Parts of a job that belong to a call, not to the run, if products stay due when they are done."""


class PostgresLedger:
    """Implements `backfill.ports.Ledger` on the tables `"BackfillRuns"` and `"BackfillLeases"`.

    With `joins=False` no open run is joined: each call of `begin` begins a new run.
    """

    def __init__(self, database: Database, *, joins: bool = True) -> None:
        self._database = database
        self._joins = joins

    def begin(
        self,
        job: Job,
        models: ModelPair,
        partition: Callable[[], Partitioning],
        stop: Event,
        notify: Callable[[str], None],
    ) -> tuple[Run, bool]:
        """Join the open run of this job, or begin a new run with the ranges of `partition`.

        Returns the run, and True if it was joined. A run without live workers is joined only if
        products stay due when they are done (`Selection.stays_due`): then only this run knows which
        ones are done. Otherwise a new run replaces it, and the products that the old run stored are
        no longer due. If it is not clear whether the workers of an open run are alive, this waits
        to find out, until `stop` is set.
        """
        find = partial(self._find_joinable, job, models, {})
        if self._joins and (run := self._wait_for_joinable(find, stop, notify)):
            return self.run(run), True
        ranges = partition()

        def work(connection: Connection) -> tuple[int, bool]:
            if self._joins and (found := find(connection)):
                return found[0], True
            return self._insert(connection, job, models, ranges), False

        id_, is_joined = self._database.run(work)
        return self.run(id_), is_joined

    def newest_open(self) -> Run:
        """Return the newest open run. The option `--join` joins this run.

        Raises:
            SelectionError: no run is open.
        """
        row = self._database.run(
            lambda connection: connection.execute(QUERIES["newest_open"]).fetchone(), read_only=True
        )
        if row is None:
            raise SelectionError("no run is open; start one: shelfsight backfill")
        return self.run(row[0])

    def leases(
        self, run: Run, stop: Event, notify: Callable[[str], None]
    ) -> AbstractContextManager[Any]:
        """Claim the ranges of a run one by one, until all are done or `stop` is set.

        The result is a context manager that yields the leases.
        """
        return LeaseKeeper(self._database.url, run.id, notify, stop)

    def accept_losses(self, run: Run) -> Run:
        """Let a run take away any number of stored vectors; return its present state."""
        values = {"run": run.id}
        self._database.run(lambda connection: connection.execute(QUERIES["accept_losses"], values))
        return self.run(run.id)

    def close(self, run: Run) -> Run:
        """Close a run if all its ranges are done; return the run with its present state."""
        if not is_left(self._database, run.id):
            values = {"run": run.id, "outcome": "done"}
            self._database.run(lambda connection: connection.execute(QUERIES["close"], values))
        return self.run(run.id)

    def run(self, id_: int) -> Run:
        """Return a run with its present state."""
        return self.runs(1, only=id_)[0]

    def runs(self, limit: int, *, only: int | None = None) -> list[Run]:
        """Return up to `limit` runs, newest first.

        If `only` is given, return just the run with that id.
        """

        def work(connection: Connection) -> list[Run]:
            values = {"limit": limit, "only": only, "lease": LEASE}
            cursor = connection.cursor(row_factory=dict_row)
            return [_run(row) for row in cursor.execute(QUERIES["runs"], values)]

        return self._database.run(work, read_only=True)

    def _wait_for_joinable(
        self,
        find: Callable[[Connection], tuple[int, bool] | None],
        stop: Event,
        notify: Callable[[str], None],
    ) -> int | None:
        """Return the id of the run to join; None if there is none.

        Waits until it is known whether the workers of the run are alive.
        """
        has_notified = False
        while found := self._database.run(find):
            run, is_certain = found
            if is_certain or stop.is_set():
                return run
            if not has_notified:
                notify(f"run {run} has workers that were not heard of lately: listening for them")
                has_notified = True
            # not stop.wait: a signal handler in this thread sets `stop`, which could deadlock
            sleep(POLL_SECONDS)
        return None

    def _find_joinable(
        self, job: Job, models: ModelPair, monitors: dict[int, LeaseMonitor], connection: Connection
    ) -> tuple[int, bool] | None:
        """Find the run to join, and whether this choice is certain; None if there is no such run.

        Open runs of this job whose workers are all dead are closed. An advisory lock keeps other
        processes from looking for a run until the transaction ends, so only workers can be writing
        to a range.
        """
        connection.execute(QUERIES["lock"], {"key": LockKey.BEGIN_RUN})
        values = {
            "asked": Jsonb(job.to_json()),
            "models": Jsonb(_versions(models)),
            "ignored": _OF_A_CALL if job.selection.stays_due else [],
            "lease": LEASE,
        }
        for id_, is_new in connection.execute(QUERIES["open_runs"], values).fetchall():
            ((is_idle,),) = connection.execute(QUERIES["lock_ranges"], {"run": id_}).fetchall()
            if not is_idle:
                return id_, True
            liveness = monitors.setdefault(id_, LeaseMonitor(id_)).check(connection)
            if is_new or job.selection.stays_due:
                return id_, True
            if liveness != "dead":
                return id_, liveness == "alive"
            connection.execute(QUERIES["close"], {"run": id_, "outcome": "replaced"})
        return None

    def _insert(
        self, connection: Connection, job: Job, models: ModelPair, partition: Partitioning
    ) -> int:
        id_type = _id_type(connection)
        values = {
            "asked": Jsonb(job.to_json()),
            "models": Jsonb(_versions(models)),
            "due": partition.due,
            "losses_accepted": partition.losses_accepted,
        }
        row = connection.execute(QUERIES["insert_run"], values).fetchall()[0]
        with connection.cursor() as cursor:
            cursor.executemany(
                QUERIES["insert_lease"].format(id_type=id_type),
                [
                    {
                        "run": row[0],
                        "number": number,
                        "after": one.after,
                        "last": one.last,
                        "ids": None if ids is None else Jsonb(ids),
                    }
                    for number, (one, ids) in enumerate(partition.ranges_with_ids(), 1)
                ],
            )
        return int(row[0])


def _id_type(connection: Connection) -> sql.SQL:
    return statements.trusted(columns(connection, "ProductVariants").get("Id", "uuid"))


def _versions(models: ModelPair) -> dict[str, str]:
    return {"image": models.image, "text": models.text}


def _run(row: DictRow) -> Run:
    return Run(
        id=row["id"],
        job=Job.from_json(row["asked"]),
        models=ModelPair(**row["models"]),
        due=row["due"],
        workers=row["workers"],
        outcome=row["outcome"] or ("running" if row["workers"] else "stopped"),
        counts={name: int(count) for name, count in row["counts"].items()},
        failures={name: int(count) for name, count in row["failures"].items()},
        losses_accepted=row["losses_accepted"],
        began=row["began"],
        ended=row["ended"],
    )
