"""The columns of `"ProductEmbeddings"` that are the shop's, also in rows of shelfsight.

A row of shelfsight that is not needed any more is deleted only if the shop has stored nothing in
it. Otherwise it is emptied: it keeps the shop's values, has no vectors, and its `"SourceHash"` is
an empty text. When its product is embedded again, that row is filled.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection
from shelfsight.storage.embeddings_table import VECTOR_COLUMNS, WRITTEN

QUERIES = statements.load("shelfsight.storage", "shop_columns.sql")

CONTENT = (
    *VECTOR_COLUMNS,
    *("ImageUrl", "ImageHash", "ProductText", "SourceType", "ModelVersions", "ImageFiles"),
)
"""The columns of shelfsight that an emptied row does not have."""

_CONSTANT = re.compile(r"('(?:[^']|'')*'|-?[\d.]+|true|false|NULL)(::[\w\s\"().\[\]]+)?")
"""A default that is the same for each row."""


class Column(NamedTuple):
    """A column of the table. `default` is an SQL expression; None if there is none."""

    name: str
    is_never_null: bool
    is_generated: bool
    is_identity: bool
    default: str | None

    @property
    def is_shops(self) -> bool:
        """Whether the shop stores values in this column."""
        return self.name not in WRITTEN and not self.is_generated


def read_columns(connection: Connection, table: str = '"ProductEmbeddings"') -> list[Column]:
    """Return the columns of the table. `table` is its name as SQL, with a schema or without."""
    cursor = connection.cursor(row_factory=class_row(Column))
    return cursor.execute(QUERIES["columns"], {"table": table}).fetchall()


def holds_values(columns: Sequence[Column], alias: str) -> sql.Composable:
    """Return the SQL condition that the shop has stored something in the row `alias`.

    A value that a default made anew for each row, such as a number, counts as the shop's.
    """
    conditions = [
        QUERIES["holds"].format(
            alias=sql.Identifier(alias),
            column=sql.Identifier(column.name),
            default=statements.trusted(_constant_default(column)),
        )
        for column in columns
        if column.is_shops
    ]
    if not conditions:
        return sql.SQL("false")
    return sql.SQL("({})").format(sql.SQL(" OR ").join(conditions))


def emptied(columns: Sequence[Column]) -> sql.Composed:
    """Return the SQL assignments that empty a row of shelfsight. NOT NULL columns stay."""
    names = [column.name for column in columns if is_emptied(column)]
    cleared = [sql.SQL("{} = NULL").format(sql.Identifier(name)) for name in names]
    return sql.SQL(", ").join([*cleared, sql.SQL('"SourceHash" = \'\', "UpdatedAt" = now()')])


def with_parameters(part: sql.Composable) -> sql.SQL:
    """Return a part of a statement that is executed with parameters: a `%` in it is doubled."""
    return statements.trusted(part.as_string().replace("%", "%%"))


def is_emptied(column: Column) -> bool:
    """Return whether an emptied row has no value in this column."""
    return column.name in CONTENT and not (column.is_never_null or column.is_generated)


def _constant_default(column: Column) -> str:
    default = column.default or "NULL"
    return default if _CONSTANT.fullmatch(default) else "NULL"
