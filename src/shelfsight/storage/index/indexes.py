"""Our indexes of `"ProductEmbeddings"`: which there are, how they are, and how to drop them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from psycopg import sql
from psycopg.rows import class_row, dict_row

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage import schema
from shelfsight.storage.search.search_statement import COLUMNS, FEW

INDEX_SQL = statements.load("shelfsight.storage.index", "index.sql")

UNLIMITED = {"statement_timeout": "0", "lock_timeout": "0"}
"""Settings of a session that builds or drops: both wait for others, a build also works for long."""

State = Literal["valid", "invalid", "building", "missing"]


@dataclass(frozen=True, slots=True)
class Index:
    """An index by its name; `width` is that of the column's vectors, None for words."""

    name: str
    column: str
    width: int | None = None


INDEXES = (
    *(Index(f"shelfsight_{kind}_hnsw", *column) for kind, column in COLUMNS.items()),
    Index("shelfsight_words", "ProductText"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """One of our indexes as it is; `size` in bytes, `rows` have something in its column."""

    index: Index
    state: State
    size: int
    rows: int


class FoundIndex(NamedTuple):
    """An index of the table; `size` in bytes."""

    name: str
    is_valid: bool
    is_building: bool
    size: int


class _Table(NamedTuple):
    """What `require_owner` needs to know of the table and the server."""

    is_table: bool
    is_owner: bool
    owner: str
    has_halfvec: bool


def read(database: Database) -> list[IndexState]:
    """The state of each of our indexes.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """
    return database.run(states, read_only=True)


def states(connection: Connection) -> list[IndexState]:
    """As `read`, within a transaction."""
    schema.check(connection)
    cursor = connection.cursor(row_factory=dict_row)
    (counts,) = cursor.execute(INDEX_SQL["counts"]).fetchall()
    there = {one.name: one for one in found(connection)}
    return [_state(index, there.get(index.name), counts[index.column]) for index in INDEXES]


def found(connection: Connection) -> list[FoundIndex]:
    """All indexes of the table, ours and those of the shop."""
    cursor = connection.cursor(row_factory=class_row(FoundIndex))
    return cursor.execute(INDEX_SQL["indexes"]).fetchall()


def _state(index: Index, there: FoundIndex | None, rows: int) -> IndexState:
    if there is None:
        return IndexState(index=index, state="missing", size=0, rows=rows)
    state: State = "valid" if there.is_valid else "invalid"
    if there.is_building:
        state = "building"
    return IndexState(index=index, state=state, size=there.size, rows=rows)


def advice(found: Sequence[IndexState]) -> str:
    """What to do about indexes that are missing or broken; empty where nothing is to be done."""
    broken = [one.index.name for one in found if one.state == "invalid"]
    if broken:
        return f"{', '.join(broken)} slows writes and serves no search; run: shelfsight index build"
    missing = [one for one in found if one.state == "missing" and one.rows > FEW]
    if missing:
        names = ", ".join(one.index.name for one in missing)
        return f"searches read all products for want of {names}; run: shelfsight index build"
    return ""


def drop(database: Database) -> list[str]:
    """Drop our indexes; waits for transactions that use them. Gives the names of those there were.

    Raises:
        DatabaseError: the role does not own the table.
    """
    names = [one.index.name for one in read(database) if one.state != "missing"]

    def work(connection: Connection) -> None:
        require_owner(connection)
        for name in names:
            connection.execute(INDEX_SQL["drop"].format(name=sql.Identifier(name)))

    if names:
        database.run_alone(work, UNLIMITED)
    return names


def require_owner(connection: Connection) -> None:
    """See that this role may build and drop indexes of the table.

    Raises:
        DatabaseError: it does not own the table.
        SchemaError: that is no plain table, or pgvector knows no `halfvec`.
    """
    cursor = connection.cursor(row_factory=class_row(_Table))
    (table,) = cursor.execute(INDEX_SQL["table"]).fetchall()
    if not table.is_table:
        raise SchemaError('"ProductEmbeddings" is no plain table: indexes cannot be built for it')
    if not table.is_owner:
        raise DatabaseError(
            f'this role does not own "ProductEmbeddings": run shelfsight index as {table.owner}'
        )
    if not table.has_halfvec:
        raise SchemaError(
            "pgvector is older than 0.7; have it updated, then run: ALTER EXTENSION vector UPDATE"
        )
