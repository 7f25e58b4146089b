"""Triggers on the shop's tables that put changed products into the queue, as long as they exist."""

from collections.abc import Callable, Mapping
from functools import partial

import psycopg
from psycopg import sql

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database, columns
from shelfsight.storage.changes.listener import CHANNEL

QUERIES = statements.load("shelfsight.storage.changes", "triggers.sql")

_WATCHED: Mapping[str, tuple[str, ...]] = {
    "ProductVariants": ("Title", "Description"),
    "ProductImages": ("ImageUrl", "Position", "ProductVariantId"),
}
"""The columns of each table that vectors depend on."""

_TRIGGERS: Mapping[str, tuple[str, str]] = {
    "shelfsight_variants_insert": ("ProductVariants", "INSERT"),
    "shelfsight_variants_update": ("ProductVariants", "UPDATE"),
    "shelfsight_images_insert": ("ProductImages", "INSERT"),
    "shelfsight_images_update": ("ProductImages", "UPDATE"),
    "shelfsight_images_delete": ("ProductImages", "DELETE"),
}

_FUNCTION = "shelfsight_queue_changed"


def create(database: Database) -> list[str]:
    """Create the triggers that are missing; gives their names.

    Raises:
        SchemaError: a table of the shop is none, but a view.
        DatabaseError: the role may not, or a table stays locked by others.
    """
    database.run(_see_tables, read_only=True)
    function = database.run(_create_function)
    missing = set(_TRIGGERS) - set(database.run(_there, read_only=True))
    return _each(database, missing, partial(_create, function=function))


def drop(database: Database) -> list[str]:
    """Drop the triggers; gives the names of those there were.

    Raises:
        DatabaseError: the role may not, or a table stays locked by others.
    """
    done = _each(database, set(database.run(_there, read_only=True)), _drop)
    database.run(_drop_function)
    return done


def are_there(connection: Connection) -> bool:
    """Whether all of them are there, and enabled."""
    return sum(_there(connection).values()) == len(_TRIGGERS)


def _each(
    database: Database, names: set[str], work: Callable[[Connection, str], object]
) -> list[str]:
    """Do it in a transaction a trigger: who holds several tables at once may block the shop."""
    chosen = [name for name in _TRIGGERS if name in names]
    for name in chosen:
        database.run(partial(_briefly, name=name, work=work))
    return [f'trigger "{name}"' for name in chosen]


def _briefly(connection: Connection, name: str, work: Callable[[Connection, str], object]) -> None:
    connection.execute(QUERIES["do_not_wait_long"])
    try:
        work(connection, name)
    except psycopg.errors.LockNotAvailable as error:
        raise DatabaseError(
            f'"{_TRIGGERS[name][0]}" is in use by a transaction that does not end;'
            " try again in a while"
        ) from error


def _there(connection: Connection) -> dict[str, bool]:
    """The triggers there are, and whether each is enabled."""
    return dict(connection.execute(QUERIES["there"], {"names": list(_TRIGGERS)}).fetchall())


def _see_tables(connection: Connection) -> None:
    for table in _WATCHED:
        row = connection.execute(QUERIES["kind"], {"table": table}).fetchone()
        if row is None:
            raise SchemaError(f'there is no table "{table}"; run: shelfsight init')
        if row[0] not in ("r", "p"):
            raise SchemaError(
                f'"{table}" is not a table of this database, so it can have no triggers;'
                " leave them out: `shelfsight watch` then looks by itself"
            )


def _create(connection: Connection, name: str, *, function: sql.Identifier) -> None:
    table, event = _TRIGGERS[name]
    common = {
        "name": sql.Identifier(name),
        "table": sql.Identifier(table),
        "function": function,
    }
    if event != "UPDATE":
        rows = statements.trusted("OLD" if event == "DELETE" else "NEW")
        made = QUERIES["of_statement"].format(event=statements.trusted(event), rows=rows, **common)
        connection.execute(made)
        return
    found = columns(connection, table)
    watched = [sql.Identifier(column) for column in _WATCHED[table] if column in found]
    if watched:
        differs = [sql.SQL("OLD.{0} IS DISTINCT FROM NEW.{0}").format(column) for column in watched]
        made = QUERIES["of_row"].format(
            columns=sql.SQL(", ").join(watched), differs=sql.SQL(" OR ").join(differs), **common
        )
        connection.execute(made)


def _drop(connection: Connection, name: str) -> None:
    table = sql.Identifier(_TRIGGERS[name][0])
    dropped = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(name), table)
    connection.execute(dropped)


def _create_function(connection: Connection) -> sql.Identifier:
    row = connection.execute(QUERIES["schema"]).fetchone()
    if row is None:
        raise SchemaError('there is no table "EmbeddingQueue"; run: shelfsight init')
    function, queue = sql.Identifier(row[0], _FUNCTION), sql.Identifier(row[0], "EmbeddingQueue")
    queue_name = queue.as_string(connection)
    connection.execute(QUERIES["see_nothing"])
    id_type = connection.execute(QUERIES["id_type"], {"queue": queue_name}).fetchall()[0][0]
    made = QUERIES["function"].format(
        function=function,
        id_type=statements.trusted(id_type),
        queue=queue,
        queue_name=sql.Literal(queue_name),
        channel=sql.Literal(CHANNEL),
    )
    connection.execute(made)
    connection.execute(QUERIES["keep_to_triggers"].format(function=function))
    return function


def _drop_function(connection: Connection) -> None:
    row = connection.execute(QUERIES["schema"]).fetchone()
    if row is not None:
        function = sql.Identifier(row[0], _FUNCTION)
        connection.execute(QUERIES["drop_function"].format(function=function))
