"""Copies a page of new products straight into the table, which is faster than an upsert."""

from collections.abc import Callable, Mapping, Sequence
from struct import pack
from uuid import UUID

import numpy as np
import psycopg
from psycopg import sql

from shelfsight.postgres.connection import Connection, copy_rows
from shelfsight.records import EmbeddedProduct, Vector
from shelfsight.storage.embeddings_table import VECTOR_COLUMNS
from shelfsight.storage.vectors.queries import QUERIES
from shelfsight.storage.vectors.staging import StagedProduct

_FROM_TEXT: Mapping[str, Callable[[str], object]] = {
    "uuid": UUID,
    "text": str,
    "integer": int,
    "bigint": int,
}
"""For each SQL type: how an id, which the records hold as text, is converted for a binary COPY."""

_FLOATS = {"vector": ">f4", "halfvec": ">f2"}
"""The numpy type in which a binary COPY sends the numbers of a vector column, by column type."""

_IDS = ("ProductVariantId", "ProductId", "UserId")
_JSON = ("ModelVersions", "ImageFiles")
_TEXTS = ("ImageUrl", "ImageHash", "ProductText", "SourceHash", "SourceType")

_COPY_REFUSED = (
    psycopg.IntegrityError,  # a row was added or deleted, or a column must be set
    psycopg.errors.FeatureNotSupported,  # row-level security allows no COPY
)


def copy_types(stored: Mapping[str, str]) -> dict[str, str] | None:
    """Return the columns that a straight COPY writes, in order, with their types.

    `stored` are the columns of `"ProductEmbeddings"` with their types. Returns None if these types
    are not those that `shelfsight init` creates: then rows must be staged.
    """
    ids = {name: stored[name] for name in _IDS}
    vectors = {name: stored[name].partition("(")[0] for name in VECTOR_COLUMNS}
    ours = {**dict.fromkeys(_TEXTS, "text"), **dict.fromkeys(_JSON, "jsonb")}
    if (
        not set(ids.values()) <= _FROM_TEXT.keys()
        or not set(vectors.values()) <= _FLOATS.keys()
        or any(stored[name] != ours[name] for name in ours)
    ):
        return None
    return {**ids, **vectors, **ours}


def bulk_copy(
    connection: Connection,
    page: Sequence[EmbeddedProduct],
    staged: Sequence[StagedProduct],
    types: Mapping[str, str],
    id_type: sql.SQL,
) -> bool:
    """Copy a page into the table if every product is new and nothing failed; return whether it was.

    `staged` are the rows that would be staged, one for each product. If the result is False,
    nothing has changed. A page with a product that the shop has deleted meanwhile is not copied.
    """
    if not all(_is_new_and_whole(item) for item in page):
        return False
    columns = sql.SQL(", ").join(map(sql.Identifier, types))
    sent_types = ["bytea" if type_ in _FLOATS else type_ for type_ in types.values()]
    rows = (_row(item, row, types) for item, row in zip(page, staged, strict=True))
    is_copied = False
    try:
        with connection.transaction():
            copy_rows(connection, QUERIES["copy_new"].format(columns=columns), sent_types, rows)
            if not _are_in_shop(connection, [row.id for row in staged], id_type):
                raise psycopg.Rollback
            is_copied = True
    except _COPY_REFUSED:
        pass
    return is_copied


def _are_in_shop(connection: Connection, ids: Sequence[str | None], id_type: sql.SQL) -> bool:
    """Return whether the shop still has all these products."""
    statement = QUERIES["count_in_shop"].format(id_type=id_type)
    ((found,),) = connection.execute(statement, {"ids": [*ids]}).fetchall()
    return bool(found == len(ids))


def _is_new_and_whole(item: EmbeddedProduct) -> bool:
    return item.product.is_new and not item.product.kept_stages and not item.failures


def _row(item: EmbeddedProduct, staged: StagedProduct, types: Mapping[str, str]) -> list[object]:
    """Return the values of one product, in the order of the columns."""
    has_both = staged.image is not None and staged.text is not None
    one_source = "text" if staged.image is None else "image"
    values: dict[str, object] = {
        "ProductVariantId": staged.id,
        "ProductId": item.product.product_id,
        "UserId": item.product.owner_id,
        "ImageEmbedding": staged.image,
        "TextEmbedding": staged.text,
        "CombinedEmbedding": staged.combined,
        "ColorHistogram": staged.color,
        "ImageUrl": staged.image_url,
        "ImageHash": staged.image_hash,
        "ProductText": staged.product_text,
        "SourceHash": staged.source_hash,
        "SourceType": "image_text" if has_both else one_source,
        "ModelVersions": staged.versions,
        "ImageFiles": staged.image_files,
    }
    return [_sent(values[name], type_) for name, type_ in types.items()]


def _sent(value: object, type_: str) -> object:
    """Convert a value to what a binary COPY sends for a column of this type."""
    if isinstance(value, np.ndarray):
        return _binary(value, _FLOATS[type_])
    return _FROM_TEXT[type_](value) if isinstance(value, str) else value


def _binary(vector: Vector, numbers: str) -> bytes:
    """Pack a vector as pgvector sends it: its width and a zero (int16 each), then its numbers."""
    return pack(">hh", len(vector), 0) + vector.astype(numbers).tobytes()
