"""Creates the missing tables, adds missing columns to the vectors, and applies migrations."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.advisory_locks import LockKey
from shelfsight.postgres.connection import Connection, Database, columns
from shelfsight.records import COMBINED_WIDTH, IMAGE_WIDTH, TEXT_WIDTH
from shelfsight.storage import rights
from shelfsight.storage.migrations import apply as migrations
from shelfsight.storage.migrations import own_schema

TABLES = statements.load("shelfsight.storage", "schema.sql")

VECTOR_COLUMNS = {
    "ImageEmbedding": f"vector({IMAGE_WIDTH})",
    "TextEmbedding": f"vector({TEXT_WIDTH})",
    "CombinedEmbedding": f"vector({COMBINED_WIDTH})",
}

_OTHER_COLUMNS = {
    "ImageUrl": "text",
    "ImageHash": "text",
    "ProductText": "text",
    "SourceType": "text",
    "SourceHash": "text",
    "ModelVersions": "jsonb",
    "ImageFiles": "jsonb",
    "CreatedAt": "timestamptz NOT NULL DEFAULT now()",
    "UpdatedAt": "timestamptz NOT NULL DEFAULT now()",
}

_NULLABLE = {
    *("ImageEmbedding", "TextEmbedding"),
    *("ImageUrl", "ImageHash", "ImageFiles", "ProductText"),
}
"""Columns that must allow NULL: not every product has both an image and a text."""

_WRITTEN = {
    "Id",
    "ProductVariantId",
    "ProductId",
    "UserId",
    *VECTOR_COLUMNS,
    *_OTHER_COLUMNS,
}
"""The columns of `"ProductEmbeddings"` that shelfsight fills with a value."""

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

STAGED_SCHEMA = "shelfsight_next"
"""The database schema that holds the staged set of vectors."""

PREVIOUS_SCHEMA = "shelfsight_previous"
"""The database schema that holds the previous set of vectors."""


def create(database: Database, wait: migrations.Notify | None = None) -> list[str]:
    """Create the missing tables, columns and indexes, and apply the missing migrations.

    Args:
        database: the database.
        wait: called with a message if workers are at work that a migration would break; then this
            waits until their work has ended. Without it that is an error.

    Returns:
        What was done, as lines for people; `[]` if nothing was missing.

    Raises:
        DatabaseError: the role lacks a right; the message says what to ask for.
        SchemaError: an existing table cannot be used as it is, a newer release has made our schema,
            or workers are at work.
    """
    migrations.prepare(database, wait)
    done = database.run(_create) + migrations.apply(database, _reference, wait)
    database.close()  # the next connection registers the type `vector`
    return done


def check(connection: Connection) -> None:
    """Check that `"ProductEmbeddings"` and its columns can store the vectors.

    Raises:
        SchemaError: the table or a column is missing, a vector column has other dimensions, or a
            column is NOT NULL although some products have no value for it.
    """
    _require_vector(connection)
    found = _require_columns(connection, "ProductEmbeddings", [*VECTOR_COLUMNS, *_OTHER_COLUMNS])
    for name, kind in VECTOR_COLUMNS.items():
        if found[name] not in (kind, kind.replace("vector", "halfvec")):
            raise SchemaError(
                f'"ProductEmbeddings"."{name}" is {found[name]}, and these vectors need {kind};'
                " rename or drop that column, then run: shelfsight init"
            )
    for name in ("ModelVersions", "ImageFiles"):
        if found[name] != "jsonb":
            raise SchemaError(f'"ProductEmbeddings"."{name}" is {found[name]}; it must be jsonb')
    for name, has_default in _never_null(connection).items():
        if name in _NULLABLE or not (has_default or name in _WRITTEN):
            raise SchemaError(
                f'"ProductEmbeddings"."{name}" is NOT NULL, and not every product fills it; run:'
                f' ALTER TABLE "ProductEmbeddings" ALTER "{name}" DROP NOT NULL'
            )


def _require_columns(connection: Connection, table: str, wanted: list[str]) -> dict[str, str]:
    """Require that one of shelfsight's tables has the wanted columns; return all its columns."""
    found = columns(connection, table)
    missing = [name for name in wanted if name not in found]
    if missing:
        what = f'"{table}" lacks {", ".join(missing)}' if found else "there are no tables"
        raise SchemaError(f"the database is not prepared ({what}); run: shelfsight init")
    return found


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


def needs_id(connection: Connection) -> bool:
    """Return whether an INSERT into `"ProductEmbeddings"` must name an `"Id"`.

    That is so if an ORM created the table: its column `"Id"` has no default.
    """
    return not _never_null(connection).get("Id", True)


def _never_null(connection: Connection) -> dict[str, bool]:
    """Return the NOT NULL columns of `"ProductEmbeddings"`, and whether each has a default."""
    rows = connection.execute(
        "SELECT attname, atthasdef OR attidentity <> '' FROM pg_attribute"
        " WHERE attrelid = to_regclass('\"ProductEmbeddings\"')"
        " AND attnum > 0 AND NOT attisdropped AND attnotnull"
    )
    return {name: has_default for name, has_default in rows}


def _create(connection: Connection) -> list[str]:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [LockKey.INIT_SCHEMA])
    connection.execute("SET LOCAL client_min_messages = warning")
    done = _create_extension(connection)
    place = _schema_of_new_tables(connection)
    done += own_schema.create(connection)
    for table, statement in TABLES.items():
        if columns(connection, table):
            continue
        name = sql.Identifier(place, table)
        connection.execute(statement.format(table=name, **_reference(connection)))
        done += [f'created table "{table}"', *rights.close_new_table(connection, table)]
    changes = _add_columns(connection) + _add_unique(connection)
    return done if 'created table "ProductEmbeddings"' in done else done + changes


def _reference(connection: Connection) -> dict[str, sql.SQL]:
    """Return the type of a column for ids of `"ProductVariants"`, and its foreign key if possible.

    A foreign key needs a table (not a view) with a unique index on `"Id"` alone.
    """
    may_refer = _exists(connection, _UNIQUE_INDEX, ["ProductVariants", "Id"])
    reference = 'REFERENCES "ProductVariants" ("Id") ON DELETE CASCADE' if may_refer else ""
    return {
        "id_type": statements.trusted(columns(connection, "ProductVariants").get("Id", "uuid")),
        "reference": statements.trusted(reference),
    }


def _schema_of_new_tables(connection: Connection) -> str:
    """Return the schema in which missing tables of the shop, and `"ProductEmbeddings"`, are made.

    It is the first one of the search path that is not ours: for a role that is called as our
    schema is, `"$user"` comes first. If no other schema is searched, it is ours.
    """
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
    if "ProductVariantId" not in columns(connection, "ProductEmbeddings"):
        raise SchemaError('"ProductEmbeddings" has no column "ProductVariantId": not our table')
    variants = columns(connection, "ProductVariants")
    wanted = {
        "ProductId": variants.get("ProductId", "text"),
        "UserId": variants.get("UserId", "text"),
        **VECTOR_COLUMNS,
        **_OTHER_COLUMNS,
    }
    done = _add(connection, "ProductEmbeddings", wanted)
    check(connection)
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
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                place, sql.Identifier(name), statements.trusted(wanted[name])
            )
        )
    return [f'created column {place.as_string()}."{name}"' for place, name in missing]


def _add_unique(connection: Connection) -> list[str]:
    if _exists(connection, _UNIQUE_INDEX, ["ProductEmbeddings", "ProductVariantId"]):
        return []
    try:
        connection.execute('CREATE UNIQUE INDEX ON "ProductEmbeddings" ("ProductVariantId")')
    except psycopg.errors.UniqueViolation as error:
        raise SchemaError(
            '"ProductEmbeddings" holds several rows a "ProductVariantId": delete the doubles,'
            " then run: shelfsight init"
        ) from error
    return ['created unique index on "ProductEmbeddings" ("ProductVariantId")']


def _exists(connection: Connection, query: str, values: list[str] | None = None) -> bool:
    return connection.execute(statements.trusted(query), values).fetchone() is not None
