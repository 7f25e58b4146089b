"""What failed, as its owner is shown it: by kind, or product by product."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from psycopg.rows import dict_row

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database, columns
from shelfsight.scan.matching import Filters
from shelfsight.storage import schema
from shelfsight.storage.search.filters import FilterSql

QUERIES = statements.load("shelfsight.storage", "failure_report.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedKind:
    """How many products failed in one way, how often, and one of them as an example.

    The first of them is tried again at `next_attempt`; None: once its content changes.
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
    """A product of which something failed, tried again at `next_attempt` as in `FailedKind`."""

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
    """The kinds of failures, of one kind or host where such is given, most products first.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """
    values = {"kind": kind, "host": host}
    return [FailedKind(**row) for row in _rows(database, "by_kind", values)]


def one_by_one(
    database: Database, kind: str, host: str | None = None, *, limit: int
) -> list[FailedProduct]:
    """The products that failed in this way, at this host where one is given, the latest first.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """
    values = {"kind": kind, "host": host, "limit": limit}
    return [FailedProduct(**row) for row in _rows(database, "one_by_one", values)]


def _rows(database: Database, name: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
    def work(connection: Connection) -> list[dict[str, Any]]:
        schema.check(connection)
        chosen = FilterSql(Filters(), partial(columns, connection))
        title = "coalesce(v.\"Title\"::text, '')" if "Title" in chosen.variants else "''"
        living = QUERIES["living"].format(chosen=chosen.condition)
        statement = QUERIES[name].format(title=statements.trusted(title), living=living)
        return connection.cursor(row_factory=dict_row).execute(statement, values).fetchall()

    return database.run(work, read_only=True)
