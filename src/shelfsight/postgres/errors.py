"""Turns the errors of Postgres into messages of one line that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from shelfsight.errors import DatabaseAwayError, DatabaseError, SchemaError

_VIEWS = ('"ProductVariants"', '"ProductImages"', '"Products"')
"""The views of a catalogue, as Postgres names their functions in the context of an error."""


@contextmanager
def explained(host: str) -> Iterator[None]:
    """Explain the errors of Postgres that the user can do something about; others pass unchanged.

    Raises:
        DatabaseError: a right, disk space or time is lacking, the database is read-only or not
            in UTF8, or it refuses a row.
        SchemaError: a table behind the views of the catalogue has changed.
        DatabaseAwayError: the database cannot be reached.
    """
    try:
        with _outdated_views_explained(host):
            yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise _error(host, f"refused: {_line(error)}; grant this right") from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise _error(host, f"is read-only: {_line(error)}") from error
    except psycopg.errors.QueryCanceled as error:
        advice = "raise statement_timeout or lower BATCH_SIZE"
        raise _error(host, f"stopped a query: {_line(error)}; {advice}") from error
    except psycopg.errors.DiskFull as error:
        raise _error(host, f"has no room left: {_line(error)}") from error
    except psycopg.errors.UntranslatableCharacter as error:
        raise _error(host, f"is not in UTF8: {_line(error)}") from error
    except psycopg.IntegrityError as error:
        raise _error(host, f"refuses a row: {_line(error)}") from error
    except psycopg.OperationalError as error:
        reason = f"{_line(error)}; check DATABASE_URL and that the server runs"
        raise DatabaseAwayError(_message(host, f"cannot be used: {reason}")) from error


@contextmanager
def _outdated_views_explained(host: str) -> Iterator[None]:
    """Say what to do if the SELECT behind a view of the catalogue does not fit its tables."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        context = (error.diag.context or "").partition("\n")[0]
        is_right = isinstance(error, psycopg.errors.InsufficientPrivilege)
        if is_right or not any(view in context for view in _VIEWS):
            raise
        what = (
            f"has changed since its catalogue was set up: {_line(error)}; run: shelfsight init (or"
            " write the SELECTs yourself, if no preset fits any more: docs/catalogues.md)"
        )
        raise SchemaError(_message(host, what)) from error


def _error(host: str, what: str) -> DatabaseError:
    return DatabaseError(_message(host, what))


def _message(host: str, what: str) -> str:
    return f"the database {host} {what}"


def _line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error)
    return " ".join(text.split())
