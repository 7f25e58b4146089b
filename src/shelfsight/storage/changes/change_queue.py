"""The queue of products that may have changed, from which any number of workers claim."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from shelfsight.backfill.leases import QueueClaim
from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.adaptive_size import AdaptiveSize, Part
from shelfsight.postgres.advisory_locks import LockKey
from shelfsight.postgres.connection import Connection, Transactions, Work, columns
from shelfsight.storage.changes import base_triggers, triggers
from shelfsight.storage.worker_name import is_gone, new_name

Result = TypeVar("Result")

QUERIES = statements.load("shelfsight.storage.changes", "change_queue.sql")

LEASE = timedelta(minutes=10)
"""How long a claim lasts. After that time other workers may claim its products, in case its worker
has vanished."""


MAX_CLAIM = 32
"""How many products one transaction claims at most."""

MAX_ADDED = 1_000
"""How many products one transaction adds at most."""


class PostgresQueue:
    """Implements `backfill.ports.ChangeQueue` on the table `"EmbeddingQueue"`.

    The queue is thread-safe if `database` is thread-safe. Every method raises `SchemaError` if the
    table is missing.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._name = new_name()
        self._claim_numbers = count(1)
        self._claim_size = AdaptiveSize(MAX_CLAIM)
        self._add_size = AdaptiveSize(MAX_ADDED)

    def claim(self, limit: int, *, newest: bool) -> QueueClaim | None:
        """Claim up to `limit` products, the newest or the oldest changes; None if there are none.

        If another worker has claimed a product, none of that product's rows is claimed.
        """
        token = f"{self._name}.{next(self._claim_numbers)}"
        query = QUERIES["claim"].format(order=sql.SQL("DESC" if newest else "ASC"))

        def take(size: int, patient: bool) -> list[tuple[int, str]]:
            values = {"token": token, "limit": min(limit, size), "lease": LEASE}

            def work(connection: Connection) -> list[tuple[int, str]]:
                connection.execute(QUERIES["lock"], {"key": LockKey.CLAIM_CHANGES})
                return connection.execute(query, values).fetchall()

            return self._run(work, patient=patient)

        rows = self._claim_size.run(take)
        if not rows:
            return None
        numbers, ids = zip(*rows, strict=True)
        return QueueClaim(token=token, rows=numbers, variants=tuple(dict.fromkeys(ids)))

    def drop(self, claim: QueueClaim) -> None:
        """Remove a claim's rows from the queue; call this if none of its products is due."""
        self._run(lambda connection: delete_claimed(connection, claim))
        claim.ended.set()

    def release(self) -> None:
        """Release the claims of this worker, and of processes on this machine that have ended.

        Claims are found in the table by their token, so rows are released too that came back
        because a crash of the database undid the commit that deleted them.
        """

        def work(connection: Connection) -> None:
            tokens = [token for (token,) in connection.execute(QUERIES["claim_tokens"])]
            ended = [token for token in tokens if is_gone(token)]
            values = {"name": f"{self._name}.", "ended": ended}
            connection.execute(QUERIES["release"], values)

        self._run(work)

    def add(self, ids: Sequence[str], *, as_change: bool) -> None:
        """Add the products that are not waiting in the queue already.

        With `as_change` they count as the newest changes, otherwise as older than every change.
        """

        def add_part(part: Part[str]) -> None:
            def work(connection: Connection) -> None:
                id_type = columns(connection, "ProductVariants").get("Id", "uuid")
                query = QUERIES["add"].format(id_type=statements.trusted(id_type))
                connection.execute(query, {"ids": list(part.items), "sign": 1 if as_change else -1})

            self._run(work, patient=part.patient)

        for _ in self._add_size.in_parts(ids, add_part):
            pass

    def add_retries(self, limit: int) -> None:
        """Add up to `limit` failed products whose next attempt is due."""
        self._run(lambda connection: connection.execute(QUERIES["add_retries"], {"limit": limit}))

    def is_full(self, enough: int) -> bool:
        """Return whether at least `enough` rows are waiting."""
        return bool(self._one("is_full", {"enough": enough}))

    def is_told(self) -> bool:
        """Return whether triggers add changed products to the queue."""
        return self._run(_are_triggers_enabled, read_only=True)

    def is_run_at_work(self) -> bool:
        """Return whether any backfill worker leases a range of products."""
        return bool(self._one("is_run_at_work"))

    def _one(self, name: str, values: dict[str, Any] | None = None) -> object:
        def work(connection: Connection) -> object:
            return connection.execute(QUERIES[name], values).fetchall()[0][0]

        return self._run(work, read_only=True)

    def _run(self, work: Work[Result], *, read_only: bool = False, patient: bool = True) -> Result:
        try:
            return self._database.run(work, read_only=read_only, patient=patient)
        except psycopg.errors.UndefinedTable as error:
            raise SchemaError(
                f"the database is not prepared ({error.diag.message_primary}); run: shelfsight init"
            ) from None


def _are_triggers_enabled(connection: Connection) -> bool:
    return triggers.are_enabled(connection) or base_triggers.are_enabled(connection)


def delete_claimed(connection: Connection, claim: QueueClaim) -> bool:
    """Delete a claim's rows; return False if another worker has claimed some of them meanwhile."""
    return _has_all_rows(connection, claim, "delete_claimed")


def lock_claimed(connection: Connection, claim: QueueClaim) -> bool:
    """Lock a claim's rows; return False if another worker has claimed some of them meanwhile."""
    return _has_all_rows(connection, claim, "lock_claimed")


def _has_all_rows(connection: Connection, claim: QueueClaim, name: str) -> bool:
    values = {"rows": list(claim.rows), "token": claim.token}
    return connection.execute(QUERIES[name], values).rowcount == len(claim.rows)
