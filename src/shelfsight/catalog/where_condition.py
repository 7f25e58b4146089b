"""What a user's own SQL condition (`--where`) may do: read, and not for long."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from shelfsight.catalog.selection import QUERIES
from shelfsight.errors import SelectionError
from shelfsight.postgres.connection import Connection

CONDITION_SECONDS = 10
"""Seconds that a statement with a condition may take, unless the database allows less."""

MIN_PRODUCTS = 200
"""A condition is refused if this many products take all of `CONDITION_SECONDS`."""

_NOT_OF_THE_CONDITION = (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege)


def limit_condition(connection: Connection) -> None:
    """Lower the time limit of the statements in this transaction to `CONDITION_SECONDS`."""
    connection.execute(QUERIES["limit_time"], {"milliseconds": 1000 * CONDITION_SECONDS})


@contextmanager
def refused_condition(where: str | None) -> Iterator[None]:
    """Turn what Postgres says of a statement with the condition `where` into a `SelectionError`.

    Raises:
        SelectionError: Postgres refuses the condition, for example because it writes.
    """
    try:
        yield
    except psycopg.Error as error:
        if where is None or isinstance(error, _NOT_OF_THE_CONDITION):
            raise
        reason = error.diag.message_primary or str(error)
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            reason += "; a condition may only read"
        raise SelectionError(f"--where {where!r}: {reason}") from error


def too_slow(where: str, products: int, seconds: float) -> SelectionError:
    """Return the error for a condition that took too long for so few products."""
    few = "one product" if products == 1 else f"{products} products"
    return SelectionError(
        f"--where {where!r} took more than {seconds:.2g} s for {few}, so it is refused;"
        " give a condition that does not wait, and that an index can answer"
    )
