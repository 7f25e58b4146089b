"""A connection to Postgres that comes back, and errors that say what to do.

It keeps no session state (no prepared statements, no SET beyond a transaction, no session locks),
so that it works through a pooler in transaction mode.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.types import TypeInfo
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from shelfsight.errors import DatabaseError
from shelfsight.settings import without_password

Connection = psycopg.Connection[tuple[Any, ...]]
Result = TypeVar("Result")

RECONNECT_SECONDS = 60.0
"""How long a lost database is waited for before the run ends."""

_REDO = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.ForeignKeyViolation,  # a product deleted by a transaction that was open
)


class Database:
    """One connection, used by one thread at a time, opened at first use."""

    def __init__(self, url: str, *, reconnect_seconds: float = RECONNECT_SECONDS) -> None:
        self.url = url
        self._reconnect_seconds = reconnect_seconds
        self._connection: Connection | None = None
        self._was_connected = False

    @property
    def host(self) -> str:
        """Where it is, for people: without the password."""
        return without_password(self.url)

    def run(self, work: Callable[[Connection], Result], *, read_only: bool = False) -> Result:
        """Do `work` in one transaction; after a lost connection or a deadlock do it all again.

        `work` must therefore have no effect outside the transaction.

        Raises:
            DatabaseError: the database stays away, or refuses for want of a right.

        """
        retrying = Retrying(
            retry=retry_if_exception(self._passes),
            wait=wait_exponential_jitter(multiplier=0.2, max=5),
            stop=stop_after_delay(self._reconnect_seconds),
            reraise=True,
        )
        try:
            result: Result = retrying(self._once, work, read_only)
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseError(self._say(f"refused: {_line(error)}; grant this right")) from error
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise DatabaseError(self._say(f"is read-only: {_line(error)}")) from error
        except psycopg.errors.QueryCanceled as error:
            advice = "raise statement_timeout or lower BATCH_SIZE"
            raise DatabaseError(self._say(f"stopped a query: {_line(error)}; {advice}")) from error
        except psycopg.errors.DiskFull as error:
            raise DatabaseError(self._say(f"has no room left: {_line(error)}")) from error
        except psycopg.errors.UntranslatableCharacter as error:
            raise DatabaseError(self._say(f"is not in UTF8: {_line(error)}")) from error
        except psycopg.IntegrityError as error:
            raise DatabaseError(self._say(f"refuses a row: {_line(error)}")) from error
        except psycopg.OperationalError as error:
            advice = "check DATABASE_URL and that the server runs"
            raise DatabaseError(self._say(f"cannot be used: {_line(error)}; {advice}")) from error
        return result

    def close(self) -> None:
        """Close the connection; `run` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, work: Callable[[Connection], Result], read_only: bool) -> Result:
        connection = self._open()
        try:
            with connection.transaction():
                if read_only:
                    connection.execute("SET TRANSACTION READ ONLY")
                return work(connection)
        finally:
            if connection.broken or connection.closed:
                self._connection = None

    def _open(self) -> Connection:
        if self._connection is None:
            connection = psycopg.connect(
                self.url,
                autocommit=True,
                prepare_threshold=None,
                client_encoding="utf8",
                application_name="shelfsight",
            )
            if TypeInfo.fetch(connection, "vector") is not None:
                register_vector(connection)
            self._connection = connection
            self._was_connected = True
        return self._connection

    def _passes(self, error: BaseException) -> bool:
        """Whether the same work may succeed on another try.

        A first connection that fails is refused at once: then the address is wrong.
        """
        if isinstance(error, _REDO):
            return True
        lost = isinstance(error, psycopg.OperationalError) and self._connection is None
        return lost and self._was_connected

    def _say(self, what: str) -> str:
        return f"the database {self.host} {what}"


def columns(connection: Connection, table: str) -> dict[str, str]:
    """The columns of a table with their SQL types, `{}` where there is no such table."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [f'"{table}"'],
    )
    return {name: kind for name, kind in rows}


def copy_rows(
    connection: Connection,
    statement: sql.SQL,
    types: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Run a `COPY ... FROM STDIN (FORMAT BINARY)` over rows whose columns have these types."""
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return " ".join(text.split())
