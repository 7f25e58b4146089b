"""Runs work that needs table locks without blocking scans: short lock timeouts and many retries."""

from functools import partial
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_random

from shelfsight.errors import DatabaseError, DatabaseTimeoutError
from shelfsight.postgres.connection import Connection, Database, Work
from shelfsight.storage.versions.queries import QUERIES

LOCK_TIMEOUT = "900ms"
"""The longest wait for a table lock. While this process waits, later requests for the table wait
behind it. The timeout is shorter than `deadlock_timeout` (1 s), after which Postgres might cancel a
transaction of the shop instead of this process's."""

TIMEOUT = 60.0
"""Seconds after which no more attempts are made."""

_PAUSE = wait_random(0.3, 1.5)
"""Seconds between two attempts. In this pause the requests that waited behind this process
proceed."""


class _LockHolder(NamedTuple):
    """The server process that has held a lock on a table for longest, and its transaction's age."""

    pid: int
    name: str | None
    age: str | None


def run(
    database: Database,
    work: Work[None],
    tables: list[sql.Identifier] | None = None,
    *,
    prepare: Work[None] | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Do `work` in one transaction that first locks `tables` exclusively; retry on lock timeouts.

    If `prepare` is given, it is done before, in the same transaction, while the tables are locked
    against writes and can still be read.

    Raises:
        DatabaseError: after `timeout` seconds another transaction still holds a table. The message
            names its process.
    """
    retrying = Retrying(
        retry=retry_if_result(lambda is_done: not is_done),
        wait=_PAUSE,
        stop=stop_after_delay(timeout),
    )
    try:
        retrying(_run, database, partial(_attempt, prepare, work, tables or []))
    except RetryError:
        raise DatabaseError(database.run(_describe_holder, read_only=True)) from None


def _run(database: Database, attempt: Work[bool]) -> bool:
    """Make an attempt in a transaction; return False if it reached a time limit of the database."""
    try:
        return database.run(attempt, patient=False)
    except DatabaseTimeoutError:
        return False


def _attempt(
    prepare: Work[None] | None,
    work: Work[None],
    tables: list[sql.Identifier],
    connection: Connection,
) -> bool:
    """Try once; return False if a lock was not available in time."""
    try:
        with connection.transaction():
            connection.execute(QUERIES["lock_timeout"], {"timeout": LOCK_TIMEOUT})
            if tables:
                names = sql.SQL(", ").join(tables)
                if prepare is not None:
                    connection.execute(QUERIES["lock_against_writes"].format(tables=names))
                    prepare(connection)
                connection.execute(QUERIES["lock_tables"].format(tables=names))
            work(connection)
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def _describe_holder(connection: Connection) -> str:
    cursor = connection.cursor(row_factory=class_row(_LockHolder))
    holder = cursor.execute(QUERIES["oldest_lock_holder"]).fetchone()
    if holder is None:
        return "other transactions held tables of the shop; nothing was changed; try again"
    duration = "" if holder.age is None else f" for {holder.age}"
    name = holder.name or "of another role"
    return (
        f"process {holder.pid} ({name}) has held tables of the shop{duration};"
        " nothing was changed; end that transaction, or try again"
    )
