"""A pool of connections to Postgres that several threads share.

psycopg_pool is not used, because it connects in background threads. A wrong password or a lost
server then reaches the caller only as a `PoolTimeout` that names no reason. After a restart of the
server it hands out dead connections, unless each loan pays a round trip for a check. And we would
still have to retry ourselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import LifoQueue

from shelfsight.postgres.connection import (
    IN_USE,
    RECONNECT_SECONDS,
    Database,
    Query,
    Result,
    Rows,
    Work,
)


class DatabasePool:
    """A fixed number of connections. Each serves one thread at a time; further threads wait."""

    def __init__(
        self, url: str, size: int, *, reconnect_seconds: float = RECONNECT_SECONDS
    ) -> None:
        self._databases = [Database(url, reconnect_seconds=reconnect_seconds) for _ in range(size)]
        # the connection used last is used next: at quiet times only few are in use
        self._free: LifoQueue[Database] = LifoQueue()
        for database in self._databases:
            self._free.put(database)

    @property
    def vector_set(self) -> str:
        """The set of vectors in use; see `Database.vector_set`."""
        return IN_USE

    def run(self, work: Work[Result], *, read_only: bool = False) -> Result:
        """Do `work` in one transaction; see `Database.run`. Do not call this within other work."""
        with self._borrowed() as database:
            return database.run(work, read_only=read_only)

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        """Run a read-only query in one round trip; see `Database.ask`."""
        with self._borrowed() as database:
            return database.ask(query, prepare=prepare)

    def close(self) -> None:
        """Close all connections. No thread may use the pool any more."""
        for database in self._databases:
            database.close()

    @contextmanager
    def _borrowed(self) -> Iterator[Database]:
        database = self._free.get()
        try:
            yield database
        finally:
            self._free.put(database)
