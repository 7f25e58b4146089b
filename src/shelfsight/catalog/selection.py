"""Translates a selection into SQL: which products are selected, and which of them are due."""

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from shelfsight.errors import SelectionError
from shelfsight.postgres import archived, moments, statements
from shelfsight.postgres.need import failed_now, is_current, is_made, need
from shelfsight.postgres.owners import belongs_to
from shelfsight.records import ContentModality, Need, Selection

QUERIES = statements.load("shelfsight.catalog", "catalog.sql")

_TRUE = sql.SQL("true")
_FALSE = sql.SQL("false")
_SOURCE_HASH = sql.SQL("source.hash")


def selected(
    selection: Selection,
    variants: Mapping[str, str],
    products: Mapping[str, str],
    time_zone: str = "UTC",
) -> tuple[sql.Composable, dict[str, Any]]:
    """Return the SQL condition for the selected rows of `"ProductVariants"`, and its parameters.

    Archived products are never selected. `variants` and `products` are the columns of the two
    tables with their types. Their times without a zone are in `time_zone`.

    Raises:
        SelectionError: the table has no column for one of the selection's filters.

    """
    conditions = archived.not_archived(variants, products, "ProductVariants")
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

    for flag, column, sign, moment in (
        ("--since", "CreatedAt", ">=", selection.since),
        ("--until", "CreatedAt", "<", selection.until),
        ("--updated-since", "UpdatedAt", ">=", selection.updated_since),
    ):
        compare(flag, column, moments.comparison(sign, variants.get(column, ""), time_zone), moment)
    is_owner = belongs_to(
        sql.SQL("{column}"), variants.get("UserId", "text"), sql.SQL("{value}")
    ).as_string()
    compare("--owner", "UserId", statements.trusted(is_owner), selection.owner)
    compare("--sku", "Sku", sql.SQL("{column} = ANY({value})"), list(selection.skus))
    is_one = sql.SQL("{column} = ANY({value}::{type}[])")
    compare("--variant", "Id", is_one, list(selection.variants))
    if selection.products:
        conditions.append(_is_product(variants))
        values["product"] = list(selection.products)
    if selection.only_failed:
        conditions.append(QUERIES["has_failed"])
        values |= {"kinds": list(selection.kinds), "hosts": list(selection.hosts)}
    if selection.where:
        condition = statements.trusted(selection.where.replace("%", "%%"))
        conditions.append(sql.SQL("(\n{}\n)").format(condition))
    return sql.SQL(" AND ").join(conditions) if conditions else _TRUE, values


def due_condition(selection: Selection) -> sql.Composable:
    """Return the SQL condition under which a selected product is due.

    The condition compares the row of `source` with row `e` of `"ProductEmbeddings"`, which may be
    missing.
    """
    if selection.missing is not None:
        return QUERIES[f"due_missing_{selection.missing}"]
    if selection.only_failed or not selection.skip_existing:
        return _TRUE
    changed = QUERIES["due_changed"].format(
        image_is_made=is_made("image", _SOURCE_HASH),
        text_is_made=is_made("text", _SOURCE_HASH),
    )
    if not selection.refetch:
        return changed
    check = QUERIES["due_check"].format(is_current=is_current("image", _SOURCE_HASH))
    return sql.SQL("({} OR {})").format(changed, check)


def needs(selection: Selection) -> dict[str, sql.Composable]:
    """Return the parts of the query `source` that tell what is to be done about each vector.

    `image_failed` and `text_failed` say whether row `f` of `"EmbeddingFailures"` is about the
    present content. `image_again` and `text_again` say whether this content may be tried again now.
    `image_need` and `text_need` are values of `records.Need`, and
    `stored_image` and `stored_text` of `records.Stored`.
    """
    again = sql.Identifier("failed", "image_again")
    is_wanted = _TRUE if selection.refetch else again
    may_check = QUERIES["may_check"].format(is_wanted=is_wanted)
    return {
        **_modality_needs(selection, "image", may_check=may_check),
        **_modality_needs(selection, "text", may_check=_FALSE),
    }


def _modality_needs(
    selection: Selection, modality: ContentModality, *, may_check: sql.Composable
) -> dict[str, sql.Composable]:
    is_asked_for = selection.retry_failed or selection.missing in (modality, "combined")
    found = need(
        modality,
        _SOURCE_HASH,
        failed=sql.Identifier("failed", modality),
        again=sql.Identifier("failed", f"{modality}_again"),
        may_check=may_check,
    )
    return {
        f"stored_{modality}": QUERIES["stored"].format(
            vector=sql.Identifier(f"{modality.title()}Embedding"),
            is_current=is_current(modality, _SOURCE_HASH),
        ),
        f"{modality}_failed": failed_now(modality, _SOURCE_HASH),
        f"{modality}_again": QUERIES["again_now" if is_asked_for else "again_when_due"],
        f"{modality}_need": found if selection.skip_existing else sql.Literal(Need.MAKE.value),
    }


def _is_product(variants: Mapping[str, str]) -> sql.Composable:
    names = [name for name in ("Id", "ProductId") if name in variants]
    either = [sql.SQL("{}::text = ANY(%(product)s)").format(sql.Identifier(name)) for name in names]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(either))
