"""Remembers which columns of the shop a run has read, so that one that is gone stops the next run.

To a statement that reads whichever columns there are, a column that was renamed looks like one that
is empty. The vectors made from it would be taken away.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from psycopg import sql

from shelfsight.catalog.content import text_columns
from shelfsight.errors import CatalogueChangedError
from shelfsight.postgres import archived, statements
from shelfsight.postgres.connection import Connection, columns, fetch_as
from shelfsight.records import TextField

QUERIES = statements.load("shelfsight.catalog", "column_memory.sql")

Tables = Mapping[str, Mapping[str, str]]
"""The columns of each table of the shop, with their SQL types, in order; `{}` if it is missing."""

_READ: Mapping[str, frozenset[str]] = {
    "ProductVariants": frozenset({"Id", "ProductId", "UserId", "ImageId", *archived.MARKS}),
    "ProductImages": frozenset({"Id", "ProductVariantId", "ImageUrl", "Position"}),
    "Products": frozenset({"Id", *archived.MARKS}),
}
"""The columns that each run reads, if they are there, besides those of the texts."""


class _Remembered(NamedTuple):
    """A column as it was when a run last began."""

    table: str
    column: str
    type: str
    position: int
    is_read: bool


class _Candidate(NamedTuple):
    """A table that may be a missing one under another name or in another schema."""

    schema: str
    name: str
    wanted_schema: str | None


def refuse_missing(connection: Connection, tables: Tables) -> None:
    """Check that every column is there which an earlier run has read.

    Raises:
        CatalogueChangedError: a column or a table is gone. The message has the statement that
            mends it, if there is a likely one.
    """
    if not (tables["ProductVariants"] and tables["ProductImages"]) and not columns(
        connection, "CatalogueColumns", schema="shelfsight"
    ):
        return  # there is nothing at all yet
    remembered = _recall(connection)
    missing = [
        one for one in remembered if one.is_read and one.column not in tables.get(one.table, {})
    ]
    if not missing:
        return
    found = [
        _explain(connection, table, missing, remembered, tables)
        for table in dict.fromkeys(one.table for one in missing)
    ]
    whats = "; ".join(what for what, _ in found)
    mends = "; ".join(statement for _, statements_ in found for statement in statements_)
    advice = f"run: {mends}" if mends else "put back what is missing, or a view with it"
    raise CatalogueChangedError(
        f"{whats}, which an earlier run has read: vectors made from it would be lost; {advice};"
        " or, if it is gone for good: shelfsight backfill --all --yes"
    )


def remember(connection: Connection, tables: Tables, text_fields: Sequence[TextField]) -> None:
    """Remember the columns as they are now; texts are made of `text_fields`."""
    read = _columns_read(tables, text_fields)
    now = [
        _Remembered(table, column, type_, position, column in read[table])
        for table, found in tables.items()
        for position, (column, type_) in enumerate(found.items(), 1)
    ]
    if sorted(now) == sorted(_recall(connection)):
        return
    connection.execute(QUERIES["forget"])
    with connection.cursor() as cursor:
        cursor.executemany(QUERIES["remember"], [one._asdict() for one in now])


def forget(connection: Connection) -> None:
    """Forget what earlier runs have read: what is gone is gone on purpose."""
    connection.execute(QUERIES["forget"])


def _recall(connection: Connection) -> list[_Remembered]:
    return fetch_as(_Remembered, connection, QUERIES["recall"])


def _columns_read(tables: Tables, text_fields: Sequence[TextField]) -> Mapping[str, frozenset[str]]:
    """Return the columns that a run reads of each table; of `"Products"`, mostly none."""
    variants, products = tables["ProductVariants"], tables["Products"]
    of_variants, of_products = text_columns(text_fields, variants, products)
    has_mark = not archived.MARKS.keys().isdisjoint(products)
    is_joined = "ProductId" in variants and (has_mark or bool(of_products))
    return {
        "ProductVariants": _READ["ProductVariants"] | of_variants,
        "ProductImages": _READ["ProductImages"],
        "Products": _READ["Products"] | of_products if is_joined else frozenset(),
    }


def _explain(
    connection: Connection,
    table: str,
    missing: Sequence[_Remembered],
    remembered: Sequence[_Remembered],
    tables: Tables,
) -> tuple[str, list[str]]:
    """Return what is missing of a table, and the statements that mend it, as far as known."""
    name = sql.Identifier(table)
    if not tables.get(table):
        statement = _rename_table(connection, table, remembered)
        return f"there is no table {name.as_string()} any more", [statement] if statement else []
    gone = [one for one in missing if one.table == table]
    known = {one.column for one in remembered if one.table == table}
    new = {
        (column, type_): position
        for position, (column, type_) in enumerate(tables[table].items(), 1)
        if column not in known
    }
    names = ", ".join(sql.Identifier(one.column).as_string() for one in gone)
    candidates = [(one, _renamed(one, new)) for one in gone]
    return f"{name.as_string()} has no {names} any more", [
        sql.SQL("ALTER TABLE {} RENAME {} TO {}")
        .format(name, sql.Identifier(candidate), sql.Identifier(one.column))
        .as_string()
        for one, candidate in candidates
        if candidate is not None
    ]


def _renamed(gone: _Remembered, new: Mapping[tuple[str, str], int]) -> str | None:
    """Return the new column of the same type and place, or the only one of the same type."""
    alike = {column: position for (column, type_), position in new.items() if type_ == gone.type}
    at_its_place = [column for column, position in alike.items() if position == gone.position]
    found = at_its_place or [*alike]
    return found[0] if len(found) == 1 else None


def _rename_table(
    connection: Connection, table: str, remembered: Sequence[_Remembered]
) -> str | None:
    """Return the statement that gives the only table with these columns its old name back."""
    values = {
        "columns": [one.column for one in remembered if one.table == table],
        "known": [name for name in _READ if name != table],
    }
    found = fetch_as(_Candidate, connection, QUERIES["tables_like"], values)
    if len(found) != 1:
        return None
    (candidate,) = found
    place = sql.Identifier(candidate.schema, candidate.name)
    if candidate.name != table:
        statement = sql.SQL("ALTER TABLE {} RENAME TO {}").format(place, sql.Identifier(table))
    elif candidate.wanted_schema is not None:
        schema = sql.Identifier(candidate.wanted_schema)
        statement = sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(place, schema)
    else:
        return None
    return statement.as_string()
