"""Several connections to Postgres, shared by threads."""

from queue import LifoQueue

from shelfsight.postgres.connection import RECONNECT_SECONDS, Database, Query, Result, Rows, Work


class DatabasePool:
    """Several connections, for as many threads at a time; others wait for one to come free."""

    def __init__(
        self, url: str, size: int, *, reconnect_seconds: float = RECONNECT_SECONDS
    ) -> None:
        self._databases = [Database(url, reconnect_seconds=reconnect_seconds) for _ in range(size)]
        # the last used first: in quiet hours few connections stay busy
        self._free: LifoQueue[Database] = LifoQueue()
        for database in self._databases:
            self._free.put(database)

    def run(self, work: Work[Result], *, read_only: bool = False) -> Result:
        """Do `work` in one transaction; see `Database.run`. Not from within other work."""
        database = self._free.get()
        try:
            return database.run(work, read_only=read_only)
        finally:
            self._free.put(database)

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        """Read in one round trip; see `Database.ask`."""
        database = self._free.get()
        try:
            return database.ask(query, prepare=prepare)
        finally:
            self._free.put(database)

    def close(self) -> None:
        """Close the connections, once nobody uses them any more."""
        for database in self._databases:
            database.close()
