"""Finds out whether the workers that lease ranges of a run are still alive."""

from collections import Counter
from datetime import timedelta
from typing import Literal, NamedTuple

from psycopg.rows import class_row

from shelfsight.postgres.connection import Connection
from shelfsight.storage.runs.queries import QUERIES
from shelfsight.storage.worker_name import is_gone

LEASE = timedelta(seconds=60)
"""How long a lease lasts after its last renewal, by the clock of the database. When it has expired,
other workers start to watch its row."""

HEARTBEAT = LEASE / 4
"""How often a worker renews its leases."""

POLL_SECONDS = 1.0
"""Seconds between two checks of ranges that other workers lease."""

_SILENT_CHECKS = 20
"""A worker counts as silent if more than this many checks in a row found no renewal. The checks
take 20 s in all, which is longer than a heartbeat."""

Liveness = Literal["alive", "unknown", "dead"]
"""Whether any worker of a run is alive. `unknown`: the leases have expired, but their rows have not
been watched for long enough to be sure."""


class LeasedRange(NamedTuple):
    """A range that a worker leases. `version` changes whenever the row is written.

    `is_in_time` is False if the lease has expired, or ends so far in the future that the time is
    wrong.
    """

    worker: str | None
    number: int
    version: str
    is_in_time: bool


class LeaseMonitor:
    """Watches the leases of one run, to tell silent workers from workers that are alive.

    An expired lease does not prove that its worker is dead: the database may have moved to a
    machine whose clock differs. So the monitor watches the lease's row until it is clear that
    nobody renews the lease. It counts checks instead of seconds, because nobody can renew a lease
    while the database is away.
    """

    def __init__(self, run: int) -> None:
        self._run = run
        self._checks: Counter[tuple[int, str]] = Counter()

    def check(self, connection: Connection) -> Liveness:
        """Check all leases of the run once, and return whether any of its workers is alive.

        If a lease belongs to a process of this machine that has ended, the lease is released.
        """
        values = {"run": self._run, "lease": LEASE}
        cursor = connection.cursor(row_factory=class_row(LeasedRange))
        leased = cursor.execute(QUERIES["leased_ranges"], values).fetchall()
        workers = {one.worker for one in leased if one.worker}
        ended = [worker for worker in workers if is_gone(worker)]
        if ended:
            connection.execute(QUERIES["release_ended"], {"run": self._run, "workers": ended})
        remaining = [one for one in leased if one.worker not in ended]
        expired = [(one.number, one.version) for one in remaining if not one.is_in_time]
        self._checks = Counter({key: self._checks[key] + 1 for key in expired})
        if len(expired) < len(remaining):
            return "alive"
        return "unknown" if len(self.silent) < len(expired) else "dead"

    @property
    def silent(self) -> list[tuple[int, str]]:
        """The number and row version of each range whose worker is silent."""
        return [key for key, checks in self._checks.items() if checks > _SILENT_CHECKS]
