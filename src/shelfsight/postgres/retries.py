"""Tries work again after a failure that passes, such as a lost connection or a time limit."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

import psycopg
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter
from tenacity.nap import sleep_using_event

from shelfsight.postgres.errors import is_time_limit

Result = TypeVar("Result")

RECONNECT_SECONDS = 60.0
"""Seconds for which a lost database is tried again; then the run ends."""

BUSY_SECONDS = 3600.0
"""Seconds for which work that reaches a time limit is tried again. Most locks last less long."""

RETRYABLE = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.ForeignKeyViolation,  # of a key of the shop: a product was deleted meanwhile
)

LOST = (
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
)
"""The errors that a lost connection may cause."""

_MAX_PAUSE = 5.0
_LOG_EVERY = 60.0
"""Seconds between two messages that say what is waited for."""

_LOG = logging.getLogger("shelfsight.postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """For how many seconds work is tried again.

    `reconnect_seconds` apply after a lost connection and after a deadlock: there is one more try
    at least. `busy_seconds` apply after a time limit of the database; 0 means no other try.
    """

    reconnect_seconds: float = RECONNECT_SECONDS
    busy_seconds: float = BUSY_SECONDS


PATIENT = RetryPolicy()
"""The policy of commands: their work can wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Calls `once` again after pauses, while `may_succeed` accepts its errors and time is left.

    Setting `over` ends the pause, and with it the tries.
    """

    policy: RetryPolicy
    may_succeed: Callable[[BaseException], bool]
    over: Event

    def call(self, once: Callable[[], Result]) -> Result:
        """Return what `once` returns, or raise its last error."""
        try:
            return once()  # nearly always succeeds, and `Retrying` costs each scan 0.1 ms
        except psycopg.Error as error:
            if not self.may_succeed(error):
                raise
            _log(error)
        retrying = Retrying(
            retry=retry_if_exception(self.may_succeed),
            wait=wait_exponential_jitter(multiplier=0.2, max=_MAX_PAUSE),
            stop=self._is_over,
            sleep=sleep_using_event(self.over),
            before_sleep=_Reminder().remind,
            reraise=True,
        )
        return retrying(once)

    def _is_over(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        is_busy = error is not None and is_time_limit(error)
        policy = self.policy
        limit = policy.busy_seconds if is_busy else policy.reconnect_seconds
        return self.over.is_set() or (state.seconds_since_start or 0.0) >= limit


class _Reminder:
    """Says again and again what is waited for, but not at every try."""

    def __init__(self) -> None:
        self._said_at = 0.0

    def remind(self, state: RetryCallState) -> None:
        """Log the error of the last try, if nothing was logged for long."""
        since_start = state.seconds_since_start or 0.0
        error = state.outcome.exception() if state.outcome is not None else None
        if error is not None and since_start - self._said_at >= _LOG_EVERY:
            self._said_at = since_start
            _log(error)


def _log(error: BaseException) -> None:
    """Say why the work waits. A lost connection is not logged: most come back at once."""
    if is_time_limit(error):
        reason = " ".join(str(error).split())
        _LOG.warning("the database let this work wait (%s): it is tried again", reason)
