"""Finds out whether the workers that lease ranges of a run are still alive."""

from collections import Counter
from datetime import timedelta
from typing import Literal, NamedTuple

from psycopg.rows import class_row

from shelfsight.postgres.connection import Connection
from shelfsight.storage.runs.queries import QUERIES
from shelfsight.storage.worker_name import is_gone

LEASE = timedelta(seconds=60)
"""How long a lease lasts, by the database's clock, after its last renewal. Other workers then start
to watch its row."""

HEARTBEAT = LEASE / 4
"""How often a worker renews its leases."""

POLL_SECONDS = 1.0
"""Seconds between two checks of ranges that other workers lease."""

_SILENT_CHECKS = 20
"""A worker is silent after more than this many checks without a renewal. That is 20 s, a heartbeat
and a third."""

Liveness = Literal["alive", "unknown", "dead"]
"""`unknown`: the leases have expired, but their rows have not been watched for long enough."""


class LeasedRange(NamedTuple):
    """A range that a worker leases. `version` changes whenever the row is written.

    `is_in_time` is False if the lease has expired, or ends too far in the future to be right.
    """

    worker: str | None
    number: int
    version: str
    is_in_time: bool


class LeaseMonitor:
    """Watches the leases of one run, to tell silent workers from those that are alive.

    An expired lease does not prove that its worker is dead: the database may have moved to a
    machine with another clock. So the monitor watches the lease's row until it is clear that nobody
    renews it. It counts checks, not seconds, because without a database nobody can renew.
    """

    def __init__(self, run: int) -> None:
        self._run = run
        self._checks: Counter[tuple[int, str]] = Counter()

    def check(self, connection: Connection) -> Liveness:
        """Check all leases once, and say whether any worker of the run is alive.

        Releases the leases of processes of this machine that have ended.
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
