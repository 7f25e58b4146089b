"""Work under locks for which scans must wait: asked for briefly, and again and again."""

from functools import partial
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_random

from shelfsight.errors import DatabaseError
from shelfsight.postgres.connection import Connection, Database, Work
from shelfsight.storage.versions.queries import QUERIES

LONGEST = "900ms"
"""What asks after us for a table waits as long as we do. After 1 s Postgres looks for deadlocks,
and might end the shop's transaction rather than ours."""

PATIENCE = 60.0
"""Seconds after which a transaction that holds a table counts as too long."""

_PAUSE = wait_random(0.3, 1.5)
"""In seconds: those who waited behind us go first."""


class _Holder(NamedTuple):
    """The backend that has held one of the tables for longest, and the age of its transaction."""

    pid: int
    name: str | None
    age: str | None


def run(
    database: Database,
    work: Work[None],
    tables: list[sql.Identifier] | None = None,
    *,
    patience: float = PATIENCE,
) -> None:
    """Do `work` in one transaction, which first locks these tables against everybody.

    Raises:
        DatabaseError: another transaction holds a table for too long; says which.
    """
    retrying = Retrying(
        retry=retry_if_result(lambda is_done: not is_done),
        wait=_PAUSE,
        stop=stop_after_delay(patience),
    )
    try:
        retrying(database.run, partial(_attempt, work, tables or []))
    except RetryError:
        raise DatabaseError(database.run(_too_long, read_only=True)) from None


def _attempt(work: Work[None], tables: list[sql.Identifier], connection: Connection) -> bool:
    try:
        with connection.transaction():
            connection.execute(QUERIES["lock_timeout"], {"timeout": LONGEST})
            if tables:
                names = sql.SQL(", ").join(tables)
                connection.execute(QUERIES["lock_tables"].format(tables=names))
            work(connection)
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def _too_long(connection: Connection) -> str:
    cursor = connection.cursor(row_factory=class_row(_Holder))
    holder = cursor.execute(QUERIES["oldest_holder"]).fetchone()
    if holder is None:
        return "other transactions held tables of the shop; nothing was changed; try again"
    long = "" if holder.age is None else f" for {holder.age}"
    name = holder.name or "of another role"
    return (
        f"process {holder.pid} ({name}) has held tables of the shop{long};"
        " nothing was changed; end that transaction, or try again"
    )
