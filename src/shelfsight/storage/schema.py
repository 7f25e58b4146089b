"""Creates the missing tables, adds missing columns to the vectors, and applies migrations."""

from collections.abc import Mapping
from functools import partial

import psycopg
from psycopg import sql

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.advisory_locks import LockKey
from shelfsight.postgres.connection import Connection, Database, Work, columns
from shelfsight.postgres.session import OWN_SCHEMA, reads_views
from shelfsight.storage import embeddings_table, id_type, rights
from shelfsight.storage.migrations import apply as migrations
from shelfsight.storage.migrations import own_schema

TABLES = statements.load("shelfsight.storage", "schema.sql")

_LACKING_COLUMNS = """
    SELECT n.nspname, wanted
    FROM unnest(%s::text[]) AS wanted,
      pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE t.relname = %s AND n.nspname = ANY(%s)
      AND NOT EXISTS (SELECT FROM pg_attribute
                      WHERE attrelid = t.oid AND attname = wanted AND NOT attisdropped)
"""
"""An SQL query for the wanted columns that a table of shelfsight lacks in the staged or previous
set of vectors."""

STAGED_SCHEMA = "shelfsight_next"
"""The database schema that holds the staged set of vectors."""

PREVIOUS_SCHEMA = "shelfsight_previous"
"""The database schema that holds the previous set of vectors."""


def create(
    database: Database,
    wait: migrations.Notify | None = None,
    views: Work[list[str]] | None = None,
) -> list[str]:
    """Create the missing tables, columns and indexes, and apply the missing migrations.

    If the catalogue is read through views, no table of the shop is created.

    Args:
        database: the database.
        views: creates the views of a catalogue, in the transaction that creates the tables. Without
            it, views stay as they are.
        wait: called with a message if workers are at work that a migration would break; then this
            waits until their work has ended. Without it that is an error.

    Returns:
        What was done, as lines for people; `[]` if nothing was missing.

    Raises:
        DatabaseError: the role lacks a right; the message says what to ask for.
        SchemaError: an existing table cannot be used as it is, a newer release has made our schema,
            or workers are at work.
    """
    work = partial(_create, views)
    done = migrations.when_idle(database, partial(database.run, work), wait)
    database.close()  # the next connection finds the views
    done += migrations.apply(database, _id_type, wait)
    done += database.run(id_type.follow)
    database.close()  # the next connection registers the type `vector`
    return done


def check(connection: Connection) -> None:
    """Check that `"ProductEmbeddings"` and its columns can store the vectors.

    Raises:
        SchemaError: a table or a column is missing, or `"ProductEmbeddings"` has faults. The
            message names all its faults, and for each the statement that mends it.
    """
    _require_vector(connection)
    embeddings_table.check(connection)


def _require_vector(connection: Connection) -> None:
    """Require that pgvector, if installed, is in a schema on the search path."""
    unseen = connection.execute(
        "SELECT quote_ident(nspname)"
        " FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace"
        " WHERE extname = 'vector' AND to_regtype('vector') IS NULL"
    ).fetchone()
    if unseen is not None:
        raise SchemaError(
            f"the extension vector lies in the schema {unseen[0]}, which is not searched; run:"
            f' ALTER ROLE CURRENT_USER SET search_path = "$user", public, {unseen[0]}'
        )


def _create(views: Work[list[str]] | None, connection: Connection) -> list[str]:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [LockKey.INIT_SCHEMA])
    connection.execute("SET LOCAL client_min_messages = warning")
    done = _create_extension(connection)
    done += own_schema.create(connection)
    if views is not None:
        made = views(connection)
        done += [*made, *(rights.protect(connection, OWN_SCHEMA) if made else [])]
    place = _schema_of_new_tables(connection)
    beside_views = reads_views(connection)
    has_place = beside_views or connection.schema is not None
    for table in ["ProductEmbeddings"] if beside_views else TABLES:
        if columns(connection, table, schema=place if has_place else None):
            continue
        name = sql.Identifier(place, table)
        connection.execute(TABLES[table].format(table=name, **_id_type(connection)))
        done += [f'created table "{table}"', *rights.close_new_table(connection, table)]
    changes = _add_columns(connection)
    changes += embeddings_table.add_indexes(connection, [STAGED_SCHEMA, PREVIOUS_SCHEMA])
    return done if 'created table "ProductEmbeddings"' in done else done + changes


def _id_type(connection: Connection) -> dict[str, sql.SQL]:
    """Return the type of a column for ids of `"ProductVariants"`, as `{id_type}` of a statement.

    Such a column has no foreign key: it would stand in the way of the shop's own statements.
    """
    return {"id_type": statements.trusted(columns(connection, "ProductVariants").get("Id", "uuid"))}


def _schema_of_new_tables(connection: Connection) -> str:
    """Return the schema in which missing tables of the shop, and `"ProductEmbeddings"`, are made.

    It is ours if the catalogue is read through views. Otherwise it is the first one of the search
    path that is not ours: for a role that is called as our schema is, `"$user"` comes first. If no
    other schema is searched, it is ours.
    """
    if reads_views(connection):
        return OWN_SCHEMA
    ((names,),) = connection.execute("SELECT current_schemas(false)").fetchall()
    others = [str(name) for name in names if name != OWN_SCHEMA]
    return str([*others, *names, "public"][0])


def _create_extension(connection: Connection) -> list[str]:
    if _exists(connection, "SELECT FROM pg_extension WHERE extname = 'vector'"):
        _require_vector(connection)
        return []
    ask = "ask its administrator to run: CREATE EXTENSION vector"
    try:
        connection.execute("CREATE EXTENSION vector")
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseError(f"this role may not create the extension vector; {ask}") from error
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
        raise DatabaseError(f"the server has no pgvector; have it installed, then {ask}") from error
    return ["created extension vector"]


def _add_columns(connection: Connection) -> list[str]:
    variants = columns(connection, "ProductVariants")
    wanted = {
        "ProductId": variants.get("ProductId", "text"),
        "UserId": variants.get("UserId", "text"),
        **embeddings_table.column_types(connection),
    }
    done = _add(connection, "ProductEmbeddings", wanted)
    embeddings_table.check(connection, doubles=True)
    return done


def _add(connection: Connection, table: str, wanted: Mapping[str, str]) -> list[str]:
    """Add the columns that a table lacks in any set of vectors; return the names of those added.

    The sets are the one in use, the staged one and the previous one.
    """
    found = columns(connection, table)
    missing = [(sql.Identifier(table), name) for name in wanted if name not in found]
    schemas = [STAGED_SCHEMA, PREVIOUS_SCHEMA]
    lacking = connection.execute(_LACKING_COLUMNS, [list(wanted), table, schemas])
    missing += [(sql.Identifier(schema, table), name) for schema, name in lacking.fetchall()]
    for place, name in missing:
        column = sql.Identifier(name)
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                place, column, statements.trusted(wanted[name])
            )
        )
        if name in embeddings_table.IN_ROW and wanted[name].startswith("halfvec"):
            connection.execute(
                sql.SQL(
                    "ALTER TABLE {} ALTER {} SET STORAGE MAIN, SET (toast_tuple_target = {})"
                ).format(place, column, embeddings_table.ROW_BYTES)
            )
    return [f'created column {place.as_string()}."{name}"' for place, name in missing]


def _exists(connection: Connection, query: str) -> bool:
    return connection.execute(statements.trusted(query)).fetchone() is not None
