"""Switches the staged set of vectors into use, or rolls back to the previous set."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import IN_USE, Connection, Database, Work
from shelfsight.storage import rights
from shelfsight.storage.index.build import (
    OUT_OF_MEMORY,
    PARALLEL_WORKERS,
    BuildObserver,
    build_settings,
    report_progress,
)
from shelfsight.storage.index.indexes import UNLIMITED, read
from shelfsight.storage.versions import clone_table, foreign_keys, lock_retry
from shelfsight.storage.versions.carry import Carry, count_down
from shelfsight.storage.versions.clone_table import TABLES
from shelfsight.storage.versions.foreign_keys import ForeignKey
from shelfsight.storage.versions.lock_retry import TIMEOUT
from shelfsight.storage.versions.properties import (
    copy_properties,
    create_readers,
    invalid_indexes,
    read_readers,
)
from shelfsight.storage.versions.queries import QUERIES
from shelfsight.storage.versions.vector_versions import (
    CARRIED,
    PREVIOUS_SCHEMA,
    STAGED_SCHEMA,
    close_staged_runs,
    existing_schemas,
    has_carried,
    open_previous,
    open_staged,
)

_CONCURRENT_CHANGES = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.DuplicateTable,
)
"""The errors that Postgres raises if another process has switched, indexed or dropped a set
meanwhile."""


def switch(database: Database, observer: BuildObserver, *, timeout: float = TIMEOUT) -> list[str]:
    """Build the indexes of the staged set, then swap it with the set in use in one transaction.

    The set in use becomes the previous set. The shop's rows and columns are carried over. Returns
    the names of what still reads the old tables, such as publications.

    Raises:
        SchemaError: there is no staged set, there is a previous set, or columns differ.
        DatabaseError: the role lacks a privilege, or another transaction holds the tables for
            longer than `timeout` seconds.
    """
    staged = open_staged(database)
    if PREVIOUS_SCHEMA in existing_schemas(database):
        raise SchemaError(
            "vectors are still kept from before the last switch; drop them first:"
            " shelfsight models --forget"
        )
    database.run(_require_switchable, read_only=True)
    carried = Carry(source=_schema_in_use(database), target=STAGED_SCHEMA)
    with closing(staged), _explain_concurrent_changes(STAGED_SCHEMA):
        boundary = carried.begin(database)
        _build_indexes(database, staged, observer)
    carry_rest = partial(carried.finish, boundary)
    return _swap(database, carry_rest, STAGED_SCHEMA, PREVIOUS_SCHEMA, timeout=timeout)


def roll_back(database: Database, *, timeout: float = TIMEOUT) -> list[str]:
    """Swap the previous set with the set in use, which becomes the staged set.

    What the shop has written since the switch is carried back. Returns the names of what still
    reads the tables that were in use before, such as publications.

    Raises:
        SchemaError: there is no previous set, there is a staged set, or columns differ.
        DatabaseError: the role lacks a privilege, or another transaction holds the tables for
            longer than `timeout` seconds.
    """
    open_previous(database)
    if STAGED_SCHEMA in existing_schemas(database):
        raise SchemaError("other vectors are staged; drop them first: shelfsight models --discard")
    database.run(partial(_require_same_structure, PREVIOUS_SCHEMA), read_only=True)
    carried = Carry(
        source=_schema_in_use(database),
        target=PREVIOUS_SCHEMA,
        add_only=not has_carried(database),
    )
    with _explain_concurrent_changes(PREVIOUS_SCHEMA):
        boundary = carried.begin(database)
    carry_rest = partial(carried.finish, boundary)
    return _swap(database, carry_rest, PREVIOUS_SCHEMA, STAGED_SCHEMA, timeout=timeout)


def _schema_in_use(database: Database) -> str:
    return database.run(clone_table.require_rights, read_only=True)[TABLES[0]]


def _require_switchable(connection: Connection) -> None:
    _require_same_structure(STAGED_SCHEMA, connection)


def _require_same_structure(schema: str, connection: Connection) -> None:
    clone_table.require_rights(connection)
    clone_table.require_same_structure(connection, schema)


def _build_indexes(database: Database, staged: Database, observer: BuildObserver) -> None:
    """Build the same search indexes on the staged set that the set in use has.

    Each is built in a transaction and not concurrently, because nobody reads the staged set yet.
    """
    settings = {
        one.index.name: staged.run(partial(build_settings, one), read_only=True)
        for one in read(staged)
    }
    for table in TABLES:
        values = {"table": table, "schema": STAGED_SCHEMA}
        missing = database.run(partial(_missing_indexes, values), read_only=True)
        for name, ddl in missing:
            with report_progress(staged, name, observer):
                staged.run(partial(_build, ddl, {**UNLIMITED, **settings.get(name, {})}))
            observer.notify(f"Built {name} in the staged set")
        find = partial(invalid_indexes, table=sql.Identifier(table))
        for name in database.run(find, read_only=True):
            observer.notify(f"{name} is invalid in the set in use, so it is not built")
    staged.run(lambda connection: connection.execute(QUERIES["analyze"]))


def _missing_indexes(values: dict[str, str], connection: Connection) -> list[tuple[str, str]]:
    return connection.execute(QUERIES["search_indexes"], values).fetchall()


def _build(ddl: str, settings: dict[str, str], connection: Connection) -> None:
    """Build an index. If parallel workers run out of shared memory, build it again without them."""
    serial = {**settings, PARALLEL_WORKERS: "0"}
    try:
        with connection.transaction():
            _build_with(ddl, settings, connection)
    except OUT_OF_MEMORY:
        _build_with(ddl, serial, connection)


def _build_with(ddl: str, settings: dict[str, str], connection: Connection) -> None:
    connection.execute(QUERIES["local_settings"], {"settings": Jsonb(settings)})
    connection.execute(statements.trusted(ddl))


def _swap(
    database: Database, carry_rest: Work[None], incoming: str, outgoing: str, *, timeout: float
) -> list[str]:
    """Move the tables in use to the schema `outgoing`, and those in `incoming` to their place."""
    dependents: list[str] = []
    keys: list[ForeignKey] = []

    def work(connection: Connection) -> None:
        schemas_in_use = clone_table.require_rights(connection)
        clone_table.require_same_structure(connection, incoming)
        clone_table.create_schema(connection, outgoing)
        readers, keys[:] = [], []
        for table in TABLES:
            in_use = sql.Identifier(schemas_in_use[table], table)
            readers += read_readers(connection, in_use)
            keys.extend(foreign_keys.take(connection, in_use, sql.Identifier(incoming, table)))
            clone_table.execute_all(connection, "access", table, incoming)
            copy_properties(connection, in_use, sql.Identifier(incoming, table))
            moves = ((schemas_in_use[table], outgoing), (incoming, schemas_in_use[table]))
            _move(connection, table, moves)
        create_readers(connection, readers)
        foreign_keys.give(connection, keys)
        dependents[:] = _dependents(connection, outgoing)
        connection.execute(QUERIES["drop_failures"], {"set": outgoing})  # of a set dropped by hand
        for source, target in ((IN_USE, outgoing), (incoming, IN_USE)):
            values = {"source": source, "target": target}
            connection.execute(QUERIES["move_failures"], values)
        rights.protect(connection, outgoing)
        clone_table.drop_schema(connection, incoming)
        if outgoing == PREVIOUS_SCHEMA:
            _comment_on_previous(connection)
        else:
            count_down(connection, outgoing)
        close_staged_runs(connection)

    locked = [sql.Identifier(table) for table in TABLES]
    locked += [sql.Identifier(incoming, table) for table in TABLES]
    with _explain_concurrent_changes(incoming):
        lock_retry.run(database, work, locked, prepare=carry_rest, timeout=timeout)
    foreign_keys.validate(database, keys)
    return dependents


@contextmanager
def _explain_concurrent_changes(schema: str) -> Iterator[None]:
    try:
        yield
    except _CONCURRENT_CHANGES as error:
        raise SchemaError(
            f"the vectors in the schema {schema} were indexed, switched or dropped by another"
            " process meanwhile; see: shelfsight models"
        ) from error


def _move(connection: Connection, table: str, moves: tuple[tuple[str, str], ...]) -> None:
    """Move two tables of the same name, first the table in use, each from one schema to another.

    A sequence of the table in use serves both tables, so the sequence stays in its schema.
    """
    ((schema_in_use, _), _) = moves
    sequences = connection.execute(QUERIES["owned_sequences"], {"table": table}).fetchall()
    for sequence, _ in sequences:
        name = statements.trusted(sequence)
        connection.execute(QUERIES["disown_sequence"].format(sequence=name))
    for source, target in moves:
        values, schema = {"table": table, "schema": source}, sql.Identifier(target)
        statistics = connection.execute(QUERIES["statistics"], values).fetchall()
        connection.execute(
            QUERIES["move_table"].format(table=sql.Identifier(source, table), schema=schema)
        )
        for (name,) in statistics:
            connection.execute(
                QUERIES["move_statistics"].format(
                    statistics=statements.trusted(name), schema=schema
                )
            )
    for sequence, column in sequences:
        connection.execute(
            QUERIES["own_sequence"].format(
                sequence=statements.trusted(sequence),
                table=sql.Identifier(schema_in_use, table),
                column=statements.trusted(column),
            )
        )


def _dependents(connection: Connection, schema: str) -> list[str]:
    """Return what still reads the tables that were moved to the schema."""
    names = (sql.Identifier(schema, table).as_string() for table in TABLES)
    found = (connection.execute(QUERIES["dependents"], {"table": name}) for name in names)
    return [name for rows in found for (name,) in rows]


def _comment_on_previous(connection: Connection) -> None:
    """Write the time of the switch into the comment of the previous set's schema.

    `switched_at` reads the time from there.
    """
    ((time,),) = connection.execute(
        "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'"
    ).fetchall()
    text = sql.Literal(f"Vectors that shelfsight kept, {CARRIED}, at the switch of {time}")
    connection.execute(
        QUERIES["comment_on_schema"].format(schema=sql.Identifier(PREVIOUS_SCHEMA), text=text)
    )
