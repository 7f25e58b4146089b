"""Turns the errors of Postgres into messages of one line that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from shelfsight.errors import (
    DatabaseAwayError,
    DatabaseError,
    DatabaseTimeoutError,
    LockTimeoutError,
    SchemaError,
)

TIME_LIMITS = (
    psycopg.errors.QueryCanceled,  # statement_timeout, or an administrator
    psycopg.errors.LockNotAvailable,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
"""The errors of the time limits that a role, a database or a connection may have."""

_EXPLANATIONS = {
    psycopg.errors.InsufficientPrivilege: "refused: {}; grant this right",
    psycopg.errors.ReadOnlySqlTransaction: "is read-only: {}",
    psycopg.errors.DiskFull: "has no room left: {}",
    psycopg.errors.UntranslatableCharacter: "is not in UTF8: {}",
    psycopg.IntegrityError: "refuses a row: {}",
}

_VIEWS = ('"ProductVariants"', '"ProductImages"', '"Products"')
"""The views of a catalogue, as Postgres names their functions in the context of an error."""


@contextmanager
def explained(host: str) -> Iterator[None]:
    """Explain the errors of Postgres that the user can do something about; others pass unchanged.

    Raises:
        DatabaseError: a right, disk space or time is lacking, the database is read-only or not
            in UTF8, or it refuses a row.
        SchemaError: a table behind the views of the catalogue has changed.
        DatabaseTimeoutError: a time limit of the database was reached.
        DatabaseAwayError: the database cannot be reached.
    """
    try:
        yield
    except psycopg.Error as error:
        explanation = _explanation(host, error)
        if explanation is None:
            raise
        raise explanation from error


def _explanation(host: str, error: psycopg.Error) -> DatabaseError | None:
    line = " ".join((error.diag.message_primary or str(error)).split())
    about = f"the database {host}"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return LockTimeoutError(
            f"{about} has a lock that another transaction holds: {line};"
            " try again when that transaction has ended, or raise lock_timeout"
        )
    if is_time_limit(error):
        return DatabaseTimeoutError(
            f"{about} stopped a query: {line};"
            " try again when it is less busy, or raise its time limit, such as statement_timeout"
        )
    if _is_outdated_view(error):
        return SchemaError(
            f"{about} has changed since its catalogue was set up: {line}; run: shelfsight init (or"
            " write the SELECTs yourself, if no preset fits any more: docs/catalogues.md)"
        )
    for kind, text in _EXPLANATIONS.items():
        if isinstance(error, kind):
            return DatabaseError(f"{about} {text.format(line)}")
    if isinstance(error, psycopg.OperationalError):
        return DatabaseAwayError(
            f"{about} cannot be used: {line}; check DATABASE_URL and that the server runs"
        )
    return None


def _is_outdated_view(error: psycopg.Error) -> bool:
    """Return whether the SELECT behind a view of the catalogue does not fit its tables."""
    if not isinstance(error, psycopg.ProgrammingError):
        return False
    context = (error.diag.context or "").partition("\n")[0]
    is_right = isinstance(error, psycopg.errors.InsufficientPrivilege)
    return not is_right and any(view in context for view in _VIEWS)


def is_time_limit(error: BaseException) -> bool:
    """Return whether the database, or a pooler before it, ended this work because of its time.

    PgBouncer ends the connection with a protocol error when its `query_timeout` is reached.
    """
    if isinstance(error, psycopg.errors.ProtocolViolation):
        return error.diag.severity == "FATAL"
    return isinstance(error, TIME_LIMITS)
