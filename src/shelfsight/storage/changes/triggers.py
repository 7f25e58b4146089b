"""Creates and drops triggers on the shop's tables that add changed products to the queue."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import psycopg
from psycopg import sql

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database, columns
from shelfsight.storage.changes.listener import CHANNEL

QUERIES = statements.load("shelfsight.storage.changes", "triggers.sql")

_WATCHED: Mapping[str, tuple[str, ...]] = {
    "ProductVariants": (
        *("Id", "Title", "Description", "Category", "Options"),
        *("Brand", "Vendor", "Manufacturer", "ImageId"),
    ),
    "ProductImages": ("ImageUrl", "Position", "ProductVariantId"),
}
"""The columns of each table that embeddings are made from."""

_TRIGGERS: Mapping[str, tuple[str, str]] = {
    "shelfsight_variants_insert": ("ProductVariants", "INSERT"),
    "shelfsight_variants_update": ("ProductVariants", "UPDATE"),
    "shelfsight_variants_delete": ("ProductVariants", "DELETE"),
    "shelfsight_images_insert": ("ProductImages", "INSERT"),
    "shelfsight_images_update": ("ProductImages", "UPDATE"),
    "shelfsight_images_delete": ("ProductImages", "DELETE"),
}
"""The table and the event of each trigger, by name."""

_FUNCTION = sql.Identifier("shelfsight", "queue_changed")

_COMPARISONS = {
    "ProductVariants": sql.Identifier("shelfsight", "variants_differ"),
    "ProductImages": sql.Identifier("shelfsight", "images_differ"),
}
"""For each table: the function that tells whether an update has changed a column above."""


def create(database: Database) -> list[str]:
    """Create the missing triggers and return their names.

    Raises:
        SchemaError: a table of the shop is missing, or is a view, which cannot have these triggers.
        DatabaseError: the role lacks a privilege, or another transaction keeps a table locked.
    """
    database.run(_require_tables, read_only=True)
    database.run(_create_functions)
    missing = set(_TRIGGERS) - set(database.run(_existing, read_only=True))
    return _for_each(database, missing, _create)


def drop(database: Database) -> list[str]:
    """Drop the triggers and return the names of those that existed.

    Raises:
        DatabaseError: the role lacks a privilege, or another transaction keeps a table locked.
    """
    dropped = _for_each(database, set(database.run(_existing, read_only=True)), _drop)
    database.run(_drop_functions)
    return dropped


def drop_from_tables(connection: Connection) -> None:
    """Drop the triggers from tables that are no longer read, wherever they are."""
    connection.execute(QUERIES["lock_timeout"])
    connection.execute(QUERIES["drop_functions_with_triggers"].format(**_functions()))


def are_enabled(connection: Connection) -> bool:
    """Return whether all triggers on the tables that are read exist and are enabled."""
    return sum(_existing(connection).values()) == len(_TRIGGERS)


def lock_tables(connection: Connection) -> None:
    """Lock the shop's tables, if a trigger or a foreign key ties them to tables of ours.

    A transaction of the shop that has written to its tables may wait for ours next. So the shop's
    are locked before ours, or the two could wait for each other.
    """
    found = connection.execute(QUERIES["tied"], {"names": list(_TRIGGERS)}).fetchall()
    if found:
        tables = sql.SQL(", ").join(statements.trusted(table) for (table,) in found)
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(QUERIES["lock_tables"].format(tables=tables))


def renew(connection: Connection) -> None:
    """Replace the triggers and their function by those of this release, if there are triggers."""
    if not _existing(connection):
        return
    outdated = connection.execute(QUERIES["outdated"], {"names": list(_TRIGGERS)}).fetchall()
    for schema, function in {(schema, function) for _, schema, function in outdated}:
        old, new = sql.Identifier(schema, function), sql.Identifier("shelfsight", function)
        connection.execute(QUERIES["move_function"].format(old=old))
        connection.execute(QUERIES["rename_function"].format(old=new))
    for table in _WATCHED:
        _create_comparison(connection, table)
    older = connection.execute(QUERIES["older"], {"names": list(_TRIGGERS)}).fetchall()
    if older or len(_existing(connection)) < len(_TRIGGERS):
        for name in _TRIGGERS:
            _create(connection, name)
    _create_functions(connection)


def _for_each(
    database: Database, names: set[str], work: Callable[[Connection, str], object]
) -> list[str]:
    """Do `work` for each trigger, each time in a separate transaction.

    A single transaction for all triggers would lock several tables of the shop at once.
    """
    ordered = [name for name in _TRIGGERS if name in names]
    for name in ordered:
        database.run(partial(_with_lock_timeout, name=name, work=work))
    return [f'trigger "{name}"' for name in ordered]


def _with_lock_timeout(
    connection: Connection, name: str, work: Callable[[Connection, str], object]
) -> None:
    connection.execute(QUERIES["lock_timeout"])
    try:
        work(connection, name)
    except psycopg.errors.LockNotAvailable as error:
        raise DatabaseError(
            f'"{_TRIGGERS[name][0]}" is in use by a transaction that does not end;'
            " try again in a while"
        ) from error


def _existing(connection: Connection) -> dict[str, bool]:
    """Return the names of the existing triggers, each with whether it is enabled."""
    return dict(connection.execute(QUERIES["existing"], {"names": list(_TRIGGERS)}).fetchall())


def _require_tables(connection: Connection) -> None:
    for table in _WATCHED:
        row = connection.execute(QUERIES["kind"], {"table": table}).fetchone()
        if row is None:
            raise SchemaError(f'there is no table "{table}"; run: shelfsight init')
        if row[0] not in ("r", "p"):
            raise SchemaError(
                f'"{table}" is not a table of this database, so it can have no triggers;'
                " leave them out: `shelfsight watch` then looks by itself"
            )


def _create(connection: Connection, name: str) -> None:
    table, event = _TRIGGERS[name]
    common = {
        "name": sql.Identifier(name),
        "table": sql.Identifier(table),
        "function": _FUNCTION,
    }
    if event != "UPDATE":
        rows = statements.trusted("OLD" if event == "DELETE" else "NEW")
        connection.execute(
            QUERIES["statement_trigger"].format(
                event=statements.trusted(event), rows=rows, **common
            )
        )
        return
    connection.execute(QUERIES["row_trigger"].format(comparison=_COMPARISONS[table], **common))


def _drop(connection: Connection, name: str) -> None:
    table = sql.Identifier(_TRIGGERS[name][0])
    statement = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(name), table)
    connection.execute(statement)


def _create_comparison(connection: Connection, table: str) -> None:
    """Create the function that tells whether an update has changed what vectors are made of."""
    existing = columns(connection, table)
    differences = [
        QUERIES["differs"].format(column=sql.Identifier(name))
        for name in _WATCHED[table]
        if name in existing
    ]
    create_function = QUERIES["comparison"].format(
        comparison=_COMPARISONS[table], differs=sql.SQL(" OR ").join(differences)
    )
    connection.execute(create_function)
    connection.execute(QUERIES["grant_execute"].format(comparison=_COMPARISONS[table]))


def _create_functions(connection: Connection) -> None:
    for table in _WATCHED:
        _create_comparison(connection, table)
    create_function = QUERIES["function"].format(
        function=_FUNCTION,
        id_type=id_type(connection),
        enqueue=QUERIES["enqueue"].format(channel=sql.Literal(CHANNEL)),
    )
    connection.execute(create_function)
    connection.execute(QUERIES["revoke_execute"].format(function=_FUNCTION))


def id_type(connection: Connection) -> sql.SQL:
    """Return the type of the ids in the queue; it names its schema, unless that is `pg_catalog`.

    Raises:
        SchemaError: there is no queue.
    """
    ((path,),) = connection.execute(QUERIES["search_path"]).fetchall()
    connection.execute(QUERIES["set_search_path"], {"path": ""})
    row = connection.execute(QUERIES["id_type"]).fetchone()
    connection.execute(QUERIES["set_search_path"], {"path": path})
    if row is None:
        raise SchemaError('there is no table "EmbeddingQueue"; run: shelfsight init')
    return statements.trusted(row[0])


def _drop_functions(connection: Connection) -> None:
    if connection.execute(QUERIES["has_schema"]).fetchone() is not None:
        connection.execute(QUERIES["drop_functions"].format(**_functions()))


def _functions() -> dict[str, sql.Identifier]:
    return {
        "function": _FUNCTION,
        "variants_differ": _COMPARISONS["ProductVariants"],
        "images_differ": _COMPARISONS["ProductImages"],
    }
