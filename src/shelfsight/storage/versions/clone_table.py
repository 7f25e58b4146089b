"""A second table of vectors in a schema of its own, made to work as the one in use does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection
from shelfsight.storage.versions.queries import QUERIES

TABLES = ("ProductEmbeddings", "EmbeddingFailures")
"""What a generation of vectors is: the vectors, and what failed of them."""


class _TableInUse(NamedTuple):
    """A table in use, and what the current role may do to it, its schema and its database."""

    is_table: bool
    is_owner: bool
    owner: str
    schema: str
    may_create: bool
    role: str
    database: str
    may_add_schema: bool


def require_rights(connection: Connection) -> dict[str, str]:
    """See that tables can be put beside those in use, and in their place; gives their schemas.

    Raises:
        DatabaseError: the role may not; says what to ask for.
        SchemaError: a table is none that could be replaced.
    """
    places: dict[str, str] = {}
    for table in TABLES:
        found = _table_in_use(connection, table)
        places[table] = found.schema
        if not found.is_table:
            raise SchemaError(f'"{table}" is no plain table: no other can take its place')
        if not found.is_owner:
            raise DatabaseError(
                f'this role does not own "{table}": run this command as {found.owner}'
            )
        referring = connection.execute(QUERIES["referring"], {"table": table}).fetchone()
        if referring is not None:
            raise SchemaError(
                f'{referring[0]} refers to rows of "{table}", so no other table can take its place;'
                " drop that foreign key, or replace all vectors where they are:"
                " shelfsight backfill --no-skip-existing --all"
            )
    if not found.may_add_schema:
        grant = _grant("CREATE ON DATABASE {} TO {}", found.database, found.role)
        raise DatabaseError(f"the new vectors are built in a schema of their own; run: {grant}")
    if not found.may_create:
        grant = _grant("CREATE ON SCHEMA {} TO {}", found.schema, found.role)
        raise DatabaseError(f"the new tables could not take the place of the old; run: {grant}")
    return places


def _table_in_use(connection: Connection, table: str) -> _TableInUse:
    cursor = connection.cursor(row_factory=class_row(_TableInUse))
    found = cursor.execute(QUERIES["owner"], {"table": table}).fetchone()
    if found is None:
        raise SchemaError("the database is not prepared (no tables); run: shelfsight init")
    return found


def create(connection: Connection, schema: str) -> None:
    """Create the tables in a schema, which is created where it is missing."""
    create_schema(connection, schema)
    for table in TABLES:
        new, old = sql.Identifier(schema, table), sql.Identifier(table)
        connection.execute(QUERIES["create_table"].format(new=new, old=old))
        execute_all(connection, "structure", table, schema)


def create_schema(connection: Connection, schema: str) -> None:
    """Create a schema of the one who owns the table in use."""
    owner = sql.Identifier(_table_in_use(connection, TABLES[0]).owner)
    connection.execute("SET LOCAL client_min_messages = warning")
    connection.execute(QUERIES["create_schema"].format(schema=sql.Identifier(schema), owner=owner))


def drop(connection: Connection, schema: str) -> None:
    """Drop the tables of a schema, and the schema.

    Raises:
        SchemaError: something else depends on them, or lies there.
    """
    with _nothing_else(schema):
        for table in TABLES:
            connection.execute(QUERIES["drop_table"].format(table=sql.Identifier(schema, table)))
    drop_schema(connection, schema)


def drop_schema(connection: Connection, schema: str) -> None:
    """Drop a schema that should be empty.

    Raises:
        SchemaError: something lies there.
    """
    with _nothing_else(schema):
        connection.execute(QUERIES["drop_schema"].format(schema=sql.Identifier(schema)))


@contextmanager
def _nothing_else(schema: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.DependentObjectsStillExist as error:
        detail = " ".join((error.diag.message_detail or "").split())
        raise SchemaError(
            f"the schema {schema} cannot be dropped: {detail}; drop or move that first"
        ) from error


def require_alike(connection: Connection, schema: str) -> None:
    """See that no column or rule of the table in use has changed since the other was made.

    Raises:
        SchemaError: one has.
    """
    for table in TABLES:
        values = {"table": table, "schema": schema}
        names = [row[0] for row in connection.execute(QUERIES["differing"], values)]
        if names:
            raise SchemaError(
                f'"{table}" differs in {", ".join(names)} from the one in {schema}: alter the'
                " latter alike first"
            )


def execute_all(connection: Connection, name: str, table: str, schema: str) -> None:
    """Execute what a query makes of the table in use for that in another schema."""
    values: Mapping[str, str] = {"table": table, "schema": schema}
    for (ddl,) in connection.execute(QUERIES[name], values).fetchall():
        connection.execute(statements.trusted(ddl))


def _grant(text: str, what: str, role: str) -> str:
    return "GRANT " + sql.SQL(text).format(sql.Identifier(what), sql.Identifier(role)).as_string()
