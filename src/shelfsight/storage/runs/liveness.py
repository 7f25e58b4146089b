"""Whether those who hold ranges of a run are at work, whatever the database's clock says."""

from collections import Counter
from datetime import timedelta
from typing import Literal, NamedTuple

from psycopg.rows import class_row

from shelfsight.postgres.connection import Connection
from shelfsight.storage.runs.queries import QUERIES
from shelfsight.storage.worker_name import is_gone

LEASE = timedelta(seconds=60)
"""How long a range is kept, by the database's clock, for a worker that is not heard of; after
that others listen for it."""

HEARTBEAT = LEASE / 4

LOOK_AGAIN = 1.0
"""Seconds between two looks at ranges that others hold."""

_LOOKS = 20
"""After so many that found nothing new a holder is silent: a heartbeat, and a third of one."""

Held = Literal["yes", "perhaps", "no"]


class LeasedRange(NamedTuple):
    """A range that a worker holds, as `held` reads it."""

    worker: str | None
    number: int
    version: str
    is_in_time: bool


class LeaseMonitor:
    """What one worker sees of the ranges that are held of a run.

    A lease that is over by the clock alone may be that of a worker who is well: the database may
    have moved to another machine. So its row is looked at for a while, until it is seen that
    nobody writes to it. Looks are counted, not seconds: without a database nobody can write.
    """

    def __init__(self, run: int) -> None:
        self._run = run
        self._looks: Counter[tuple[int, str]] = Counter()

    def check(self, connection: Connection) -> Held:
        """Whether somebody holds a range; what ended processes of this machine held is let go."""
        values = {"run": self._run, "lease": LEASE}
        cursor = connection.cursor(row_factory=class_row(LeasedRange))
        rows = cursor.execute(QUERIES["held"], values).fetchall()
        gone = [worker for worker in {row.worker for row in rows} if worker and is_gone(worker)]
        if gone:
            connection.execute(QUERIES["release_gone"], {"run": self._run, "workers": gone})
        living = [row for row in rows if row.worker not in gone]
        over = [(row.number, row.version) for row in living if not row.is_in_time]
        self._looks = Counter({seen: self._looks[seen] + 1 for seen in over})
        if len(over) < len(living):
            return "yes"
        return "perhaps" if len(self.silent) < len(over) else "no"

    @property
    def silent(self) -> list[tuple[int, str]]:
        """The number and the version of each range of which nothing is heard any more."""
        return [seen for seen, looks in self._looks.items() if looks > _LOOKS]
