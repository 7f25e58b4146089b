"""Reads rows by column name, and writes them by binary COPY."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from psycopg import Cursor, sql
from psycopg.rows import RowMaker, class_row

from shelfsight.postgres.session import Connection

Row = TypeVar("Row")

_COLUMNS = sql.SQL(
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
    " WHERE attrelid = {table} AND attnum > 0 AND NOT attisdropped{condition} ORDER BY attnum"
)

_IS_READABLE = sql.SQL(" AND has_column_privilege(attrelid, attnum, 'SELECT')")

_FOUND = sql.SQL("to_regclass(quote_ident(%s))")

_IN_SCHEMA = sql.SQL(
    "(SELECT t.oid FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace"
    " WHERE n.nspname = %s AND t.relname = %s)"
)


def columns(connection: Connection, table: str, *, schema: str | None = None) -> dict[str, str]:
    """Read the column names of a table with their SQL types; `{}` if there is no such table.

    Without `schema`, the table is found through the search path.
    """
    if schema is None:
        statement = _COLUMNS.format(table=_FOUND, condition=sql.SQL(""))
        return dict(connection.execute(statement, [table]))
    # not to_regclass, which raises an error if the role lacks USAGE on the schema
    statement = _COLUMNS.format(table=_IN_SCHEMA, condition=sql.SQL(""))
    return dict(connection.execute(statement, [schema, table]))


def readable_columns(connection: Connection, table: str) -> dict[str, str]:
    """Read those columns, found through the search path, that the role may select."""
    statement = _COLUMNS.format(table=_FOUND, condition=_IS_READABLE)
    return dict(connection.execute(statement, [table]))


def fetch_as(
    row: type[Row],
    connection: Connection,
    statement: sql.SQL | sql.Composed,
    values: Mapping[str, object] | None = None,
    *,
    binary: bool = False,
) -> list[Row]:
    """Run a query and return its rows as objects of `row`, a class with a field for each column.

    With `binary` the results are sent in Postgres' binary format, which is best for vectors.
    """
    with connection.cursor(row_factory=partial(_row_maker, row)) as cursor:
        return cursor.execute(statement, values, binary=binary).fetchall()


def _row_maker(row: type[Row], cursor: Cursor[Row]) -> RowMaker[Row]:
    """Make rows as psycopg's `class_row` does, but faster for named tuples.

    If the fields of a named tuple are in the order of the columns, this is seven times as fast.
    """
    columns = tuple(column.name for column in cursor.description or ())
    make: RowMaker[Row] | None = getattr(row, "_make", None)
    if make is not None and columns == getattr(row, "_fields", None):
        return make
    return class_row(row)(cursor)


def copy_rows(
    connection: Connection,
    statement: sql.SQL | sql.Composed,
    types: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Run a `COPY ... FROM STDIN (FORMAT BINARY)` with rows whose columns have these types."""
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
