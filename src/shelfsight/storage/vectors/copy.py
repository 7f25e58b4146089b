"""Copies a page straight into the table where every product of it is new: no staging, no upsert."""

from collections.abc import Callable, Mapping, Sequence
from struct import pack
from typing import Any
from uuid import UUID

import psycopg

from shelfsight.postgres.connection import Connection, copy_rows
from shelfsight.records import EmbeddedProduct, Vector
from shelfsight.storage.schema import VECTOR_COLUMNS
from shelfsight.storage.vectors.queries import QUERIES

_FROM_TEXT: dict[str, Callable[[str], object]] = {
    "uuid": UUID,
    "text": str,
    "integer": int,
    "bigint": int,
}
"""How an id, which travels as text, becomes what a binary COPY sends for its column's type."""

_NUMBERS = {"vector": ">f4", "halfvec": ">f2"}
"""As pgvector sends the numbers of a column."""

_IDS = ("ProductVariantId", "ProductId", "UserId")
_OBJECTS = ("ModelVersions", "ImageFiles")
_TEXTS = ("ImageUrl", "ImageHash", "ProductText", "SourceHash", "SourceType")

_CANNOT = (
    psycopg.IntegrityError,  # stored or deleted meanwhile, or a column of the shop's own is filled
    psycopg.errors.FeatureNotSupported,  # row-level security: Postgres takes no COPY there
)


def types_of(stored: Mapping[str, str]) -> tuple[str, ...] | None:
    """The column types of a straight COPY; None where the table's are not those of `init`."""
    ids = tuple(stored[name] for name in _IDS)
    ours = {**dict.fromkeys(_TEXTS, "text"), **dict.fromkeys(_OBJECTS, "jsonb")}
    vectors = {name: stored[name].partition("(")[0] for name in VECTOR_COLUMNS}
    if (
        not set(ids) <= _FROM_TEXT.keys()
        or not set(vectors.values()) <= _NUMBERS.keys()
        or any(stored[name] != ours[name] for name in ours)
    ):
        return None
    return (*ids, *vectors.values(), *ours.values())


def bulk_copy(
    connection: Connection,
    page: Sequence[EmbeddedProduct],
    staged: Sequence[tuple[Any, ...]],
    types: tuple[str, ...],
) -> bool:
    """Copy a page of new products whose vectors are all well; whether it could be done.

    `staged` are the rows as they would be staged. Where it cannot be done nothing has changed.
    """
    if not all(_is_well(item) for item in page):
        return False
    try:
        with connection.transaction():
            rows = (_row(item, row, types) for item, row in zip(page, staged, strict=True))
            packed = tuple("bytea" if kind in _NUMBERS else kind for kind in types)
            copy_rows(connection, QUERIES["copy_new"], packed, rows)
    except _CANNOT:
        return False
    return True


def _is_well(item: EmbeddedProduct) -> bool:
    return item.product.is_new and not item.product.kept_stages and not item.failures


def _row(item: EmbeddedProduct, staged: tuple[Any, ...], types: tuple[str, ...]) -> tuple[Any, ...]:
    _id, image, text, combined, _, _, *words, source_hash, versions, files = staged
    ids = (item.product.id, item.product.product_id, item.product.owner_id)
    typed = (
        None if value is None else _FROM_TEXT[kind](value)
        for value, kind in zip(ids, types[: len(ids)], strict=True)
    )
    source_type = "image" if text is None else "text" if image is None else "image_text"
    vectors = (
        _binary(vector, _NUMBERS[kind])
        for vector, kind in zip((image, text, combined), types[len(ids) :], strict=False)
    )
    return (*typed, *vectors, *words, source_hash, source_type, versions, files)


def _binary(vector: Vector | None, numbers: str) -> bytes | None:
    """A vector as pgvector sends it: width and an unused zero (int16 each), then its numbers."""
    if vector is None:
        return None
    return pack(">hh", len(vector), 0) + vector.astype(numbers).tobytes()
