"""Adds the stored vectors that are kept to the products of a page."""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from pgvector import Vector as PgVector
from psycopg import sql

from shelfsight.ports import Fusion
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, fetch_as
from shelfsight.postgres.need import failed_now, model_parameters, need
from shelfsight.records import EmbeddedProduct, ModelPair, Need, Vector
from shelfsight.storage.vectors.queries import QUERIES
from shelfsight.storage.vectors.target_set import TargetSet

_HASH = sql.SQL("page.source_hash")


class _Stored(NamedTuple):
    """The stored vectors of a product, and what is to be done about each now (`Need`, as text)."""

    id: str
    image_need: str
    text_need: str
    image: PgVector | None
    text: PgVector | None


def merge_stored(
    connection: Connection,
    page: list[EmbeddedProduct],
    models: ModelPair,
    fusion: Fusion,
    target: TargetSet,
) -> list[EmbeddedProduct]:
    """Add the stored vectors that are kept to the products of a page, and combine them again.

    A product is left out of the result if a vector that it keeps has changed or is gone since the
    product was read; it is due again. Kept vectors stay locked until the transaction ends.
    Untouched products are returned unchanged, without a query.
    """
    keeping = [item for item in page if item.product.kept_stages and not item.is_untouched]
    if not keeping:
        return page
    stored = _stored(connection, keeping, models, target)
    merged = (_merged(item, stored.get(item.product.id), fusion) for item in page)
    return [item for item in merged if item is not None]


def _merged(
    item: EmbeddedProduct, stored: _Stored | None, fusion: Fusion
) -> EmbeddedProduct | None:
    """Take over the stored vectors that a product keeps; None if one of them must be made again."""
    if stored is None:
        return item
    image, text = item.image, item.text
    if item.product.image_need is Need.KEEP:
        if stored.image_need != Need.KEEP:
            return None
        image = array(stored.image)
    if item.product.text_need is Need.KEEP:
        if stored.text_need != Need.KEEP:
            return None
        text = array(stored.text)
    return replace(item, image=image, text=text, combined=fusion.combine(image, text))


def _stored(
    connection: Connection, items: list[EmbeddedProduct], models: ModelPair, target: TargetSet
) -> dict[str, _Stored]:
    """Lock and read the stored vectors of these products; return them by product id."""
    values = {
        "ids": [item.product.id for item in items],
        "vector_set": target.name,
        "hashes": [item.product.source_hash for item in items],
        **model_parameters(models),
    }
    connection.execute(QUERIES["lock_stored"].format(id_type=target.id_type), values)
    query = _needs_statement(target.id_type.as_string())
    rows = fetch_as(_Stored, connection, query, values, binary=True)
    return {row.id: row for row in rows}


@cache
def _needs_statement(id_type: str) -> sql.Composed:
    return QUERIES["stored_needs"].format(
        id_type=statements.trusted(id_type),
        image_failed=failed_now("image", _HASH),
        text_failed=failed_now("text", _HASH),
        image_need=need("image", _HASH, failed=sql.Identifier("failed", "image")),
        text_need=need("text", _HASH, failed=sql.Identifier("failed", "text")),
    )


def array(stored: PgVector | None) -> Vector | None:
    """Convert a vector that was read in Postgres' binary format to float32 of shape (width,)."""
    return None if stored is None else np.asarray(stored.to_numpy(), dtype=np.float32)
