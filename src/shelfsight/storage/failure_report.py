"""Reads the recorded failures that are shown to the user, by kind or product by product."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database, Row, columns, fetch_as
from shelfsight.scan.matching import Filters
from shelfsight.storage import schema
from shelfsight.storage.search.filters import FilterSql

QUERIES = statements.load("shelfsight.storage", "failure_report.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedKind:
    """One kind of failure: the number of products and of attempts, and one product as an example.

    `next_attempt` is the time of the earliest next attempt. It is None if no attempt can help until
    the content of the products changes.
    """

    kind: str
    products: int
    attempts: int
    next_attempt: datetime | None
    id: str
    title: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedProduct:
    """A product that failed. `next_attempt` is None if only changed content can help."""

    kind: str
    attempts: int
    next_attempt: datetime | None
    id: str
    title: str
    message: str
    host: str | None


def by_kind(
    database: Database, kind: str | None = None, host: str | None = None
) -> list[FailedKind]:
    """Return the kinds of failures, the most frequent first; `kind` and `host` select some of them.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """
    values = {"kind": kind, "host": host}
    return _rows(database, FailedKind, "by_kind", values)


def one_by_one(
    database: Database, kind: str, host: str | None = None, *, limit: int
) -> list[FailedProduct]:
    """Return up to `limit` products with this kind of failure, the latest failure first.

    If `host` is given, only failures at that host are returned.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """
    values = {"kind": kind, "host": host, "limit": limit}
    return _rows(database, FailedProduct, "one_by_one", values)


def _rows(database: Database, row: type[Row], name: str, values: Mapping[str, object]) -> list[Row]:
    def work(connection: Connection) -> list[Row]:
        schema.check(connection)
        filter_sql = FilterSql(Filters(), partial(columns, connection))
        title = "coalesce(v.\"Title\"::text, '')" if "Title" in filter_sql.variants else "''"
        failures = QUERIES["failures_in_shop"].format(condition=filter_sql.condition)
        statement = QUERIES[name].format(title=statements.trusted(title), failures=failures)
        return fetch_as(row, connection, statement, values)

    return database.run(work, read_only=True)
