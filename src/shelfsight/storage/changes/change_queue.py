"""The queue of products that may have changed, which any number of workers take from."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from shelfsight.backfill.leases import QueueClaim
from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.advisory_locks import LockKey
from shelfsight.postgres.connection import Connection, Transactions, Work, columns
from shelfsight.storage.changes.triggers import are_there
from shelfsight.storage.worker_name import is_gone, new_name

Result = TypeVar("Result")

QUERIES = statements.load("shelfsight.storage.changes", "change_queue.sql")

LEASE = timedelta(minutes=10)
"""How long a take is kept for a worker on another machine that is not heard of again."""


class PostgresQueue:
    """`seams.ChangeQueue` over `"EmbeddingQueue"`. Threads may use it if they may its database.

    Every method raises `SchemaError` where that table is missing.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._name = new_name()
        self._takes = count(1)

    def claim(self, limit: int, *, newest: bool) -> QueueClaim | None:
        """Up to `limit` products, the newest changes or the oldest, for this worker alone."""
        token = f"{self._name}.{next(self._takes)}"
        values = {"token": token, "limit": limit, "lease": LEASE}
        query = QUERIES["take"].format(order=sql.SQL("DESC" if newest else "ASC"))

        def work(connection: Connection) -> list[tuple[int, str]]:
            connection.execute(QUERIES["lock"], {"key": LockKey.CLAIM_CHANGES})
            return connection.execute(query, values).fetchall()

        rows = self._run(work)
        if not rows:
            return None
        numbers, ids = zip(*rows, strict=True)
        return QueueClaim(token=token, rows=numbers, variants=tuple(dict.fromkeys(ids)))

    def drop(self, claim: QueueClaim) -> None:
        """Nothing of it is due."""
        self._run(lambda connection: settle(connection, claim))
        claim.ended.set()

    def release(self) -> None:
        """Put back all that this worker still holds, and what ended processes of this machine do.

        That includes what was settled by a commit which a crash of the database took back.
        """

        def work(connection: Connection) -> None:
            holders = [row[0] for row in connection.execute(QUERIES["holders"])]
            gone = [holder for holder in holders if is_gone(holder)]
            values = {"name": f"{self._name}.", "gone": gone}
            connection.execute(QUERIES["release"], values)

        self._run(work)

    def add(self, ids: Sequence[str], *, as_change: bool) -> None:
        """Put in what does not wait there; unless `as_change`, it counts as older than those."""

        def work(connection: Connection) -> None:
            id_type = columns(connection, "ProductVariants").get("Id", "uuid")
            query = QUERIES["add"].format(id_type=statements.trusted(id_type))
            connection.execute(query, {"ids": list(ids), "sign": 1 if as_change else -1})

        self._run(work)

    def add_retries(self, limit: int) -> None:
        """Put in up to `limit` products that failed and may be tried again by now."""
        self._run(lambda connection: connection.execute(QUERIES["add_retries"], {"limit": limit}))

    def is_full(self, enough: int) -> bool:
        """Whether so many rows wait."""
        return bool(self._one("is_full", {"enough": enough}))

    def is_told(self) -> bool:
        """Whether triggers put in what changes."""
        return self._run(are_there, read_only=True)

    def is_run_at_work(self) -> bool:
        """Whether a worker of a backfill holds a range of products."""
        return bool(self._one("is_run_at_work"))

    def _one(self, name: str, values: dict[str, Any] | None = None) -> object:
        def work(connection: Connection) -> object:
            return connection.execute(QUERIES[name], values).fetchall()[0][0]

        return self._run(work, read_only=True)

    def _run(self, work: Work[Result], *, read_only: bool = False) -> Result:
        try:
            return self._database.run(work, read_only=read_only)
        except psycopg.errors.UndefinedTable as error:
            raise SchemaError(
                f"the database is not prepared ({error.diag.message_primary}); run: shelfsight init"
            ) from None


def settle(connection: Connection, claim: QueueClaim) -> bool:
    """Take its rows out of the queue; False where another worker holds one of them by now."""
    values = {"rows": list(claim.rows), "token": claim.token}
    return connection.execute(QUERIES["settle"], values).rowcount == len(claim.rows)
