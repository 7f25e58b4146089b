"""Finds out whether the database answers, so that nobody waits for a server that is away.

A query has no time limit of its own: a stopped server, or a network that drops packets, would hold
its thread for many minutes.
"""

from collections.abc import Callable, Mapping
from threading import Event, Thread, Timer
from time import monotonic
from typing import Protocol

import psycopg

from shelfsight.errors import DatabaseAwayError
from shelfsight.postgres.session import Connection, connect, sever
from shelfsight.settings import without_password

CONNECT: Mapping[str, str] = {
    "connect_timeout": "2",
    "tcp_user_timeout": "5000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
}
"""Connection parameters for a database that someone waits for; those in the URL take precedence.

The seconds to connect, the milliseconds that sent data may stay unacknowledged, and when an idle
connection is tested."""

TICK = 0.25
"""Seconds between two looks at the calls in progress."""

SLOW = 1.0
"""Seconds after which a call in progress makes the breaker ask the database."""

ANSWER = 1.0
"""Seconds that the database has to answer `SELECT 1` on an open connection."""

PAUSE = 1.0
"""Seconds between two attempts to reach a database that is away."""


class Watched(Protocol):
    """Connections whose calls are watched, such as a pool."""

    def longest_call(self) -> float:
        """Return how many seconds the longest call in progress has taken; 0 if there is none."""
        ...

    def sever(self, *, longer_than: float = 0) -> None:
        """Make the calls that have taken longer than these seconds fail."""
        ...


class CircuitBreaker:
    """Asks the database `SELECT 1` while calls are slow, after a call failed, and while it is away.

    It has a thread and a connection of its own. When the database does not answer, the calls in
    progress are made to fail, and `check` raises an error until it answers again. A call that takes
    longer than `call_seconds` is made to fail in any case.
    """

    def __init__(self, url: str, *, call_seconds: float = float("inf")) -> None:
        self._url = url
        self._call_seconds = call_seconds
        self._watched: list[Watched] = []
        self._connection: Connection | None = None
        self._is_away = False
        self._is_suspected = False
        self._asked_at = float("-inf")
        self._wake, self._is_closing = Event(), False
        self._thread = Thread(target=self._loop, name="circuit breaker", daemon=True)
        self._thread.start()

    def watch(self, watched: Watched) -> None:
        """Watch the calls of these connections, too."""
        self._watched.append(watched)

    def check(self) -> None:
        """Raise an error if the database is known to be away.

        Raises:
            DatabaseAwayError: the database did not answer when it was last asked.
        """
        if self._is_away:
            raise DatabaseAwayError(
                f"the database {without_password(self._url)} cannot be used: it does not answer;"
                " it is asked again every second"
            )

    def suspect(self) -> None:
        """Ask the database soon, because a call has failed."""
        self._is_suspected = True
        self._wake.set()

    def close(self) -> None:
        """End the thread; it ends by itself if it is still waiting for the database."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(ANSWER)

    def _loop(self) -> None:
        while not self._is_closing:
            self._wake.wait(PAUSE if self._is_away else TICK)
            self._wake.clear()
            for watched in self._watched:
                watched.sever(longer_than=self._call_seconds)
            if self._is_due():
                self._ask()
        self._forget()

    def _is_due(self) -> bool:
        if self._is_closing:
            return False
        if self._is_away or self._is_suspected:
            return True
        longest = max((watched.longest_call() for watched in self._watched), default=0.0)
        return longest > SLOW and monotonic() - self._asked_at > SLOW

    def _ask(self) -> None:
        self._is_suspected = False
        self._is_away = not self._answers()
        self._asked_at = monotonic()
        if self._is_away:
            for watched in self._watched:
                watched.sever()

    def _answers(self) -> bool:
        """Ask on the open connection, then on a new one: the open one alone may have been lost."""
        return (self._connection is not None and self._try(self._select)) or self._try(self._open)

    def _try(self, ask: Callable[[], None]) -> bool:
        try:
            ask()
        except psycopg.Error:
            self._forget()
            return False
        return True

    def _open(self) -> None:
        self._connection = connect(self._url, CONNECT)
        self._select()

    def _select(self) -> None:
        connection = self._connection
        if connection is None:
            raise psycopg.OperationalError
        limit = Timer(ANSWER, sever, [connection])
        limit.start()
        try:
            connection.execute("SELECT 1")
        finally:
            limit.cancel()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
