"""Creates shelfsight's missing tables, and adds missing columns to tables of older releases."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.advisory_locks import LockKey
from shelfsight.postgres.connection import Connection, Database, columns
from shelfsight.storage import embeddings_table

TABLES = statements.load("shelfsight.storage", "schema.sql")

_NEWER_COLUMNS = {
    "EmbeddingFailures": {"Host": "text", "Settings": "text[] NOT NULL DEFAULT '{}'"},
    "BackfillLeases": {
        "Ids": "jsonb",
        "Left": "jsonb",
        "Stored": "integer NOT NULL DEFAULT 0",
    },
}
"""Columns that were added to our tables after their first release."""

_UNIQUE_INDEX = """
    SELECT FROM pg_index AS i JOIN pg_attribute AS a
      ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(quote_ident(%s)) AND i.indisunique AND i.indimmediate
      AND i.indpred IS NULL AND i.indnkeyatts = 1 AND a.attname = %s
"""
"""An SQL query: does a table have a unique index on just one given column? A foreign key to that
column needs such an index."""

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

OWN_SCHEMA = "shelfsight"
"""The database schema that holds the tables of shelfsight, except the vectors."""

OWN_TABLES = (
    "EmbeddingFailures",
    "BackfillRuns",
    "BackfillLeases",
    "EmbeddingQueue",
    "ScanMeans",
    "ApiKeys",
    "ScanFeedback",
)
"""The tables in `OWN_SCHEMA`."""

STAGED_SCHEMA = "shelfsight_next"
"""The database schema that holds the staged set of vectors."""

PREVIOUS_SCHEMA = "shelfsight_previous"
"""The database schema that holds the previous set of vectors."""


def create(database: Database) -> list[str]:
    """Create the missing tables, columns and indexes; return their names.

    Returns `[]` if nothing was missing.

    Raises:
        DatabaseError: the role lacks a right; the message says what to ask for.
        SchemaError: an existing table cannot be used as it is.
    """
    done = database.run(_create)
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
    for table, wanted in _NEWER_COLUMNS.items():
        _require_columns(connection, table, list(wanted))


def _require_columns(connection: Connection, table: str, wanted: list[str]) -> None:
    """Require that one of shelfsight's tables has the wanted columns."""
    found = _columns(connection, table)
    missing = [name for name in wanted if name not in found]
    if missing:
        what = f'"{table}" lacks {", ".join(missing)}' if found else "there are no tables"
        raise SchemaError(f"the database is not prepared ({what}); run: shelfsight init")


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


def _create(connection: Connection) -> list[str]:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [LockKey.INIT_SCHEMA])
    connection.execute("SET LOCAL client_min_messages = warning")
    done = _create_extension(connection)
    place = _schema_of_new_tables(connection)
    done += _create_own_schema(connection)
    for table, statement in TABLES.items():
        if _columns(connection, table):
            continue
        id_type = columns(connection, "ProductVariants").get("Id", "uuid")
        # a foreign key needs a table (not a view) with a unique index on "Id" alone
        may_refer = _exists(connection, _UNIQUE_INDEX, ["ProductVariants", "Id"])
        reference = 'REFERENCES "ProductVariants" ("Id") ON DELETE CASCADE' if may_refer else ""
        connection.execute(
            statement.format(
                table=sql.Identifier(place, table),
                id_type=statements.trusted(id_type),
                reference=statements.trusted(reference),
            )
        )
        done.append(f"table {_name(table).as_string()}")
    changes = _add_columns(connection)
    changes += embeddings_table.add_indexes(connection, [STAGED_SCHEMA, PREVIOUS_SCHEMA])
    return done if 'table "ProductEmbeddings"' in done else done + changes


def _schema_of_new_tables(connection: Connection) -> str:
    """Return the schema in which missing tables of the shop, and `"ProductEmbeddings"`, are made.

    It is the first one of the search path that is not ours: for a role that is called as our
    schema is, `"$user"` comes first.
    """
    ((names,),) = connection.execute("SELECT current_schemas(false)").fetchall()
    return next((str(name) for name in names if name != OWN_SCHEMA), "public")


def _create_own_schema(connection: Connection) -> list[str]:
    if _exists(connection, "SELECT FROM pg_namespace WHERE nspname = %s", [OWN_SCHEMA]):
        return []
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(OWN_SCHEMA)))
    return [f"schema {OWN_SCHEMA}"]


def _columns(connection: Connection, table: str) -> dict[str, str]:
    """Return the columns of one of the tables that `init` creates."""
    return columns(connection, table, schema=OWN_SCHEMA if table in OWN_TABLES else None)


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(OWN_SCHEMA, table) if table in OWN_TABLES else sql.Identifier(table)


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
    return ["extension vector"]


def _add_columns(connection: Connection) -> list[str]:
    variants = columns(connection, "ProductVariants")
    wanted = {
        "ProductEmbeddings": {
            "ProductId": variants.get("ProductId", "text"),
            "UserId": variants.get("UserId", "text"),
            **embeddings_table.VECTOR_COLUMNS,
            **embeddings_table.OTHER_COLUMNS,
        },
        **_NEWER_COLUMNS,
    }
    done = [name for table, kinds in wanted.items() for name in _add(connection, table, kinds)]
    embeddings_table.check(connection, doubles=True)
    check(connection)
    return done


def _add(connection: Connection, table: str, wanted: Mapping[str, str]) -> list[str]:
    """Add the columns that a table lacks in any set of vectors; return the names of those added.

    The sets are the one in use, the staged one and the previous one.
    """
    found = _columns(connection, table)
    missing = [(_name(table), name) for name in wanted if name not in found]
    schemas = [STAGED_SCHEMA, PREVIOUS_SCHEMA]
    lacking = connection.execute(_LACKING_COLUMNS, [list(wanted), table, schemas])
    missing += [(sql.Identifier(schema, table), name) for schema, name in lacking.fetchall()]
    for place, name in missing:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                place, sql.Identifier(name), statements.trusted(wanted[name])
            )
        )
    return [f'column {place.as_string()}."{name}"' for place, name in missing]


def _exists(connection: Connection, query: str, values: list[str] | None = None) -> bool:
    return connection.execute(statements.trusted(query), values).fetchone() is not None
