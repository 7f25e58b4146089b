"""Finds the workers that a migration would break: backfills and watches that are at work."""

from psycopg import sql

from shelfsight.postgres.connection import Connection, columns
from shelfsight.storage.worker_name import is_gone

_TABLES = {
    # a lease lasts 60 s; one that ends much later was set by a clock that differs. A range that was
    # done a moment ago counts too: its worker is about to claim the next.
    "BackfillLeases": "\"ExpiresAt\" < now() + interval '2 minutes'",
    "EmbeddingQueue": "true",
}
"""The tables in which workers hold claims, each with a condition of a claim that counts."""

_AT_WORK = """
    SELECT DISTINCT "Worker" FROM {table}
    WHERE "Worker" IS NOT NULL AND "ExpiresAt" > now() AND {condition}
"""


def lock(connection: Connection) -> None:
    """Lock the tables of claims until the transaction ends, so that no worker begins or goes on."""
    tables = _tables(connection)
    if tables:
        names = sql.SQL(", ").join(tables.values())
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))


def at_work(connection: Connection) -> list[str]:
    """Return the names of the workers that hold a claim now, except processes that have ended."""
    found: set[str] = set()
    for name, table in _tables(connection).items():
        statement = sql.SQL(_AT_WORK).format(table=table, condition=sql.SQL(_TABLES[name]))
        found |= {worker for (worker,) in connection.execute(statement)}
    return sorted(worker for worker in found if not is_gone(worker))


def _tables(connection: Connection) -> dict[str, sql.Identifier]:
    """Return the tables of claims, where they are: in our schema, or where older releases had them.

    The key is the name of the table.
    """
    found: dict[str, sql.Identifier] = {}
    for name in _TABLES:
        if columns(connection, name, schema="shelfsight"):
            found[name] = sql.Identifier("shelfsight", name)
        elif {"Worker", "ExpiresAt"} <= columns(connection, name).keys():
            found[name] = sql.Identifier(name)
    return found
