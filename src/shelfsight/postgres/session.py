"""Opens connections to Postgres, and does what concerns a single session."""

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shelfsight.errors import SchemaError
from shelfsight.postgres.database_url import parse_database_url


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection, and what its database URL says besides the parameters of libpq.

    Attributes:
        schema: the schema whose tables are found first, if the URL names one.
        has_pooler: whether the URL says that a pooler in transaction mode is in between.
    """

    schema: str | None = None
    has_pooler: bool = False


OWN_SCHEMA = "shelfsight"
"""The database schema that holds the tables of shelfsight, and the views of a catalogue."""

_SEARCH_FIRST = sql.SQL(
    "SELECT set_config('search_path', concat_ws(', ',"
    " quote_ident({schema}), nullif(current_setting('search_path'), '')), {is_local})"
)

_WITHOUT = """
    SELECT set_config('search_path', substr(path, CASE WHEN starts_with(path, first)
      THEN length(first) + 1 ELSE 1 END), true)
    FROM (SELECT current_setting('search_path') AS path, quote_ident(%s) || ', ' AS first) AS s
"""

_HAS_SCHEMA = "SELECT FROM pg_namespace WHERE nspname = %s"

_HAS_VECTORS = """
    SELECT FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = %s AND t.relname = 'ProductEmbeddings'
"""

_LOCK_VECTORS = sql.SQL('LOCK TABLE {schema}."ProductEmbeddings" IN ACCESS SHARE MODE; ')

_READS_VIEWS = """
    SELECT pg_backend_pid(), EXISTS (
      SELECT FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
      WHERE n.nspname = 'shelfsight' AND t.relname = 'ProductVariants' AND t.relkind = 'v')
"""
"""An SQL query for the process id of the server, and whether the catalogue is read through the
views of our schema. It uses no `to_regclass`, which fails if the role lacks USAGE on the schema."""

# psycopg would warn of a failed clean-up even if an exception that explains the failure is being
# raised. So only its errors are logged.
logging.getLogger("psycopg").setLevel(logging.ERROR)


def connect(
    url: str, parameters: Mapping[str, str] | None = None, *, options: str | None = None
) -> Connection:
    """Open a connection in autocommit mode, with dates in the ISO 8601 style.

    psycopg cannot read dates in another style. Poolers keep this setting for each client. The
    `parameters` are those of libpq; one that the URL gives is not changed.
    `options` replaces the parameter of that name.

    Raises:
        SettingsError: the URL has a parameter that is not understood.
    """
    address = parse_database_url(url)
    given = conninfo_to_dict(address.conninfo)
    missing = {name: value for name, value in (parameters or {}).items() if name not in given}
    if options is not None:
        missing["options"] = options
    connection = Connection.connect(
        make_conninfo(address.conninfo, **missing),
        autocommit=True,
        prepare_threshold=None,
        client_encoding="utf8",
        application_name="shelfsight",
    )
    if not (connection.info.parameter_status("DateStyle") or "ISO").startswith("ISO"):
        connection.execute("SET datestyle TO ISO")
    connection.schema, connection.has_pooler = address.schema, address.has_pooler
    return connection


def connect_with(url: str, settings: Mapping[str, str]) -> Connection:
    """Open a connection whose session starts with `settings`; without them if they are refused."""
    own = str(conninfo_to_dict(parse_database_url(url).conninfo).get("options") or "")
    options = " ".join([own, *(f"-c {name}={value}" for name, value in settings.items())])
    try:
        return connect(url, options=options)
    except psycopg.OperationalError:
        return connect(url)


def sever(connection: Connection) -> None:
    """Shut the socket down, so that a call in another thread that waits for the server fails."""
    with (
        suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as shared,
    ):
        shared.shutdown(socket.SHUT_RDWR)


def enter_schema(connection: Connection, schema: str) -> None:
    """Make this transaction find the vectors of a schema first, and lock them until it ends.

    Without the lock, the table could be dropped meanwhile. Writes meant for it would then reach
    the table of the same name in another schema.

    Raises:
        SchemaError: the schema or its table is gone.
    """
    try:
        connection.execute(
            _LOCK_VECTORS.format(schema=sql.Identifier(schema)) + _search_first(schema)
        )
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise SchemaError(
            f"the vectors in the schema {schema} are gone: they were switched or dropped meanwhile;"
            " see: shelfsight models"
        ) from error


def search_first(connection: Connection, schema: str, *, in_session: bool = False) -> None:
    """Make this transaction, or the whole session, look for tables in `schema` first."""
    connection.execute(_search_first(schema, is_local=not in_session))


def enter_catalogue(connection: Connection) -> None:
    """Make this transaction find the catalogue: in the schema of the URL, or through our views."""
    for schema in _schemas(connection, has_views=reads_views(connection)):
        search_first(connection, schema)


def beside_catalogue(connection: Connection, name: str) -> sql.Identifier:
    """Return the name of a table or index beside the catalogue, for use outside a transaction."""
    if reads_views(connection):
        return sql.Identifier(OWN_SCHEMA, name)
    schema = connection.schema
    if schema is not None and connection.execute(_HAS_VECTORS, [schema]).fetchone() is not None:
        return sql.Identifier(schema, name)
    return sql.Identifier(name)


def _schemas(connection: Connection, *, has_views: bool) -> list[str]:
    """Return the schemas to search first, the last one before the others."""
    of_url = [] if connection.schema is None else [connection.schema]
    return [*of_url, *([OWN_SCHEMA] if has_views else [])]


def search_no_longer(connection: Connection, schema: str) -> None:
    """Undo `search_first` for this transaction."""
    connection.execute(_WITHOUT, [schema])


def _search_first(schema: str, *, is_local: bool = True) -> sql.Composed:
    return _SEARCH_FIRST.format(schema=sql.Literal(schema), is_local=sql.Literal(is_local))


def reads_views(connection: Connection) -> bool:
    """Return whether the catalogue is read through the views of our schema."""
    ((_, has_views),) = connection.execute(_READS_VIEWS).fetchall()
    return bool(has_views)


def find_catalogue(connection: Connection) -> list[str]:
    """Make the session find the catalogue: in the schema of the URL, or through our views.

    Returns the schemas that each transaction must search by itself (`search_first`), in this order:
    a pooler may hand the session on to another client.

    Raises:
        SchemaError: the schema of the URL does not exist; the connection is closed.
    """
    try:
        _refuse_unknown_schema(connection)
    except SchemaError:
        connection.close()
        raise
    ((pid, has_views),) = connection.execute(_READS_VIEWS).fetchall()
    schemas = _schemas(connection, has_views=has_views)
    if connection.has_pooler or pid != connection.info.backend_pid:
        return schemas
    for schema in schemas:
        search_first(connection, schema, in_session=True)
    return []


def _refuse_unknown_schema(connection: Connection) -> None:
    schema = connection.schema
    if schema is None or connection.execute(_HAS_SCHEMA, [schema]).fetchone() is not None:
        return
    raise SchemaError(
        f"there is no schema {schema!r}, which DATABASE_URL names:"
        f" correct it, or run: CREATE SCHEMA {sql.Identifier(schema).as_string()}"
    )


def is_direct(connection: Connection) -> bool:
    """Return whether this is a connection to Postgres itself and not to a pooler.

    A pooler makes up the process id that it reports. The URL may also say that there is one.
    """
    if connection.has_pooler:
        return False
    ((pid,),) = connection.execute("SELECT pg_backend_pid()")
    return bool(pid == connection.info.backend_pid)


@contextmanager
def closed_on_interrupt(connection: Connection) -> Iterator[None]:
    """Close the connection on Ctrl-C: in the middle of a COPY, Postgres accepts no ROLLBACK."""
    try:
        yield
    except KeyboardInterrupt:
        connection.close()
        raise
