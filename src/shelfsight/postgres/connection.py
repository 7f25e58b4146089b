"""A connection to Postgres that comes back.

It keeps no session state (no SET beyond a transaction but for the style of dates, no session locks;
prepared statements only where no pooler is between), so that it works through a pooler in
transaction mode.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row
from psycopg.types import TypeInfo
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from shelfsight.errors import SchemaError
from shelfsight.postgres.errors import explained
from shelfsight.settings import without_password

Connection = psycopg.Connection[tuple[Any, ...]]
Result = TypeVar("Result")
Row = TypeVar("Row")

Work = Callable[[Connection], Result]
"""What is done in one transaction."""

Query = tuple[sql.SQL | sql.Composed, Mapping[str, object]]
"""A statement and its parameters."""

Rows = list[tuple[Any, ...]]

RECONNECT_SECONDS = 60.0
"""How long a lost database is waited for before the run ends."""

_REDO = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.ForeignKeyViolation,  # a product deleted by a transaction that was open
)

_NEVER_UNASKED = sys.maxsize
"""Times that psycopg sees a statement before it is prepared though nobody asked for that."""

_ANOTHERS = (
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
    psycopg.errors.ProtocolViolation,  # it takes another number of parameters
)
"""What is said of a prepared statement by a Postgres other than that which prepared it."""

_ENTER = sql.SQL(
    'LOCK TABLE {schema}."ProductEmbeddings", {schema}."EmbeddingFailures" IN ACCESS SHARE MODE;'
    " SELECT set_config('search_path',"
    " concat_ws(', ', {name}, nullif(current_setting('search_path'), '')), true)"
)


# It warns of what fails while an error, or an interrupt, is on its way to who tells of it.
logging.getLogger("psycopg").setLevel(logging.ERROR)


class Transactions(Protocol):
    """A `Database`, or a pool of them."""

    def run(self, work: Work[Result], *, read_only: bool = False) -> Result:
        """Do `work` in one transaction; see `Database.run`."""
        ...

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        """Read in one round trip; see `Database.ask`."""
        ...


class Database:
    """One connection, used by one thread at a time, opened at first use.

    With a `schema` its tables come before those of the same names elsewhere, in each transaction.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str | None = None,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        self.url = url
        self.schema = schema
        self._reconnect_seconds = reconnect_seconds
        self._connection: Connection | None = None
        self._may_prepare: bool | None = None
        self._was_connected = False

    @cached_property
    def host(self) -> str:
        """Where it is, for people: without the password."""
        return without_password(self.url)

    def run(self, work: Work[Result], *, read_only: bool = False) -> Result:
        """Do `work` in one transaction; after a lost connection or a deadlock do it all again.

        `work` must therefore have no effect outside the transaction.

        Raises:
            DatabaseError: the database stays away, or refuses for want of a right.

        """
        return self._persist(partial(self._once, work, read_only))

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        """The rows of a query that only reads, in one round trip; tried as by `run`.

        It is a transaction of its own, which nothing begins. Not from within other work. With
        `prepare` Postgres may keep its plan, where no pooler is between: for what is asked often,
        and is planned alike whatever its values. The first time takes two round trips more.

        Raises:
            DatabaseError: as `run` does.

        """
        if self.schema is not None:  # it is entered by several statements, which is a round trip
            return self.run(partial(_rows, query), read_only=True)
        return self._persist(partial(self._at_once, query, prepare))

    def run_alone(
        self, work: Callable[[Connection], Result], settings: Mapping[str, str] | None = None
    ) -> Result:
        """Do `work` once, outside a transaction, on a connection of its own that is then closed.

        The session starts with `settings`, unless a pooler refuses or ignores them. Not for a
        `schema`: what is not in a transaction could not be kept to it through a pooler.

        Raises:
            DatabaseError: as `run` does.

        """
        if self.schema is not None:
            raise ValueError(self.schema)

        with (
            explained(self.host),
            closing(_connect_with(self.url, settings or {})) as connection,
        ):
            return work(connection)

    def another(self) -> "Database":
        """A connection of its own to the same."""
        return Database(self.url, schema=self.schema, reconnect_seconds=self._reconnect_seconds)

    def close(self) -> None:
        """Close the connection; `run` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _persist(self, once: Callable[[], Result]) -> Result:
        with explained(self.host):
            try:
                return once()  # nearly always enough, and `Retrying` costs each scan 0.1 ms
            except psycopg.Error as error:
                if not self._passes(error):
                    raise
            retrying = Retrying(
                retry=retry_if_exception(self._passes),
                wait=wait_exponential_jitter(multiplier=0.2, max=5),
                stop=stop_after_delay(self._reconnect_seconds),
                reraise=True,
            )
            return retrying(once)

    def _once(self, work: Work[Result], read_only: bool) -> Result:
        with self._held() as connection:
            is_outermost = connection.info.transaction_status == TransactionStatus.IDLE
            if is_outermost:
                connection.read_only = read_only  # said with BEGIN, so it costs no round trip
            with connection.transaction(), _closed_by_interrupt(connection):
                if is_outermost and self.schema is not None:
                    _enter(connection, self.schema)
                return work(connection)

    def _at_once(self, query: Query, prepare: bool) -> Rows:
        with self._held() as connection:
            if prepare and self._may_prepare is None:
                self._may_prepare = _is_direct(connection)
                connection.prepare_threshold = _NEVER_UNASKED if self._may_prepare else None
            if not (prepare and self._may_prepare):
                return _rows(query, connection)
            try:
                return _rows(query, connection, prepare=True)
            except psycopg.Error as error:
                if connection.broken:
                    raise
                # psycopg forgets a statement that fails as it is prepared, Postgres does not
                connection.execute("DEALLOCATE ALL")
                if not isinstance(error, (*_ANOTHERS, psycopg.errors.FeatureNotSupported)):
                    raise
                self._may_prepare = not isinstance(error, _ANOTHERS)
                return _rows(query, connection)

    @contextmanager
    def _held(self) -> Iterator[Connection]:
        connection = self._open()
        try:
            with _closed_by_interrupt(connection):
                yield connection
        finally:
            if connection.broken or connection.closed:
                self._connection = None

    def _open(self) -> Connection:
        if self._connection is None:
            connection = connect(self.url)
            if TypeInfo.fetch(connection, "vector") is not None:
                register_vector(connection)
            self._connection = connection
            self._may_prepare = None
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


@contextmanager
def _closed_by_interrupt(connection: Connection) -> Iterator[None]:
    """After a Ctrl-C Postgres may await the rest of a COPY, and takes no ROLLBACK."""
    try:
        yield
    except KeyboardInterrupt:
        connection.close()
        raise


def _rows(query: Query, connection: Connection, *, prepare: bool = False) -> Rows:
    return connection.execute(*query, binary=True, prepare=prepare).fetchall()


def _is_direct(connection: Connection) -> bool:
    """Whether Postgres itself was connected to; a pooler tells process ids of its own making."""
    ((pid,),) = connection.execute("SELECT pg_backend_pid()")
    return bool(pid == connection.info.backend_pid)


def _enter(connection: Connection, schema: str) -> None:
    """Let this transaction find a schema's tables first, and keep them until it ends.

    Were they gone, what is meant for them would reach the tables of the same names elsewhere.
    """
    try:
        connection.execute(_ENTER.format(schema=sql.Identifier(schema), name=sql.Literal(schema)))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise SchemaError(
            f"the vectors in the schema {schema} are gone: they were switched or dropped meanwhile;"
            " see: shelfsight models"
        ) from error


def connect(url: str) -> Connection:
    """A new connection, outside any transaction; times are written as ISO 8601 has them.

    psycopg reads no other style, and a pooler knows this setting of each client.
    """
    connection = psycopg.connect(
        url,
        autocommit=True,
        prepare_threshold=None,
        client_encoding="utf8",
        application_name="shelfsight",
    )
    if not (connection.info.parameter_status("DateStyle") or "ISO").startswith("ISO"):
        connection.execute("SET datestyle TO ISO")
    return connection


def _connect_with(url: str, settings: Mapping[str, str]) -> Connection:
    own = str(conninfo_to_dict(url).get("options") or "")
    options = " ".join([own, *(f"-c {name}={value}" for name, value in settings.items())])
    try:
        return connect(make_conninfo(url, options=options))
    except psycopg.OperationalError:
        return connect(url)


def columns(connection: Connection, table: str) -> dict[str, str]:
    """The columns of a table with their SQL types, `{}` where there is no such table."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [f'"{table}"'],
    )
    return {name: kind for name, kind in rows}


def fetch_as(
    row: type[Row],
    connection: Connection,
    statement: sql.SQL | sql.Composed,
    values: Mapping[str, object] | None = None,
    *,
    binary: bool = False,
) -> list[Row]:
    """Run a query and return its rows as objects of a class, whose fields are the columns' names.

    With `binary` the values are sent in Postgres' binary format, as is best for vectors.
    """
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(statement, values, binary=binary).fetchall()


def copy_rows(
    connection: Connection,
    statement: sql.SQL | sql.Composed,
    types: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Run a `COPY ... FROM STDIN (FORMAT BINARY)` over rows whose columns have these types."""
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
