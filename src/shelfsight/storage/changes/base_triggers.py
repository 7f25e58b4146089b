"""Creates and drops triggers on the tables behind the views of a catalogue."""

from collections.abc import Callable, Sequence
from functools import partial

import psycopg
from psycopg import sql

from shelfsight.errors import DatabaseError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage import catalog_record
from shelfsight.storage.catalog_record import WatchedTable
from shelfsight.storage.changes import triggers
from shelfsight.storage.changes.listener import CHANNEL

QUERIES = statements.load("shelfsight.storage.changes", "base_triggers.sql")


def create(database: Database, watched: Sequence[WatchedTable]) -> list[str]:
    """Create the triggers on the tables of the catalogue that is in use.

    If the role may not create one of them, none is created: the watch then polls.

    Returns:
        What was done, as lines for people.

    Raises:
        DatabaseError: another transaction keeps a table locked.
    """
    if not watched:
        return ["no triggers: the catalogue names no tables whose changes count (`changes`)"]
    tables = {"tables": [one.table for one in watched]}
    obstacles = database.run(
        lambda connection: connection.execute(QUERIES["obstacles"], tables).fetchall(),
        read_only=True,
    )
    if obstacles:
        named = "; ".join(
            f"{table} can have none for this role: {cure}" for table, cure in obstacles
        )
        return [f"no triggers, so `shelfsight watch` polls; {named}"]
    done = []
    for one in watched:
        done += database.run(partial(_with_lock_timeout, one.table, partial(_create, one)))
    return done


def drop(database: Database) -> list[str]:
    """Drop all these triggers; return what was done, as lines for people.

    Raises:
        DatabaseError: another transaction keeps a table locked, or the role may not drop one.
    """
    done = []
    for table, function, _ in database.run(existing, read_only=True):
        work = partial(_drop, table, function)
        done += database.run(partial(_with_lock_timeout, table, work))
    return done


def are_enabled(connection: Connection) -> bool:
    """Return whether the catalogue has triggers on all tables whose changes count."""
    record = catalog_record.read(connection)
    return (
        record is not None
        and bool(record.changes)
        and len(record.changes) == sum(is_enabled for _, _, is_enabled in existing(connection))
    )


def existing(connection: Connection) -> list[tuple[str, str, bool]]:
    """Return the triggers that exist: table, function, and whether the trigger is enabled."""
    return connection.execute(QUERIES["existing"]).fetchall()


def _create(one: WatchedTable, connection: Connection) -> list[str]:
    function = sql.Identifier("shelfsight", f"queue_changes_of_{_bare(one.table)}"[:63])
    ((path,),) = connection.execute(QUERIES["path"]).fetchall()
    id_type = triggers.id_type(connection)
    table = statements.trusted(one.table)
    connection.execute(
        QUERIES["function"].format(
            function=function,
            path=statements.trusted(path),
            id_type=id_type,
            differs=_differs(one.columns),
            variants=statements.trusted(one.variants),
            enqueue=triggers.QUERIES["enqueue"].format(channel=sql.Literal(CHANNEL)),
        )
    )
    connection.execute(triggers.QUERIES["revoke_execute"].format(function=function))
    if any(name == function.as_string() for name in _functions(connection)):
        return []
    connection.execute(QUERIES["trigger"].format(table=table, function=function))
    return [f"created trigger on {one.table}"]


def _functions(connection: Connection) -> list[str]:
    return [sql.Identifier("shelfsight", name).as_string() for _, name, _ in existing(connection)]


def _differs(columns: str) -> sql.Composable:
    """Return the condition that one of the columns differs between `OLD` and `NEW`."""
    if not columns:
        return sql.SQL("OLD *<> NEW")
    names = [statements.trusted(name) for name in columns.split()]
    pairs = [sql.SQL("OLD.{0} IS DISTINCT FROM NEW.{0}").format(name) for name in names]
    return sql.SQL(" OR ").join(pairs)


def _bare(table: str) -> str:
    return table.rpartition(".")[2].strip('"')


def _drop(table: str, function: str, connection: Connection) -> list[str]:
    connection.execute(QUERIES["drop"].format(table=statements.trusted(table)))
    name = sql.Identifier("shelfsight", function)
    connection.execute(QUERIES["drop_function"].format(function=name))
    return [f"dropped trigger on {table}"]


def _with_lock_timeout(
    table: str, work: Callable[[Connection], list[str]], connection: Connection
) -> list[str]:
    connection.execute(triggers.QUERIES["lock_timeout"])
    try:
        return work(connection)
    except psycopg.errors.LockNotAvailable as error:
        raise DatabaseError(
            f"{table} is in use by a transaction that does not end; try again in a while"
        ) from error
