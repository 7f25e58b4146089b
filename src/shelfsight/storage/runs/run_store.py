"""The ledger of runs: begins one, or joins the one that is open, and says what became of each."""

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
from shelfsight.storage.runs.liveness import LEASE, LOOK_AGAIN, LeaseMonitor
from shelfsight.storage.runs.queries import QUERIES


class PostgresLedger:
    """`seams.Ledger` over `"BackfillRuns"` and `"BackfillLeases"`.

    Unless it `joins`, every run is a new one.
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
        """The run of this job that somebody works on, else a new one of what `partition` gives.

        The second value says whether it was there before. A run that nobody works on any more
        goes on where every product is asked for again; else it is replaced: what it stored is not
        due now.
        """
        joined = partial(self._joined, job, models, {})
        if self._joins and (run := self._heard_of(joined, stop, notify)):
            return self.run(run), True
        ranges = partition()

        def work(connection: Connection) -> tuple[int, bool]:
            if self._joins and (found := joined(connection)):
                return found[0], True
            return self._insert(connection, job, models, ranges), False

        id_, is_joined = self._database.run(work)
        return self.run(id_), is_joined

    def newest_open(self) -> Run:
        """The run that `--join` means.

        Raises:
            SelectionError: none is open.
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
        """The ranges of a run, one after another, until all are done or `stop` is set."""
        return LeaseKeeper(self._database.url, run.id, notify, stop)

    def close(self, run: Run) -> Run:
        """Close a run of which nothing is left; gives it as it stands."""
        if not is_left(self._database, run.id):
            values = {"run": run.id, "outcome": "done"}
            self._database.run(lambda connection: connection.execute(QUERIES["close"], values))
        return self.run(run.id)

    def run(self, id_: int) -> Run:
        """A run as it stands."""
        return self.runs(1, only=id_)[0]

    def runs(self, limit: int, *, only: int | None = None) -> list[Run]:
        """The newest runs, or the only one meant."""

        def work(connection: Connection) -> list[Run]:
            values = {"limit": limit, "only": only, "lease": LEASE}
            cursor = connection.cursor(row_factory=dict_row)
            return [_run(row) for row in cursor.execute(QUERIES["runs"], values)]

        return self._database.run(work, read_only=True)

    def _heard_of(
        self,
        joined: Callable[[Connection], tuple[int, bool] | None],
        stop: Event,
        notify: Callable[[str], None],
    ) -> int | None:
        has_said = False
        while found := self._database.run(joined):
            run, is_sure = found
            if is_sure or stop.is_set():
                return run
            if not has_said:
                notify(f"run {run} has workers that were not heard of lately: listening for them")
                has_said = True
            # not stop.wait: the signal that sets it comes in this thread, which may hold its lock
            sleep(LOOK_AGAIN)
        return None

    def _joined(
        self, job: Job, models: ModelPair, monitors: dict[int, LeaseMonitor], connection: Connection
    ) -> tuple[int, bool] | None:
        """The run to join, if there is one, and whether it is sure that it is worked on.

        Until the transaction ends nobody else looks, so whoever writes to a range is a worker.
        """
        connection.execute(QUERIES["lock"], {"key": LockKey.BEGIN_RUN})
        values = {"asked": Jsonb(job.to_json()), "models": Jsonb(_versions(models)), "lease": LEASE}
        for id_, is_fresh in connection.execute(QUERIES["open"], values).fetchall():
            ((is_still,),) = connection.execute(QUERIES["hold_still"], {"run": id_}).fetchall()
            if not is_still:
                return id_, True
            held = monitors.setdefault(id_, LeaseMonitor(id_)).check(connection)
            if is_fresh or job.selection.stays_due:
                return id_, True
            if held != "no":
                return id_, held == "yes"
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
        began=row["began"],
        ended=row["ended"],
    )
