"""Listens for the notifications that the triggers send when a product changes."""

import psycopg

from shelfsight.postgres.connection import Connection, connect

CHANNEL = "shelfsight"


class ChangeListener:
    """Waits for changes (`LISTEN`) on a connection of its own.

    Through a pooler in transaction mode no notification arrives.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for a change; return False at once if it cannot listen."""
        try:
            if self._connection is None:
                self._connection = connect(self._url)
                self._connection.execute(f"LISTEN {CHANNEL}")
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.OperationalError:  # the worker meets this error as well, and reports it
            self.close()
            return False
        return True

    def close(self) -> None:
        """Close the connection; `wait` opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
