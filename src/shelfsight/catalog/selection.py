"""A selection as SQL: which products are chosen, and which of those are due."""

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from shelfsight import statements
from shelfsight.errors import SelectionError
from shelfsight.records import Selection

QUERIES = statements.load("shelfsight.catalog", "queries.sql")

_TRUE = sql.SQL("true")


def chosen(
    selection: Selection, variants: Mapping[str, str]
) -> tuple[sql.Composable, dict[str, Any]]:
    """The condition over `"ProductVariants"` (its columns and types given) and its parameters.

    Raises:
        SelectionError: the table lacks a column that the selection asks about.

    """
    conditions: list[sql.Composable] = []
    values: dict[str, Any] = {}

    def compare(flag: str, column: str, comparison: sql.SQL, value: object) -> None:
        if not value:
            return
        if column not in variants:
            raise SelectionError(f'{flag} needs a column "{column}", which "ProductVariants" lacks')
        name = flag.strip("-").replace("-", "_")
        conditions.append(
            comparison.format(
                column=sql.Identifier(column),
                value=sql.Placeholder(name),
                type=statements.trusted(variants[column]),
            )
        )
        values[name] = value

    compare("--since", "CreatedAt", sql.SQL("{column} >= {value}"), selection.since)
    compare("--until", "CreatedAt", sql.SQL("{column} < {value}"), selection.until)
    compare("--updated-since", "UpdatedAt", sql.SQL("{column} >= {value}"), selection.updated_since)
    compare("--owner", "UserId", sql.SQL("{column} = {value}::{type}"), selection.owner)
    compare("--sku", "Sku", sql.SQL("{column} = ANY({value})"), list(selection.skus))
    if selection.products:
        conditions.append(_is_product(variants))
        values["product"] = list(selection.products)
    if selection.where:
        condition = statements.trusted(selection.where.replace("%", "%%"))
        conditions.append(sql.SQL("(\n{}\n)").format(condition))
    return sql.SQL(" AND ").join(conditions) if conditions else _TRUE, values


def due(selection: Selection) -> sql.Composable:
    """The condition over a source row and its row of `"ProductEmbeddings"`, if it has one."""
    if selection.missing is not None:
        return QUERIES[f"due_missing_{selection.missing}"]
    if not selection.skip_existing:
        return _TRUE
    return QUERIES["due_changed"]


def again(selection: Selection) -> sql.Composable:
    """The condition over a row of `"EmbeddingFailures"` that lets it be tried again."""
    return QUERIES["again_now" if selection.retry_failed else "again_later"]


def _is_product(variants: Mapping[str, str]) -> sql.Composable:
    names = [name for name in ("Id", "ProductId") if name in variants]
    either = [sql.SQL("{}::text = ANY(%(product)s)").format(sql.Identifier(name)) for name in names]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(either))
