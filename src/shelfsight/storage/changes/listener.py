"""Listens for the notifications that the triggers send when a product changes."""

import psycopg

from shelfsight.postgres.connection import Connection, connect

CHANNEL = "shelfsight"


class ChangeListener:
    """Waits for notifications of changes (`LISTEN`) on its own connection.

    Notifications do not pass through a pooler in transaction mode.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for a change; return False at once if listening is not possible."""
        try:
            if self._connection is None:
                self._connection = connect(self._url)
                self._connection.execute(f"LISTEN {CHANNEL}")
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.OperationalError:  # the worker gets this error too, and reports it
            self.close()
            return False
        return True

    def close(self) -> None:
        """Close the connection. The next call of `wait` opens a new connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
