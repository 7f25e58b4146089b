"""A connection to Postgres that reconnects and retries.

It also works through a pooler in transaction mode, because it keeps no state in the session there:
only the date style is set once, and everything else within a transaction. It takes no session
locks. Where no pooler is in between, it prepares statements, and the session has a search path.

If the catalogue is read through views, they are in the schema `shelfsight`, which is then searched
first.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from functools import cached_property, partial
from threading import Event
from typing import Any, Protocol, TypeVar

import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.types import TypeInfo

from shelfsight.postgres.errors import explained, is_time_limit
from shelfsight.postgres.retries import LOST, PATIENT, RETRYABLE, Retries, RetryPolicy
from shelfsight.postgres.rows import Row, columns, copy_rows, fetch_as
from shelfsight.postgres.session import (
    Connection,
    closed_on_interrupt,
    connect,
    connect_with,
    enter_schema,
    find_catalogue,
    is_direct,
    search_first,
    sever,
)
from shelfsight.settings import without_password

__all__ = [
    "IN_USE",
    "Connection",
    "Database",
    "Query",
    "Result",
    "Row",
    "Rows",
    "Transactions",
    "Work",
    "columns",
    "connect",
    "copy_rows",
    "fetch_as",
]

Result = TypeVar("Result")

Work = Callable[[Connection], Result]
"""A function that does the work of one transaction."""

Query = tuple[sql.SQL | sql.Composed, Mapping[str, object]]
"""A statement and its parameters."""

Rows = list[tuple[Any, ...]]

IN_USE = "in_use"
"""The name of the set of vectors that scans search. Other sets are named by their schema."""

_ONLY_ON_REQUEST = sys.maxsize
"""A `prepare_threshold` that psycopg never reaches: only statements that ask for it are
prepared."""

_PREPARED_ELSEWHERE = (
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
    psycopg.errors.ProtocolViolation,  # a statement of the same name has other parameters
)
"""The errors if the server session is not the one in which a statement was prepared."""


class Transactions(Protocol):
    """An object that runs transactions: a `Database` or a pool of them."""

    @property
    def vector_set(self) -> str:
        """The set of vectors that its transactions find; see `Database.vector_set`."""
        ...

    def run(self, work: Work[Result], *, read_only: bool = False, patient: bool = True) -> Result:
        """Do `work` in one transaction; see `Database.run`."""
        ...

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        """Run a read-only query in one round trip; see `Database.ask`."""
        ...


class Database:
    """A connection that is opened at its first use. Only one thread may use it at a time.

    With a `schema`, each transaction finds the `"ProductEmbeddings"` of that schema before the one
    in use. `retries` says for how long work is tried again. `parameters` are parameters of libpq
    that apply unless the URL gives them.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str | None = None,
        retries: RetryPolicy = PATIENT,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.schema = schema
        self._retries = retries
        self._parameters = parameters
        self._connection: Connection | None = None
        self._opened: Connection | None = None
        self._severed = Event()
        self._may_prepare: bool | None = None
        self._entered: list[str] = []  # schemas that each transaction searches first
        self._was_connected = False

    @cached_property
    def host(self) -> str:
        """The address of the database without the password, as it is shown to people."""
        return without_password(self.url)

    @property
    def vector_set(self) -> str:
        """The set of vectors that its transactions find, as `"EmbeddingFailures"` names it."""
        return self.schema or IN_USE

    def run(self, work: Work[Result], *, read_only: bool = False, patient: bool = True) -> Result:
        """Do `work` in one transaction. After a lost connection or a deadlock, do all of it again.

        `work` must therefore have no effect outside the transaction. After a time limit of the
        database, such as `lock_timeout`, the work is done again only if `patient`. Without it, the
        caller can do less in one transaction; see `adaptive_size`.

        Raises:
            DatabaseError: the database stays unreachable, or the role lacks a right.
            DatabaseTimeoutError: a time limit of the database was reached, again and again if
                `patient`.
        """
        return self._retry(partial(self._run_once, work, read_only), patient=patient)

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        """Run a read-only query in one round trip, with the retries of `run`; return its rows.

        The query is a transaction of its own, without BEGIN. Do not call this within the work of a
        transaction.

        With `prepare`, Postgres may keep the plan of the query, unless a pooler is in between. Use
        it for frequent queries whose best plan does not depend on the values. The first call takes
        two more round trips.

        Raises:
            DatabaseError: for the same reasons as in `run`.

        """
        if self.schema is not None:  # entering the schema costs a round trip anyway
            return self.run(partial(_rows, query), read_only=True)
        return self._retry(partial(self._ask_once, query, prepare))

    def run_alone(
        self, work: Work[Result], settings: Mapping[str, str], *, patient: bool = True
    ) -> Result:
        """Do `work` outside a transaction, on a new connection that is then closed.

        The session starts with `settings`, unless a pooler refuses or ignores them. Behind a
        pooler, `work` names the schema of what is beside the views of a catalogue. After
        `lock_timeout`, `work` is done again on another connection if `patient`; a statement that
        was stopped otherwise would take as long again. A database with a `schema` cannot do this: a
        pooler keeps the search path only within a transaction.

        Raises:
            DatabaseError: for the same reasons as in `run`.

        """
        if self.schema is not None:
            raise ValueError(self.schema)

        def once() -> Result:
            with closing(connect_with(self.url, settings)) as connection:
                find_catalogue(connection)
                return work(connection)

        self._severed.clear()
        retries = Retries(
            policy=self._retries,
            may_succeed=lambda error: (
                patient and isinstance(error, psycopg.errors.LockNotAvailable)
            ),
            over=self._severed,
        )
        with explained(self.host):
            return retries.call(once)

    def another(self) -> "Database":
        """Return a new `Database` for the same database and schema."""
        return Database(
            self.url,
            schema=self.schema,
            retries=self._retries,
            parameters=self._parameters,
        )

    def sever(self) -> None:
        """Make the call that another thread has in progress fail, without another attempt."""
        self._severed.set()
        connection = self._opened
        if connection is not None:
            sever(connection)

    def close(self) -> None:
        """Close the connection, and let a call in another thread try no more.

        The next call of `run` opens a new connection.
        """
        self._severed.set()
        if self._connection is not None:
            self._connection.close()
            self._connection = self._opened = None

    def _retry(self, once: Callable[[], Result], *, patient: bool = True) -> Result:
        """Call `once`. While its errors are transient, call it again after growing pauses."""
        self._severed.clear()
        waits_when_busy = patient and self._retries.busy_seconds > 0 and not self._is_in_work()
        retries = Retries(
            policy=self._retries,
            may_succeed=partial(self._is_transient, waits_when_busy=waits_when_busy),
            over=self._severed,
        )
        with explained(self.host):
            return retries.call(once)

    def _is_in_work(self) -> bool:
        """Return whether a transaction is open, so that a pause would keep its locks."""
        connection = self._connection
        return (
            connection is not None
            and connection.info.transaction_status == TransactionStatus.INTRANS
        )

    def _run_once(self, work: Work[Result], read_only: bool) -> Result:
        with self._in_use() as connection:
            is_outermost = connection.info.transaction_status == TransactionStatus.IDLE
            if is_outermost:
                connection.read_only = read_only  # sent with BEGIN, so it costs no round trip
            with connection.transaction(), closed_on_interrupt(connection):
                if is_outermost:
                    self._enter(connection)
                return work(connection)

    def _enter(self, connection: Connection) -> None:
        """Make this transaction find the catalogue and the set of vectors."""
        for schema in self._entered:
            search_first(connection, schema)
        if self.schema is not None:
            enter_schema(connection, self.schema)

    def _ask_once(self, query: Query, prepare: bool) -> Rows:
        with self._in_use() as connection:
            if self._entered:
                connection.read_only = True
                with connection.transaction():
                    self._enter(connection)
                    return _rows(query, connection)
            if prepare and self._may_prepare is None:
                self._may_prepare = is_direct(connection)
                connection.prepare_threshold = _ONLY_ON_REQUEST if self._may_prepare else None
            if not (prepare and self._may_prepare):
                return _rows(query, connection)
            try:
                return _rows(query, connection, prepare=True)
            except psycopg.Error as error:
                if connection.broken:
                    raise
                # if preparing fails, psycopg forgets the statement, but Postgres still has it
                connection.execute("DEALLOCATE ALL")
                if not isinstance(
                    error, (*_PREPARED_ELSEWHERE, psycopg.errors.FeatureNotSupported)
                ):
                    raise
                self._may_prepare = not isinstance(error, _PREPARED_ELSEWHERE)
                return _rows(query, connection)

    @contextmanager
    def _in_use(self) -> Iterator[Connection]:
        """Yield the open connection. If the connection breaks, forget it."""
        connection = self._open()
        try:
            with closed_on_interrupt(connection):
                yield connection
        finally:
            if connection.broken or connection.closed:
                self._connection = self._opened = None

    def _open(self) -> Connection:
        if self._connection is None:
            connection = self._opened = connect(self.url, self._parameters)
            self._entered = find_catalogue(connection)
            # The extension may be in the schema of the URL.
            with connection.transaction() if self._entered else nullcontext():
                for schema in self._entered:
                    search_first(connection, schema)
                if TypeInfo.fetch(connection, "vector") is not None:
                    register_vector(connection)
            self._connection = connection
            self._may_prepare = None
            self._was_connected = True
        return self._connection

    def _is_transient(self, error: BaseException, *, waits_when_busy: bool) -> bool:
        """Return whether the same work may succeed on another try.

        If the very first connection fails, it is not tried again, because then the address is
        probably wrong.
        """
        if is_time_limit(error):
            return waits_when_busy
        if isinstance(error, RETRYABLE):
            return True
        is_lost = isinstance(error, LOST) and self._connection is None
        return is_lost and self._was_connected and not self._severed.is_set()


def _rows(query: Query, connection: Connection, *, prepare: bool = False) -> Rows:
    return connection.execute(*query, binary=True, prepare=prepare).fetchall()
