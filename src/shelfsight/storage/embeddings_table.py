"""The columns and the indexes that `"ProductEmbeddings"` must have, and what mends its faults.

The shop may keep rows and columns of its own in this table. A row is shelfsight's if it has a
`"SourceHash"` and a `"ProductVariantId"`.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, columns
from shelfsight.records import COLOR_WIDTH, COMBINED_WIDTH, IMAGE_WIDTH, TEXT_WIDTH

QUERIES = statements.load("shelfsight.storage", "embeddings_table.sql")

VECTOR_COLUMNS = {
    "ImageEmbedding": IMAGE_WIDTH,
    "TextEmbedding": TEXT_WIDTH,
    "CombinedEmbedding": COMBINED_WIDTH,
    "ColorHistogram": COLOR_WIDTH,
}
"""The vector columns with their widths. New ones are `halfvec`, which takes half of the room and
finds the same products (`docs/figures.md`). Existing columns of type `vector` stay."""

IN_ROW = {"ImageEmbedding"}
"""New columns that Postgres keeps in their row instead of moving them out: each scan of a photo
reads many image vectors. Half precision leaves room for one vector."""

ROW_BYTES = 2600
"""Postgres moves columns out of a row until it has at most so many bytes; three such rows fill a
page. With its default of 2 kB, an image vector in the row drove out the short columns too, which
each backfill reads of every product."""

OTHER_COLUMNS = {
    "ImageUrl": "text",
    "ImageHash": "text",
    "ProductText": "text",
    "SourceType": "text",
    "SourceHash": "text",
    "ModelVersions": "jsonb",
    "ImageFiles": "jsonb",
    "CreatedAt": "timestamptz NOT NULL DEFAULT now()",
    "UpdatedAt": "timestamptz NOT NULL DEFAULT now()",
}

WRITTEN = {
    "Id",
    "ProductVariantId",
    "ProductId",
    "UserId",
    *VECTOR_COLUMNS,
    *OTHER_COLUMNS,
}
"""The columns that shelfsight fills with a value. All others are the shop's."""

_NULLABLE = {
    *("ImageEmbedding", "TextEmbedding", "ColorHistogram"),
    *("ImageUrl", "ImageHash", "ImageFiles", "ProductText"),
}
"""Columns that must allow NULL: not every product has both an image and a text."""

_NEWEST = {"ColorHistogram"}
"""Columns that scans do without: a server of this release also answers while `init` still waits for
the workers of an older one. Writers are refused before, by the version of the schema."""

_VARIANT_NAMES = (
    *("ProductVariantId", "VariantId", "variantId", "variant_id"),
    *("productVariantId", "product_variant_id"),
)
"""The name of the column that holds a product's id, then names that a shop's table may have."""

_FAMILIES = {
    **dict.fromkeys(("text", "character varying", "character"), "text"),
    **dict.fromkeys(("smallint", "integer", "bigint"), "integer"),
}
"""Types whose values Postgres compares with each other without a cast."""

_ALTER = 'ALTER TABLE "ProductEmbeddings"'

_KEEP_NEWEST = (
    'UPDATE "ProductEmbeddings" AS a SET "SourceHash" = NULL FROM "ProductEmbeddings" AS b'
    ' WHERE a."ProductVariantId" = b."ProductVariantId" AND a.ctid < b.ctid'
    ' AND b."SourceHash" IS NOT NULL'
)


class Fault(NamedTuple):
    """A reason why the table cannot be used, and the SQL statement that mends it."""

    what: str
    mend: str


class _NeverNull(NamedTuple):
    """A NOT NULL column."""

    name: str
    has_default: bool
    in_key: bool


class _VariantIndexes(NamedTuple):
    """The indexes over `"ProductVariantId"` of the table in one schema."""

    schema: str
    is_unique: bool
    has_lookup: bool
    older: str | None


def check(connection: Connection, *, doubles: bool = False) -> None:
    """Check that the table and its columns can store the vectors.

    With `doubles`, check also that shelfsight has one row a product at the most; this reads the
    table.

    Raises:
        SchemaError: the table or a column is missing, or the table has faults. The message names
            all faults, and for each the statement that mends it.
    """
    found = columns(connection, "ProductEmbeddings")
    if not found:
        raise SchemaError(
            "the database is not prepared (there are no tables); run: shelfsight init"
        )
    faults = [*_faults(connection, found)]
    if doubles and _has_doubles(connection, found):
        what = '"ProductEmbeddings" holds several rows with a "SourceHash" for one product'
        faults.append(Fault(what, _KEEP_NEWEST))
    if faults:
        raise SchemaError(_described(faults))
    present = found.keys() | _NEWEST
    missing = [name for name in (*VECTOR_COLUMNS, *OTHER_COLUMNS) if name not in present]
    if missing:
        raise SchemaError(
            f'the database is not prepared ("ProductEmbeddings" lacks {", ".join(missing)});'
            " run: shelfsight init"
        )


def column_types(connection: Connection) -> dict[str, str]:
    """Return the types of the columns that are added to a table which lacks them.

    Vectors are `halfvec` where pgvector has it (0.7 and newer), else `vector`.
    """
    ((half,),) = connection.execute("SELECT to_regtype('halfvec') IS NOT NULL").fetchall()
    vectors = "halfvec" if half else "vector"
    of_vectors = {name: f"{vectors}({width})" for name, width in VECTOR_COLUMNS.items()}
    return {**of_vectors, **OTHER_COLUMNS}


def needs_id(connection: Connection) -> bool:
    """Return whether an INSERT into the table must name an `"Id"`.

    That is so if an ORM created the table: its column `"Id"` has no default.
    """
    never_null = {column.name: column.has_default for column in _never_null(connection)}
    return not never_null.get("Id", True)


def add_indexes(connection: Connection, schemas: Sequence[str]) -> list[str]:
    """Make `"ProductVariantId"` unique for shelfsight's rows, in the table in use and in `schemas`.

    The shop's rows may have the same variant any number of times. Older releases created a unique
    index over all rows; it is replaced. Returns what was created, as lines for people.
    """
    cursor = connection.cursor(row_factory=class_row(_VariantIndexes))
    tables = cursor.execute(QUERIES["variant_indexes"], {"schemas": [*schemas]}).fetchall()
    done: list[str] = []
    for indexes in tables:
        table = sql.Identifier(indexes.schema, "ProductEmbeddings")
        if not indexes.is_unique:
            connection.execute(QUERIES["create_unique"].format(table=table))
            done.append(
                'created unique index on "ProductEmbeddings" ("ProductVariantId") for our rows'
            )
        if not indexes.has_lookup:
            connection.execute(QUERIES["create_lookup"].format(table=table))
            done.append('created index on "ProductEmbeddings" ("ProductVariantId")')
        if indexes.older is not None:  # last, because scans wait from here on
            name = sql.Identifier(indexes.schema, indexes.older)
            connection.execute(QUERIES["drop_index"].format(index=name))
    return [*dict.fromkeys(done)]


def _described(faults: Sequence[Fault]) -> str:
    if len(faults) == 1:
        return f"{faults[0].what}; run: {faults[0].mend}; then: shelfsight init"
    lines = "".join(f"\n  {fault.mend};  -- {fault.what}" for fault in faults)
    return (
        f'"ProductEmbeddings" has {len(faults)} faults; run these statements, then:'
        f" shelfsight init{lines}"
    )


def _faults(connection: Connection, found: dict[str, str]) -> Iterator[Fault]:
    """Yield the faults in the order in which their statements must run."""
    of_types = dict(_type_faults(found))
    yield from _not_null_faults(connection, found, of_types)
    yield from of_types.values()
    name = _variant_column(found)
    id_type = columns(connection, "ProductVariants").get("Id")
    if name is None:
        what = '"ProductEmbeddings" has no column "ProductVariantId"'
        yield Fault(what, f'{_ALTER} ADD "ProductVariantId" {id_type or "uuid"}')
        return
    if id_type is not None and _family(found[name]) != _family(id_type):
        what = f'"ProductEmbeddings"."{name}" is {found[name]}, and "Id" of the products {id_type}'
        yield Fault(what, f'{_ALTER} ALTER "{name}" TYPE {id_type} USING "{name}"::{id_type}')
    if name != "ProductVariantId":
        what = f'"ProductEmbeddings" has "{name}" in the place of "ProductVariantId"'
        yield Fault(what, f'{_ALTER} RENAME "{name}" TO "ProductVariantId"')


def _not_null_faults(
    connection: Connection, found: dict[str, str], renamed: Collection[str]
) -> Iterator[Fault]:
    filled = (WRITTEN | {_variant_column(found)}) - _NULLABLE - {*renamed}
    for name, has_default, in_key in _never_null(connection):
        if name in filled or (has_default and name not in _NULLABLE):
            continue
        column = sql.Identifier(name).as_string()
        what = f'"ProductEmbeddings".{column} is NOT NULL, and not every product fills it'
        mend = _new_key(found[name]) if in_key else "DROP NOT NULL"
        yield Fault(what, f"{_ALTER} ALTER {column} {mend}")


def _new_key(type_: str) -> str:
    """Return what makes a column of the primary key get a new value in each row."""
    if _family(type_) == "integer":  # it counts down, away from the numbers that the shop gives
        return "ADD GENERATED BY DEFAULT AS IDENTITY (START WITH -1 INCREMENT BY -1)"
    return "SET DEFAULT gen_random_uuid()" + ("::text" if _family(type_) == "text" else "")


def _type_faults(found: dict[str, str]) -> Iterator[tuple[str, Fault]]:
    """Yield the columns of other types, each with its fault."""
    vectors = {name: f"vector({width})" for name, width in VECTOR_COLUMNS.items()}
    wanted = {**vectors, "ModelVersions": "jsonb", "ImageFiles": "jsonb"}
    for name, kind in wanted.items():
        actual = found.get(name, kind)
        if actual in (kind, kind.replace("vector", "halfvec")):
            continue
        what = f'"ProductEmbeddings"."{name}" is {actual}; it must be {kind}'
        as_jsonb = f'{_ALTER} ALTER "{name}" TYPE jsonb USING "{name}"::jsonb'
        yield name, Fault(what, as_jsonb if actual == "json" else _rename(name, found))
    actual = found.get("SourceHash", "text")
    if _family(actual) != "text":
        what = f'"ProductEmbeddings"."SourceHash" is {actual}; it must be text'
        yield "SourceHash", Fault(what, _rename("SourceHash", found))


def _rename(name: str, found: dict[str, str]) -> str:
    """Return the statement that gives a column another name, so that `init` can add its own."""
    new = next(new for n in range(1, 99) if (new := f"{name}{n}") not in found)
    return f'{_ALTER} RENAME "{name}" TO "{new}"'


def _has_doubles(connection: Connection, found: dict[str, str]) -> bool:
    name = _variant_column(found)
    if name is None or _family(found.get("SourceHash", "")) != "text":
        return False
    statement = QUERIES["has_doubles"].format(variant=sql.Identifier(name))
    return connection.execute(statement).fetchone() is not None


def _variant_column(found: dict[str, str]) -> str | None:
    return next((name for name in _VARIANT_NAMES if name in found), None)


def _family(type_: str) -> str:
    name = type_.partition("(")[0]
    return _FAMILIES.get(name, name)


def _never_null(connection: Connection) -> list[_NeverNull]:
    cursor = connection.cursor(row_factory=class_row(_NeverNull))
    return cursor.execute(QUERIES["never_null"]).fetchall()
