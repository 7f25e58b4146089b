"""Copies rows into a temporary table, from which one statement stores the whole page.

A row class defines the columns of its table: their names, SQL types and order.
"""

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, NamedTuple, get_type_hints

from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.backfill.picture_identity import stored_address
from shelfsight.ports import Fusion
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, copy_rows
from shelfsight.records import (
    FIRST_TEXT_FIELDS,
    STAGES,
    ContentModality,
    EmbeddedProduct,
    ModelPair,
    Need,
    Vector,
)
from shelfsight.storage.vectors.image_files import as_json
from shelfsight.storage.vectors.queries import QUERIES

_Text = Annotated[str | None, "text"]
_Vector = Annotated[Vector | None, "vector"]
_Object = Annotated[Jsonb | None, "jsonb"]


class StagedProduct(NamedTuple):
    """A row of the temporary table that the statement `upsert_vectors` reads: an embedded product.

    The needs say what is to be done about the stored vectors. "make": replace the vector. "keep":
    keep the vector. "check": making a new vector failed, so keep the stored vector unless it is
    known to be of other content.
    """

    id: _Text
    image: _Vector
    text: _Vector
    combined: _Vector
    color: _Vector
    image_need: Annotated[Need, "text"]
    text_need: Annotated[Need, "text"]
    image_url: _Text
    image_hash: _Text
    product_text: _Text
    source_hash: _Text
    versions: _Object
    image_files: _Object


class StagedCombined(NamedTuple):
    """A row that the statement `update_combined` reads: a product's new combined vector."""

    id: _Text
    combined: _Vector


def staged_product(item: EmbeddedProduct, models: ModelPair, fusion: Fusion) -> StagedProduct:
    """Return the row for a product that `models` embedded and `fusion` combined."""
    versions = {"fusion": fusion.name}
    if item.image is not None:
        versions["image"] = models.image
    if item.text is not None:
        versions["text"] = models.text
        if item.product.text_fields != FIRST_TEXT_FIELDS:
            versions["text_fields"] = ",".join(item.product.text_fields)
    picture = item.picture
    return StagedProduct(
        id=item.product.id,
        image=item.image,
        text=item.text,
        combined=item.combined,
        color=item.color,
        image_need=_remaining_need(item.product.image_need, item, "image"),
        text_need=_remaining_need(item.product.text_need, item, "text"),
        image_url=stored_address(picture.url) if picture else None,
        image_hash=picture.content_hash if picture else None,
        product_text=item.text_used or None,
        source_hash=item.product.source_hash,
        versions=Jsonb(versions),
        image_files=Jsonb(as_json(item.files)) if item.files else None,
    )


def _remaining_need(need: Need, item: EmbeddedProduct, modality: ContentModality) -> Need:
    """Return what to do about the stored vector, after the content was embedded or failed."""
    if need is Need.KEEP:
        return need
    vector = item.image if modality == "image" else item.text
    has_failed = any(failure.stage in STAGES[modality] for failure in item.failures)
    return Need.CHECK if vector is None and has_failed else Need.MAKE


def stage_products(connection: Connection, rows: Iterable[StagedProduct]) -> None:
    """Copy a page into the temporary table `shelfsight_page`.

    The table lasts until the transaction ends.
    """
    _stage(connection, "shelfsight_page", StagedProduct, rows)
    connection.execute(QUERIES["analyze_staged"])


def stage_combined(connection: Connection, rows: Iterable[StagedCombined]) -> None:
    """Copy combined vectors into the temporary table `shelfsight_combined`.

    The table lasts until the transaction ends.
    """
    _stage(connection, "shelfsight_combined", StagedCombined, rows)


def _stage(
    connection: Connection,
    table: str,
    row: type[NamedTuple],
    rows: Iterable[tuple[Any, ...]],
) -> None:
    types = _column_types(row)
    name = sql.Identifier(table)
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), statements.trusted(type_))
        for column, type_ in types.items()
    )
    connection.execute(QUERIES["create_staging"].format(table=name, columns=columns))
    copy_rows(connection, QUERIES["copy_staging"].format(table=name), [*types.values()], rows)


@cache
def _column_types(row: type[NamedTuple]) -> dict[str, str]:
    """Return the SQL types of a row class's columns, by name and in order."""
    hints = get_type_hints(row, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}
