"""A selection as SQL: which products are chosen, and which of those are due."""

from collections.abc import Mapping
from typing import Any, Literal

from psycopg import sql

from shelfsight.errors import SelectionError
from shelfsight.postgres import archived, statements
from shelfsight.records import IMAGE_STAGES, TEXT_STAGES, Selection, Stage

QUERIES = statements.load("shelfsight.catalog", "catalog.sql")

_TRUE = sql.SQL("true")
_TEXT_PART, _IMAGE_PART = 1, 2


def chosen(
    selection: Selection, variants: Mapping[str, str], products: Mapping[str, str]
) -> tuple[sql.Composable, dict[str, Any]]:
    """The condition over `"ProductVariants"` and its parameters; what is archived is not chosen.

    `variants` and `products` are the columns of the two tables with their types.

    Raises:
        SelectionError: the table lacks a column that the selection asks about.

    """
    conditions = archived.living(variants, products, "ProductVariants")
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


def due(selection: Selection) -> sql.Composable:
    """The condition over a source row and its row of `"ProductEmbeddings"`, if it has one."""
    if selection.missing is not None:
        return QUERIES[f"due_missing_{selection.missing}"]
    if selection.only_failed or not selection.skip_existing:
        return _TRUE
    changed = QUERIES["due_changed"]
    if not selection.refetch:
        return changed
    return sql.SQL("({} OR {})").format(changed, _has_image())


def halves(selection: Selection) -> dict[str, sql.Composable]:
    """What the query needs to tell an image that is due from a text that is.

    `of_...` and `..._again` are conditions over a row of `"EmbeddingFailures"`, `needs_...` over a
    source row, what failed of it, and its row of `"ProductEmbeddings"`, if it has one. Their
    parameters `image_models` and `text_models` are the `stored_identities` of the run's models, or
    None. `files` is what a stored image is made of, where it need not be made anew whatever its
    pictures are.
    """
    found = {
        **_half(selection, "image", part=_IMAGE_PART, stages=IMAGE_STAGES),
        **_half(selection, "text", part=_TEXT_PART, stages=TEXT_STAGES),
    }
    if selection.refetch:
        found["needs_image"] = sql.SQL("({} OR {})").format(_has_image(), found["needs_image"])
    files = QUERIES["files"].format(has_image=_has_image())
    return found | {"files": files if selection.skip_existing else sql.SQL("NULL::jsonb")}


def _has_image() -> sql.Composable:
    same = QUERIES["same"].format(row=sql.Identifier("e"), part=sql.Literal(_IMAGE_PART))
    return QUERIES["has_image"].format(same=same)


def _half(
    selection: Selection,
    modality: Literal["image", "text"],
    *,
    part: int,
    stages: frozenset[Stage],
) -> dict[str, sql.Composable]:
    def same(row: str) -> sql.Composable:
        return QUERIES["same"].format(row=sql.Identifier(row), part=sql.Literal(part))

    needs = QUERIES["needs"].format(
        again=sql.Identifier("failed", f"{modality}_again"),
        failed=sql.Identifier("failed", modality),
        same=same("e"),
        vector=sql.Identifier(f"{modality.title()}Embedding"),
        modality=sql.Literal(modality),
        models=sql.Placeholder(f"{modality}_models"),
    )
    is_asked_for = selection.retry_failed or selection.missing in (modality, "combined")
    return {
        f"of_{modality}": QUERIES["failure_of"].format(
            stages=sql.Literal([stage.value for stage in sorted(stages)]), same=same("f")
        ),
        f"{modality}_again": QUERIES["again_now" if is_asked_for else "again_later"],
        f"needs_{modality}": needs if selection.skip_existing else _TRUE,
    }


def _is_product(variants: Mapping[str, str]) -> sql.Composable:
    names = [name for name in ("Id", "ProductId") if name in variants]
    either = [sql.SQL("{}::text = ANY(%(product)s)").format(sql.Identifier(name)) for name in names]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(either))
