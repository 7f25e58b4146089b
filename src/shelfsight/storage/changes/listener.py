"""Waits for the triggers' announcements, on a connection of its own."""

import psycopg

from shelfsight.postgres.connection import Connection, connect

CHANNEL = "shelfsight"


class ChangeListener:
    """Rings when a product changes. Through a pooler in transaction mode it never does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    def wait(self, seconds: float) -> bool:
        """Wait for a change, so many seconds at the most; False at once where it cannot listen."""
        try:
            if self._connection is None:
                self._connection = connect(self._url)
                self._connection.execute(f"LISTEN {CHANNEL}")
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.OperationalError:  # whoever works meets it too, and says so
            self.close()
            return False
        return True

    def close(self) -> None:
        """Close the connection; `wait` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
