"""A pool of connections to Postgres that several threads share.

psycopg_pool is not used, because it connects in background threads. A wrong password or a lost
server then reaches the caller only as a `PoolTimeout` that names no reason. After a restart of the
server it hands out dead connections, unless each loan pays a round trip for a check. And we would
still have to retry ourselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue
from time import monotonic

from shelfsight.errors import DatabaseAwayError
from shelfsight.postgres.circuit_breaker import CONNECT, CircuitBreaker
from shelfsight.postgres.connection import (
    IN_USE,
    Database,
    Query,
    Result,
    Rows,
    Work,
)
from shelfsight.postgres.retries import PATIENT, RetryPolicy

CLOSE_SECONDS = 5.0
"""Seconds for which closing a pool waits for the threads whose calls were made to fail."""


class DatabasePool:
    """A fixed number of connections. Each serves one thread at a time; further threads wait.

    With a `breaker`, calls fail soon while the database does not answer.
    """

    def __init__(
        self,
        url: str,
        size: int,
        *,
        retries: RetryPolicy = PATIENT,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        parameters = None if breaker is None else CONNECT
        self._databases = [
            Database(url, retries=retries, parameters=parameters) for _ in range(size)
        ]
        # the connection used last is used next: at quiet times only few are in use
        self._free: LifoQueue[Database] = LifoQueue()
        for database in self._databases:
            self._free.put(database)
        self._in_use: dict[Database, float] = {}
        self._breaker = breaker
        if breaker is not None:
            breaker.watch(self)

    @property
    def vector_set(self) -> str:
        """The set of vectors in use; see `Database.vector_set`."""
        return IN_USE

    def run(self, work: Work[Result], *, read_only: bool = False, patient: bool = True) -> Result:
        """Do `work` in one transaction; see `Database.run`. Do not call this within other work."""
        with self._borrowed() as database:
            return database.run(work, read_only=read_only, patient=patient)

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        """Run a read-only query in one round trip; see `Database.ask`."""
        with self._borrowed() as database:
            return database.ask(query, prepare=prepare)

    def longest_call(self) -> float:
        """Return how many seconds the longest call in progress has taken; 0 if there is none."""
        return monotonic() - min(self._in_use.copy().values(), default=monotonic())

    def sever(self, *, longer_than: float = 0) -> None:
        """Make the calls in progress that have taken longer than these seconds fail."""
        now = monotonic()
        for database, since in self._in_use.copy().items():
            if now - since > longer_than:
                database.sever()

    def close(self) -> None:
        """Close all connections. A call still in progress fails."""
        self.sever()
        deadline = monotonic() + CLOSE_SECONDS
        for _ in self._databases:
            try:
                self._free.get(timeout=max(0, deadline - monotonic())).close()
            except Empty:
                return

    @contextmanager
    def _borrowed(self) -> Iterator[Database]:
        """Lend a connection that is free.

        Raises:
            DatabaseAwayError: the breaker says that the database does not answer.
        """
        if self._breaker is not None:
            self._breaker.check()
        database = self._free.get()
        self._in_use[database] = monotonic()
        try:
            yield database
        except DatabaseAwayError:
            if self._breaker is not None:
                self._breaker.suspect()
            raise
        finally:
            del self._in_use[database]
            self._free.put(database)
