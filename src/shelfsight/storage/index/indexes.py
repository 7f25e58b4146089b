"""The indexes that shelfsight adds to `"ProductEmbeddings"`: their state, and how to drop them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from psycopg.rows import class_row, dict_row

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database
from shelfsight.postgres.session import beside_catalogue, enter_catalogue
from shelfsight.storage import schema
from shelfsight.storage.search.search_statement import COLUMNS, EXACT_SEARCH_ROWS

QUERIES = statements.load("shelfsight.storage.index", "index.sql")

UNLIMITED = {"statement_timeout": "0", "lock_timeout": "0"}
"""Session settings without time limits, for building or dropping an index. Both wait for other
transactions, and a build may take long."""

State = Literal["valid", "invalid", "building", "missing"]
"""The state of an index. An `invalid` index was left by an unfinished build: it slows down writes
and serves no search."""


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index of shelfsight: its name, its column, and the vector width (None for words)."""

    name: str
    column: str
    width: int | None = None


INDEXES = (
    *(IndexSpec(f"shelfsight_{kind}_hnsw", *column) for kind, column in COLUMNS.items()),
    IndexSpec("shelfsight_words", "ProductText"),
)
"""All indexes of shelfsight: an HNSW index for each kind of vector, and a GIN index for words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """The state of one of shelfsight's indexes.

    `size` is in bytes; `rows` is the number of rows whose column is not null.
    """

    index: IndexSpec
    state: State
    size: int
    rows: int


class ExistingIndex(NamedTuple):
    """An index that exists on the table; `size` is in bytes."""

    name: str
    is_valid: bool
    is_building: bool
    size: int


class _Table(NamedTuple):
    """The facts about the table and the server that `require_owner` checks."""

    is_table: bool
    is_owner: bool
    owner: str
    can_iterate: bool


def read(database: Database) -> list[IndexState]:
    """Return the state of each of shelfsight's indexes; runs a transaction to read them.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """
    return database.run(read_states, read_only=True)


def read_states(connection: Connection) -> list[IndexState]:
    """Return the state of each of shelfsight's indexes, within the transaction of `connection`.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """
    schema.check(connection)
    cursor = connection.cursor(row_factory=dict_row)
    (counts,) = cursor.execute(QUERIES["counts"]).fetchall()
    existing = {one.name: one for one in read_existing(connection)}
    return [_state(index, existing.get(index.name), counts[index.column]) for index in INDEXES]


def read_existing(connection: Connection) -> list[ExistingIndex]:
    """Return all indexes of the table: those of shelfsight and those that the shop added."""
    cursor = connection.cursor(row_factory=class_row(ExistingIndex))
    return cursor.execute(QUERIES["indexes"]).fetchall()


def _state(index: IndexSpec, existing: ExistingIndex | None, rows: int) -> IndexState:
    if existing is None:
        return IndexState(index=index, state="missing", size=0, rows=rows)
    state: State = "valid" if existing.is_valid else "invalid"
    if existing.is_building:
        state = "building"
    return IndexState(index=index, state=state, size=existing.size, rows=rows)


def advice(states: Sequence[IndexState]) -> str:
    """Return advice about broken or missing indexes; an empty string if there is nothing to do."""
    broken = [one.index.name for one in states if one.state == "invalid"]
    if broken:
        return f"{', '.join(broken)} slows writes and serves no search; run: shelfsight index build"
    missing = [one for one in states if one.state == "missing" and one.rows > EXACT_SEARCH_ROWS]
    if missing:
        names = ", ".join(one.index.name for one in missing)
        return f"searches read all products for want of {names}; run: shelfsight index build"
    return ""


def drop(database: Database) -> list[str]:
    """Drop shelfsight's indexes and return the names of those that existed.

    Waits for the transactions that use these indexes.

    Raises:
        DatabaseError: the role does not own the table.
    """
    names = [one.index.name for one in read(database) if one.state != "missing"]

    def work(connection: Connection) -> None:
        with connection.transaction():
            enter_catalogue(connection)
            require_owner(connection)
        for name in names:
            connection.execute(QUERIES["drop"].format(name=beside_catalogue(connection, name)))

    if names:
        database.run_alone(work, UNLIMITED)
    return names


def require_owner(connection: Connection) -> None:
    """Check that the current role may build and drop indexes of the table.

    Raises:
        DatabaseError: the role does not own the table.
        SchemaError: the table is not a plain table, or pgvector is too old for iterative scans.
    """
    cursor = connection.cursor(row_factory=class_row(_Table))
    (table,) = cursor.execute(QUERIES["table"]).fetchall()
    if not table.is_table:
        raise SchemaError('"ProductEmbeddings" is no plain table: indexes cannot be built for it')
    if not table.is_owner:
        raise DatabaseError(
            f'this role does not own "ProductEmbeddings": run shelfsight index as {table.owner}'
        )
    if not table.can_iterate:
        raise SchemaError(
            "pgvector is older than 0.8, which cannot go on in an index beyond products that do not"
            " pass the filters; have it updated, then run: ALTER EXTENSION vector UPDATE"
        )
