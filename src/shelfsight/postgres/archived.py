"""The SQL condition that leaves out archived and deleted products, by the usual column names."""

from collections.abc import Mapping

from psycopg import sql

from shelfsight.postgres import statements

_FLAG = "({}::text IN ('true', '1')) IS TRUE"

MARKS: Mapping[str, str] = {
    "ArchivedAt": "{} IS NOT NULL",
    "DeletedAt": "{} IS NOT NULL",
    "IsArchived": _FLAG,
    "IsDeleted": _FLAG,
    "Archived": _FLAG,
    "Deleted": _FLAG,
    "Status": "(lower({}::text) IN ('archived', 'deleted')) IS TRUE",
}
"""For each column name that marks archived rows of `"ProductVariants"` or `"Products"`: the
condition that a row is archived."""


_OF_PRODUCT = sql.SQL("""
NOT EXISTS (SELECT FROM "Products" AS archived
  WHERE archived."Id"{cast} = {product}{cast} AND ({marks}))""")


def not_archived(
    variants: Mapping[str, str], products: Mapping[str, str], variant: str
) -> list[sql.Composable]:
    """Return the conditions under which neither a variant nor its product is archived.

    `variants` and `products` are the columns of the two tables with their types. `variant` is the
    alias of the variant's row in the statement. Returns `[]` if neither table has a column that
    marks archived rows.
    """
    conditions: list[sql.Composable] = [
        sql.SQL("NOT {}").format(mark) for mark in _marks(variants, variant)
    ]
    marks = _marks(products, "archived")
    if marks and "Id" in products and "ProductId" in variants:
        same_type = products["Id"] == variants["ProductId"]
        conditions.append(
            _OF_PRODUCT.format(
                cast=sql.SQL("" if same_type else "::text"),
                product=sql.Identifier(variant, "ProductId"),
                marks=sql.SQL(" OR ").join(marks),
            )
        )
    return conditions


def _marks(columns: Mapping[str, str], row: str) -> list[sql.Composable]:
    return [
        sql.SQL("({})").format(statements.trusted(mark).format(sql.Identifier(row, name)))
        for name, mark in MARKS.items()
        if name in columns
    ]
