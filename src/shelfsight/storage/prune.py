"""Deletes what is left over: of products that are gone or archived, of owners, of old runs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from psycopg import sql

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database, columns
from shelfsight.scan.matching import Filters
from shelfsight.storage import schema
from shelfsight.storage.search.filters import FilterSql

QUERIES = statements.load("shelfsight.storage", "prune.sql")

WINDOW = 5_000
"""Rows looked at in one transaction."""

KEEP_RUNS = timedelta(days=90)
"""How long a run that is closed is remembered."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """How many rows of each of our tables were left over."""

    embeddings: int
    failures: int
    scan_means: int
    runs: int


def prune(database: Database, *, dry_run: bool = False) -> Leftovers:
    """Delete what is left over, or only count it. The shop's own tables are only read.

    Raises:
        SchemaError: `shelfsight init` has not run.
        DatabaseError: row-level security hides products from this role.
    """
    database.run(_check, read_only=True)
    return Leftovers(
        embeddings=_of_products(database, "ProductEmbeddings", dry_run=dry_run),
        failures=_of_products(database, "EmbeddingFailures", dry_run=dry_run),
        scan_means=_run(database, _scan_means, dry_run=dry_run),
        runs=_run(database, _old_runs, dry_run=dry_run),
    )


def _check(connection: Connection) -> None:
    schema.check(connection)
    if "Id" not in columns(connection, "ProductVariants"):
        raise SchemaError('there is no table "ProductVariants" with a column "Id"')


def _of_products(database: Database, table: str, *, dry_run: bool) -> int:
    """Window by window, each a transaction of its own."""
    after: str | None = None
    pruned = 0
    while True:
        work = partial(_window, table=table, after=after)
        size, after, count = _run(database, work, dry_run=dry_run)
        pruned += count
        if size < WINDOW:
            return pruned


def _window(
    connection: Connection, dry_run: bool, *, table: str, after: str | None
) -> tuple[int, str | None, int]:
    chosen = FilterSql(Filters(), partial(columns, connection))
    name = sql.Identifier(table)
    statement = QUERIES["window"].format(
        table=name,
        id_type=statements.trusted(columns(connection, table)["ProductVariantId"]),
        living=chosen.condition,
        prune=QUERIES["count" if dry_run else "delete"].format(table=name),
    )
    values = {"after": after, "window": WINDOW}
    ((size, last, count),) = connection.execute(statement, values).fetchall()
    return size, last, count


def _scan_means(connection: Connection, dry_run: bool) -> int:
    """Of owners of whom the shop has no product; of none where it has no owners."""
    tables = [t for t in ("ProductVariants", "Products") if "UserId" in columns(connection, t)]
    if not tables:
        return 0
    unknown = [QUERIES["is_unknown"].format(table=sql.Identifier(table)) for table in tables]
    statement = QUERIES["scan_means"].format(
        prune=_verb(dry_run), unknown=sql.SQL(" AND ").join(unknown)
    )
    return connection.execute(statement).rowcount


def _old_runs(connection: Connection, dry_run: bool) -> int:
    statement = QUERIES["old_runs"].format(prune=_verb(dry_run))
    return connection.execute(statement, {"keep": KEEP_RUNS}).rowcount


def _verb(dry_run: bool) -> sql.SQL:
    return sql.SQL("SELECT" if dry_run else "DELETE")


def _run(
    database: Database, work: Callable[[Connection, bool], Result], *, dry_run: bool
) -> Result:
    def seeing_all(connection: Connection) -> Result:
        connection.execute(QUERIES["see_all"])
        return work(connection, dry_run)

    return database.run(seeing_all, read_only=dry_run)
