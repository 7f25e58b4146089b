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

Connection = psycopg.Connection[tuple[Any, ...]]

_ENTER = sql.SQL(
    'LOCK TABLE {schema}."ProductEmbeddings" IN ACCESS SHARE MODE;'
    " SELECT set_config('search_path',"
    " concat_ws(', ', {name}, nullif(current_setting('search_path'), '')), true)"
)

# psycopg would warn of a failed clean-up even if an exception that explains the failure is being
# raised. So only its errors are logged.
logging.getLogger("psycopg").setLevel(logging.ERROR)


def connect(url: str, parameters: Mapping[str, str] | None = None) -> Connection:
    """Open a connection in autocommit mode, with dates in the ISO 8601 style.

    psycopg cannot read dates in another style. Poolers keep this setting for each client. The
    `parameters` are those of libpq that the URL does not give.
    """
    given = conninfo_to_dict(url)
    missing = {name: value for name, value in (parameters or {}).items() if name not in given}
    connection = psycopg.connect(
        make_conninfo(url, **missing),
        autocommit=True,
        prepare_threshold=None,
        client_encoding="utf8",
        application_name="shelfsight",
    )
    if not (connection.info.parameter_status("DateStyle") or "ISO").startswith("ISO"):
        connection.execute("SET datestyle TO ISO")
    return connection


def connect_with(url: str, settings: Mapping[str, str]) -> Connection:
    """Open a connection whose session starts with `settings`; without them if they are refused."""
    own = str(conninfo_to_dict(url).get("options") or "")
    options = " ".join([own, *(f"-c {name}={value}" for name, value in settings.items())])
    try:
        return connect(make_conninfo(url, options=options))
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
        connection.execute(_ENTER.format(schema=sql.Identifier(schema), name=sql.Literal(schema)))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise SchemaError(
            f"the vectors in the schema {schema} are gone: they were switched or dropped meanwhile;"
            " see: shelfsight models"
        ) from error


def is_direct(connection: Connection) -> bool:
    """Return whether this is a connection to Postgres itself and not to a pooler.

    A pooler makes up the process id that it reports.
    """
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
