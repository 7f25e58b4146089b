"""Creates empty copies of the vector tables in another schema; they can replace those in use."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection
from shelfsight.storage import rights
from shelfsight.storage.versions import carry
from shelfsight.storage.versions.properties import copy_properties
from shelfsight.storage.versions.queries import QUERIES

TABLES = ("ProductEmbeddings",)
"""The tables of a set of vectors."""


class _TableInUse(NamedTuple):
    """A table in use, and the current role's rights on the table, its schema and database."""

    is_table: bool
    is_owner: bool
    owner: str
    schema: str
    may_create: bool
    role: str
    database: str
    may_create_schema: bool


def require_rights(connection: Connection) -> dict[str, str]:
    """Check that new tables can be created and can take the place of the tables in use.

    Returns the schema of each table in use, by table name.

    Raises:
        DatabaseError: the role lacks a privilege. The message says which one to grant.
        SchemaError: a table cannot be replaced, because it is not a plain table or a foreign key of
            another table refers to it.
    """
    schemas: dict[str, str] = {}
    for table in TABLES:
        in_use = _table_in_use(connection, table)
        schemas[table] = in_use.schema
        if not in_use.is_table:
            raise SchemaError(f'"{table}" is no plain table: no other can take its place')
        if not in_use.is_owner:
            raise DatabaseError(
                f'this role does not own "{table}": run this command as {in_use.owner}'
            )
        referring = connection.execute(QUERIES["referring_tables"], {"table": table}).fetchone()
        if referring is not None:
            raise SchemaError(
                f'{referring[0]} refers to rows of "{table}", so no other table can take its place;'
                " drop that foreign key, or replace all vectors where they are:"
                " shelfsight backfill --no-skip-existing --all"
            )
    if not in_use.may_create_schema:
        grant = _grant("CREATE ON DATABASE {} TO {}", in_use.database, in_use.role)
        raise DatabaseError(f"the new vectors are built in a schema of their own; run: {grant}")
    if not in_use.may_create:
        grant = _grant("CREATE ON SCHEMA {} TO {}", in_use.schema, in_use.role)
        raise DatabaseError(f"the new tables could not take the place of the old; run: {grant}")
    return schemas


def _table_in_use(connection: Connection, table: str) -> _TableInUse:
    cursor = connection.cursor(row_factory=class_row(_TableInUse))
    in_use = cursor.execute(QUERIES["table_in_use"], {"table": table}).fetchone()
    if in_use is None:
        raise SchemaError("the database is not prepared (no tables); run: shelfsight init")
    return in_use


def create(connection: Connection, schema: str) -> None:
    """Create empty copies of the tables in `schema`. If the schema is missing, create it too."""
    create_schema(connection, schema)
    for table in TABLES:
        new, old = sql.Identifier(schema, table), sql.Identifier(table)
        connection.execute(QUERIES["create_table"].format(new=new, old=old))
        execute_all(connection, "structure", table, schema)
        copy_properties(connection, old, new)
    carry.count_down(connection, schema)
    rights.protect(connection, schema)


def create_schema(connection: Connection, schema: str) -> None:
    """Create a schema if it is missing. Its owner is the owner of the table in use."""
    owner = sql.Identifier(_table_in_use(connection, TABLES[0]).owner)
    connection.execute("SET LOCAL client_min_messages = warning")
    connection.execute(QUERIES["create_schema"].format(schema=sql.Identifier(schema), owner=owner))
    rights.protect(connection, schema)


def drop(connection: Connection, schema: str) -> None:
    """Drop a schema and shelfsight's tables in it.

    Raises:
        SchemaError: the schema holds something else, or something depends on the tables.
    """
    with _explain_dependents(schema):
        for table in TABLES:
            connection.execute(QUERIES["drop_table"].format(table=sql.Identifier(schema, table)))
    drop_schema(connection, schema)


def drop_schema(connection: Connection, schema: str) -> None:
    """Drop a schema that should be empty.

    Raises:
        SchemaError: the schema is not empty.
    """
    with _explain_dependents(schema):
        connection.execute(QUERIES["drop_schema"].format(schema=sql.Identifier(schema)))


@contextmanager
def _explain_dependents(schema: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.DependentObjectsStillExist as error:
        detail = " ".join((error.diag.message_detail or "").split())
        raise SchemaError(
            f"the schema {schema} cannot be dropped: {detail}; drop or move that first"
        ) from error


def require_same_structure(connection: Connection, schema: str) -> None:
    """Check that the tables in `schema` have the same structure as the tables in use.

    Raises:
        SchemaError: a column, constraint, unique index or trigger differs.
    """
    for table in TABLES:
        values = {"table": table, "schema": schema}
        names = [name for (name,) in connection.execute(QUERIES["differences"], values)]
        if names:
            raise SchemaError(
                f'"{table}" differs in {", ".join(names)} from the one in {schema}: alter the'
                " latter alike first"
            )


def execute_all(connection: Connection, query: str, table: str, schema: str) -> None:
    """Run a query that returns SQL statements for the copy of `table` in `schema`; execute them."""
    values: Mapping[str, str] = {"table": table, "schema": schema}
    for (ddl,) in connection.execute(QUERIES[query], values).fetchall():
        connection.execute(statements.trusted(ddl))


def _grant(text: str, what: str, role: str) -> str:
    return "GRANT " + sql.SQL(text).format(sql.Identifier(what), sql.Identifier(role)).as_string()
