"""The columns of a SELECT, checked against those that shelfsight reads."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import psycopg

from shelfsight.errors import PresetError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection

QUERIES = statements.load("shelfsight.catalog.views", "views.sql")

NEEDED: Mapping[str, Collection[str]] = {
    "Products": ("Id",),
    "ProductVariants": ("Id",),
    "ProductImages": ("Id", "ProductVariantId", "ImageUrl"),
}
"""The columns that the SELECT of each table must have."""

_TIMES = ("timestamp with time zone",)
_TYPES: Mapping[str, Collection[str]] = {
    "CreatedAt": _TIMES,
    "UpdatedAt": _TIMES,
    "Price": ("numeric", "integer", "bigint", "smallint", "double precision", "real"),
    "Position": ("numeric", "integer", "bigint", "smallint", "double precision", "real"),
    "Options": ("jsonb", "json"),
}
"""The types that a column may have, where not all do."""

_CURES = {
    "timestamp without time zone": "write: ... AT TIME ZONE 'UTC'",
    "money": "write: ...::numeric",
}

_KNOWN = {
    *("Id", "ProductId", "UserId", "Sku", "Barcode", "Title", "Description", "Price", "Options"),
    *("Category", "Brand", "Link", "CreatedAt", "UpdatedAt"),
    *("ProductVariantId", "ImageUrl", "AltText", "ImageId", "Position"),
}


class Column(NamedTuple):
    """A column of a SELECT. `base` is the OID of the table that it comes from unchanged, or 0."""

    name: str
    type: str
    base: int


def describe(connection: Connection, preset: str, table: str, select: str) -> list[Column]:
    """Return the columns of a SELECT, without running it.

    Raises:
        PresetError: Postgres refuses the SELECT.
    """
    statement = statements.trusted(f"SELECT * FROM (\n{select}\n) AS checked LIMIT 0")  # noqa: S608
    try:
        with connection.transaction():
            cursor = connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        raise
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
        reason = " ".join(str(error.diag.message_primary or error).split())
        raise PresetError(f"{preset}: Postgres refuses the SELECT of {table}: {reason}") from error
    found, result = cursor.description, cursor.pgresult
    if found is None or result is None:
        raise PresetError(f"{preset}: the statement of {table} is not a SELECT")
    oids = {"oids": [column.type_code for column in found]}
    names: dict[int, str] = dict(connection.execute(QUERIES["type_name"], oids).fetchall())
    return [
        Column(column.name, _stable(names[column.type_code]), result.ftable(number))
        for number, column in enumerate(found)
    ]


def _stable(type_: str) -> str:
    """Return the type under which a column is read: the same for `varchar` and `text`.

    A platform that changes one into the other then changes nothing here.
    """
    return "text" if type_ == "character varying" else type_


def check(preset: str, columns: Mapping[str, list[Column]]) -> None:
    """Check the columns of all SELECTs of a preset.

    Raises:
        PresetError: a column is missing, is misspelt, or has a type that cannot be read.
    """
    for table, found in columns.items():
        names = [column.name for column in found]
        for name in names:
            meant = next((known for known in _KNOWN if known.lower() == _letters(name)), name)
            if meant != name:
                raise PresetError(f'{preset}: {table} has "{name}"; write AS "{meant}", in quotes')
        for name in NEEDED[table]:
            if name not in names:
                raise PresetError(f'{preset}: the SELECT of {table} has no column "{name}"')
        for column in found:
            _check_type(preset, table, column)
    _check_ids(preset, columns)


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def _check_type(preset: str, table: str, column: Column) -> None:
    wanted = _TYPES.get(column.name)
    if wanted is None or column.type in wanted:
        return
    kind = next(iter(wanted))
    cure = _CURES.get(column.type, f"write: ...::{kind}")
    raise PresetError(f'{preset}: "{column.name}" of {table} is {column.type}, not {kind}; {cure}')


def _check_ids(preset: str, columns: Mapping[str, list[Column]]) -> None:
    """Check that the ids that are compared with each other have the same type."""
    types = {
        (table, column.name): column.type for table, found in columns.items() for column in found
    }
    pairs = [(("ProductImages", "ProductVariantId"), ("ProductVariants", "Id"))]
    if ("ProductVariants", "ProductId") in types and ("Products", "Id") in types:
        pairs.append((("ProductVariants", "ProductId"), ("Products", "Id")))
    for one, other in pairs:
        if types[one] != types[other]:
            raise PresetError(
                f'{preset}: "{one[1]}" of {one[0]} is {types[one]}, and "{other[1]}" of {other[0]}'
                f" is {types[other]}: cast one of them, such as ...::{types[other]}"
            )
