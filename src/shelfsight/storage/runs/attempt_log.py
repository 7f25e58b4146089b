"""Records in the database which products are being embedded, so that a kill leaves a trace."""

from collections.abc import Sequence
from datetime import timedelta
from threading import Lock

from shelfsight.backfill.attempt_guard import OUT_OF_MEMORY
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database

QUERIES = statements.load("shelfsight.storage.runs", "attempts.sql")

KEPT = timedelta(days=7)
"""How long an attempt is remembered that never ended."""


class PostgresAttemptLog:
    """Implements `backfill.ports.AttemptLog` on `"EmbeddingAttempts"`.

    Several threads may use it, but nobody else its database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()

    def unended(self) -> dict[str, int]:
        """Return how often each product's embedding began since it last ended."""

        def work(connection: Connection) -> dict[str, int]:
            connection.execute(QUERIES["forget"], {"kept": KEPT, "kind": OUT_OF_MEMORY})
            return dict(connection.execute(QUERIES["unended"]).fetchall())

        with self._lock:
            return self._database.run(work)

    def begin(self, ids: Sequence[str]) -> None:
        """Record that the products are being embedded."""
        self._write("begin", ids)

    def end(self, ids: Sequence[str]) -> None:
        """Record that this has ended, whether it succeeded or not."""
        self._write("end", ids)

    def _write(self, name: str, ids: Sequence[str]) -> None:
        values = {"ids": list(ids)}
        with self._lock:
            self._database.run(lambda connection: connection.execute(QUERIES[name], values))
