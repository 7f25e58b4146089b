"""Checks what the views of a catalogue return: their ids, and the cost of reading a few rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from shelfsight.catalog.views.columns import QUERIES, Column
from shelfsight.errors import PresetError
from shelfsight.postgres.connection import Connection
from shelfsight.postgres.statements import trusted

SMALL = 10_000.0
"""The cost of a plan, in units of Postgres, below which a read is cheap whatever it reads."""

_KEYS = {"ProductVariants": "Id", "ProductImages": "ProductVariantId"}


def check(connection: Connection, preset: str, columns: Mapping[str, Sequence[Column]]) -> None:
    """Check that each view can be read and that its ids are there and unique.

    Raises:
        PresetError: a view cannot be read, or an id is missing or not unique.
    """
    for table in columns:
        try:
            _check_ids(connection, preset, table)
        except psycopg.errors.InsufficientPrivilege:
            raise
        except (psycopg.errors.StatementTooComplex, psycopg.ProgrammingError) as error:
            raise PresetError(
                f"{preset}: the SELECT of {table} reads itself, because the shop has a table of"
                f' that name; write its schema too, such as public."{table}"'
            ) from error
        except psycopg.DataError as error:
            raise PresetError(
                f"{preset}: the SELECT of {table} fails: {error.diag.message_primary}"
            ) from error


def advice(connection: Connection, columns: Mapping[str, Sequence[Column]]) -> list[str]:
    """Return lines for people on how much the views leave out, and where they are slow."""
    lines = [
        line for table, found in columns.items() for line in _left_out(connection, table, found)
    ]
    ids = [id_ for (id_,) in connection.execute(QUERIES["some_ids"]).fetchall()]
    for table, key in _KEYS.items() if ids else ():
        name = sql.Identifier(table)
        few = QUERIES["plan_of_ids"].format(table=name, column=sql.Identifier(key))
        some = _cost(connection, few, {"ids": ids})
        whole = _cost(connection, QUERIES["plan"].format(table=name), None)
        if some > SMALL and some > whole / 4:
            lines.append(
                f'reading 32 products of "{table}" reads nearly all of it: let "{key}" be a column'
                " of a table that has an index on it, without a cast, GROUP BY or window"
            )
    return lines


def _check_ids(connection: Connection, preset: str, table: str) -> None:
    name = sql.Identifier(table)
    if connection.execute(QUERIES["has_null_id"].format(table=name)).fetchone() is not None:
        raise PresetError(f'{preset}: a row of {table} has no "Id"')
    double = connection.execute(QUERIES["double_id"].format(table=name)).fetchone()
    if double is not None:
        raise PresetError(
            f'{preset}: {table} has several rows with the "Id" {double[0]!r}; a join repeats them:'
            " choose one row with LIMIT 1, or EXISTS"
        )


def _left_out(connection: Connection, table: str, found: Sequence[Column]) -> list[str]:
    base = next((column.base for column in found if column.name == "Id"), 0)
    if not base:
        return []
    ((name,),) = connection.execute(QUERIES["base_table"], {"oid": base}).fetchall()
    read = _count(connection, sql.Identifier(table))
    there = _count(connection, trusted(name))
    if read >= there:
        return []
    return [f'"{table}" has {read} of the {there} rows of {name}']


def _count(connection: Connection, table: sql.Composable) -> int:
    ((count,),) = connection.execute(QUERIES["count"].format(table=table)).fetchall()
    return int(count)


def _cost(connection: Connection, plan: sql.Composed, values: Mapping[str, Any] | None) -> float:
    ((found,),) = connection.execute(plan, values).fetchall()
    return float(found[0]["Plan"]["Total Cost"])
