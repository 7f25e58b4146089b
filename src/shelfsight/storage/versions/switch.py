"""Puts the vectors built beside in the place of those in use, and back."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage.index.build import NO_ROOM, WORKERS, Watcher, sized_for, watched
from shelfsight.storage.index.indexes import UNLIMITED, read
from shelfsight.storage.versions import clone_table, lock_retry
from shelfsight.storage.versions.clone_table import TABLES
from shelfsight.storage.versions.lock_retry import PATIENCE
from shelfsight.storage.versions.queries import QUERIES
from shelfsight.storage.versions.vector_versions import (
    NEXT,
    PREVIOUS,
    close_staged_runs,
    previous,
    schemas,
    staged,
)

_MEANWHILE = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.DuplicateTable,
)
"""What is found where another process has changed over, or dropped one of the two."""


def switch(database: Database, watcher: Watcher, *, patience: float = PATIENCE) -> list[str]:
    """Index what is built beside as what is in use is, then put it in its place in one transaction.

    Gives the names of what goes on reading the old tables, which are kept in `PREVIOUS`.

    Raises:
        SchemaError: nothing is built beside, older vectors are still kept, or columns differ.
        DatabaseError: the role may not, or another transaction holds the tables for too long.
    """
    new = staged(database)
    if PREVIOUS in schemas(database):
        raise SchemaError(
            "vectors are still kept from before the last switch; drop them first:"
            " shelfsight models --forget"
        )
    database.run(_require, read_only=True)
    with closing(new), _alone(NEXT):
        _index(database, new, watcher)
    return _exchange(database, come=NEXT, go=PREVIOUS, patience=patience)


def roll_back(database: Database, *, patience: float = PATIENCE) -> list[str]:
    """Put the vectors from before in the place of those in use, which are beside again then.

    Gives the names of what goes on reading the tables that were in use.

    Raises:
        SchemaError: none are kept, others are being built beside, or columns differ.
        DatabaseError: the role may not, or another transaction holds the tables for too long.
    """
    previous(database)
    if NEXT in schemas(database):
        raise SchemaError("other vectors are staged; drop them first: shelfsight models --discard")
    return _exchange(database, come=PREVIOUS, go=NEXT, patience=patience)


def _require(connection: Connection) -> None:
    clone_table.require_rights(connection)
    clone_table.require_alike(connection, NEXT)


def _index(database: Database, new: Database, watcher: Watcher) -> None:
    """Build the indexes that searches use, each in a transaction: nobody reads that table yet."""
    sizes = {one.index.name: new.run(partial(sized_for, one), read_only=True) for one in read(new)}
    for table in TABLES:
        values = {"table": table, "schema": NEXT}
        found = database.run(partial(_search_indexes, values), read_only=True)
        for name, ddl in found:
            settings = {**UNLIMITED, **sizes.get(name, {})}
            with watched(new, name, watcher):
                new.run(partial(_build, ddl, settings))
            watcher.notify(f"Built {name} in the staged set")
    new.run(lambda connection: connection.execute(QUERIES["analyze"]))


def _search_indexes(values: dict[str, str], connection: Connection) -> list[tuple[str, str]]:
    return connection.execute(QUERIES["search_indexes"], values).fetchall()


def _build(ddl: str, settings: dict[str, str], connection: Connection) -> None:
    """Build an index, once more by one process where several cannot share that much memory."""
    alone = {**settings, WORKERS: "0"}
    try:
        with connection.transaction():
            _build_with(ddl, settings, connection)
    except NO_ROOM:
        _build_with(ddl, alone, connection)


def _build_with(ddl: str, settings: dict[str, str], connection: Connection) -> None:
    connection.execute(QUERIES["time_for_build"], {"settings": Jsonb(settings)})
    connection.execute(statements.trusted(ddl))


def _exchange(database: Database, *, come: str, go: str, patience: float) -> list[str]:
    left_behind: list[str] = []

    def work(connection: Connection) -> None:
        in_use = clone_table.require_rights(connection)
        clone_table.require_alike(connection, come)
        clone_table.create_schema(connection, go)
        left_behind[:] = _pointing(connection)
        for table in TABLES:
            clone_table.execute_all(connection, "access", table, come)
            _move(connection, table, come=come, use=in_use[table], go=go)
        clone_table.drop_schema(connection, come)
        if go == PREVIOUS:
            _remember(connection)
        close_staged_runs(connection)

    tables = [sql.Identifier(table) for table in TABLES]
    tables += [sql.Identifier(come, table) for table in TABLES]
    with _alone(come):
        lock_retry.run(database, work, tables, patience=patience)
    return left_behind


@contextmanager
def _alone(schema: str) -> Iterator[None]:
    try:
        yield
    except _MEANWHILE as error:
        raise SchemaError(
            f"the vectors in the schema {schema} were indexed, switched or dropped by another"
            " process meanwhile; see: shelfsight models"
        ) from error


def _move(connection: Connection, table: str, *, come: str, use: str, go: str) -> None:
    """Move a table out of the schema in use, the other in; a sequence serves both, and stays."""
    serials = connection.execute(QUERIES["serials"], {"table": table}).fetchall()
    for sequence, _ in serials:
        name = statements.trusted(sequence)
        connection.execute(QUERIES["disown"].format(sequence=name))
    for place, to in ((use, go), (come, use)):
        values, schema = {"table": table, "schema": place}, sql.Identifier(to)
        found = connection.execute(QUERIES["statistics"], values).fetchall()
        connection.execute(
            QUERIES["move"].format(table=sql.Identifier(place, table), schema=schema)
        )
        for (name,) in found:
            statistics = statements.trusted(name)
            connection.execute(
                QUERIES["move_statistics"].format(statistics=statistics, schema=schema)
            )
    for sequence, column in serials:
        connection.execute(
            QUERIES["own"].format(
                sequence=statements.trusted(sequence),
                table=sql.Identifier(use, table),
                column=statements.trusted(column),
            )
        )


def _pointing(connection: Connection) -> list[str]:
    found = (connection.execute(QUERIES["pointing"], {"table": table}) for table in TABLES)
    return [name for rows in found for (name,) in rows]


def _remember(connection: Connection) -> None:
    row = connection.execute(
        "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'"
    ).fetchall()[0]
    text = sql.Literal(f"Vectors that shelfsight kept at the switch of {row[0]}")
    connection.execute(QUERIES["remember"].format(schema=sql.Identifier(PREVIOUS), text=text))
