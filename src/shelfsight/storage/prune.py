"""Deletes rows that nothing needs: of deleted and archived products, former owners, old runs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from psycopg import sql

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.adaptive_size import AdaptiveSize
from shelfsight.postgres.connection import Connection, Database, Transactions, columns, fetch_as
from shelfsight.postgres.owners import belongs_to
from shelfsight.postgres.session import OWN_SCHEMA
from shelfsight.scan.matching import Filters
from shelfsight.storage import schema
from shelfsight.storage.search.filters import FilterSql
from shelfsight.storage.shop_columns import (
    emptied,
    holds_values,
    read_columns,
    with_parameters,
)

QUERIES = statements.load("shelfsight.storage", "prune.sql")

VECTORS = sql.Identifier("ProductEmbeddings")

WINDOW = 5_000
"""How many rows one transaction goes through at most."""

FAILURES = sql.Identifier(OWN_SCHEMA, "EmbeddingFailures")

KEEP_RUNS = timedelta(days=90)
"""How long a run is kept after it was closed."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """How many rows of each of shelfsight's tables were not needed any more."""

    embeddings: int
    failures: int
    confirmed_photos: int
    scan_means: int
    runs: int


class _Window(NamedTuple):
    """One window of a table: its number of rows, its last id, and how many rows were not needed."""

    size: int
    last: str | None
    pruned: int


class _Span(NamedTuple):
    """A window to go through: the next `size` ids after the id `after`."""

    after: str | None
    size: int


def prune(database: Database, *, dry_run: bool = False) -> Leftovers:
    """Delete the rows that are not needed, or with `dry_run` only count them.

    The shop's own tables are only read.

    Raises:
        SchemaError: `shelfsight init` has not run.
        DatabaseError: row-level security hides products from this role.
    """
    database.run(_check, read_only=True)
    return Leftovers(
        embeddings=prune_table(database, VECTORS, dry_run=dry_run),
        failures=prune_table(database, FAILURES, dry_run=dry_run),
        confirmed_photos=prune_confirmed_photos(database, dry_run=dry_run),
        scan_means=_run(database, _scan_means, dry_run=dry_run),
        runs=_run(database, _old_runs, dry_run=dry_run),
    )


def _check(connection: Connection) -> None:
    schema.check(connection)
    if "Id" not in columns(connection, "ProductVariants"):
        raise SchemaError('there is no table "ProductVariants" with a column "Id"')


def prune_table(
    database: Transactions, name: sql.Identifier, *, archived: bool = True, dry_run: bool = False
) -> int:
    """Delete or count the rows of one table whose products are deleted, or are archived too.

    Each window of ids is a separate transaction.

    Raises:
        DatabaseError: row-level security hides products from this role.
    """
    after: str | None = None
    pruned = 0

    def prune_window(size: int, patient: bool) -> tuple[_Window, bool]:
        span = _Span(after, size)
        work = partial(_prune_window, name=name, span=span, archived=archived)
        window = _run(database, work, dry_run=dry_run, patient=patient)
        return window, window.size < size

    sizes, is_over = AdaptiveSize(WINDOW), False
    while not is_over:
        window, is_over = sizes.run(prune_window)
        pruned += window.pruned
        after = window.last
    return pruned


def _prune_window(
    connection: Connection,
    dry_run: bool,
    *,
    name: sql.Identifier,
    span: _Span,
    archived: bool,
) -> _Window:
    filter_sql = FilterSql(Filters(), partial(columns, connection))
    is_vectors = name == VECTORS
    columns_found = read_columns(connection) if is_vectors else []
    verb = "delete_or_empty" if is_vectors else "delete"
    statement = QUERIES["window"].format(
        table=name,
        id_type=statements.trusted(columns(connection, "ProductVariants")["Id"]),
        in_shop=filter_sql.condition if archived else sql.SQL("true"),
        prune=QUERIES["count" if dry_run else verb].format(
            table=name,
            holds_values=with_parameters(holds_values(columns_found, "t")),
            emptied=emptied(columns_found),
        ),
    )
    values = {"after": span.after, "window": span.size}
    (window,) = fetch_as(_Window, connection, statement, values)
    return window


def prune_confirmed_photos(database: Transactions, *, dry_run: bool = False) -> int:
    """Delete or count the confirmed photos of deleted products; those of archived ones stay.

    Raises:
        DatabaseError: row-level security hides products from this role.
    """

    def work(connection: Connection, dry_run: bool) -> int:
        statement = QUERIES["confirmed_photos"].format(prune=_verb(dry_run))
        return connection.execute(statement).rowcount

    return _run(database, work, dry_run=dry_run)


def _scan_means(connection: Connection, dry_run: bool) -> int:
    """Delete or count the scan means of owners without a product.

    Returns 0 if the shop's tables have no column for owners.
    """
    types = {t: columns(connection, t).get("UserId") for t in ("ProductVariants", "Products")}
    unknown = [_is_unknown(table, type_) for table, type_ in types.items() if type_ is not None]
    if not unknown:
        return 0
    statement = QUERIES["scan_means"].format(
        prune=_verb(dry_run), unknown=sql.SQL(" AND ").join(unknown)
    )
    return connection.execute(statement).rowcount


def _is_unknown(table: str, owner_type: str) -> sql.Composed:
    """Return the condition that no product of a table belongs to the owner of a scan mean."""
    as_text = "text[]" if owner_type.endswith("[]") else "text"
    column = sql.SQL('t."UserId"::') + statements.trusted(as_text)
    belongs = belongs_to(column, as_text, sql.Identifier("m", "UserId"))
    return QUERIES["is_unknown"].format(table=sql.Identifier(table), belongs=belongs)


def _old_runs(connection: Connection, dry_run: bool) -> int:
    statement = QUERIES["old_runs"].format(prune=_verb(dry_run))
    return connection.execute(statement, {"keep": KEEP_RUNS}).rowcount


def _verb(dry_run: bool) -> sql.SQL:
    return sql.SQL("SELECT" if dry_run else "DELETE")


def disable_row_security(connection: Connection) -> None:
    """Let this transaction fail where row-level security would hide products from it."""
    connection.execute(QUERIES["disable_row_security"])


def _run(
    database: Transactions,
    work: Callable[[Connection, bool], Result],
    *,
    dry_run: bool,
    patient: bool = True,
) -> Result:
    def with_all_rows(connection: Connection) -> Result:
        disable_row_security(connection)
        return work(connection, dry_run)

    return database.run(with_all_rows, read_only=dry_run, patient=patient)
