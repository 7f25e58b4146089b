"""Completes what was made of a product by its stored vectors, while they are what they were."""

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pgvector import Vector as PgVector
from psycopg import sql

from shelfsight.ports import Fusion
from shelfsight.postgres.connection import Connection
from shelfsight.records import TEXT_STAGES, EmbeddedProduct, ModelPair, Vector
from shelfsight.storage.vectors.queries import QUERIES


@dataclass(frozen=True, slots=True)
class _Half:
    """The text or the image of a product: its part of the hash, its model, and its vector.

    `failed` are the parts of the hashes of what failed.
    """

    content: str | None
    model: str | None
    vector: Vector | None
    failed: frozenset[str]

    def stays(self, content: str, model: str) -> bool:
        """Whether nothing of this content is to be made now."""
        if self.vector is None:
            return content in self.failed
        return self.content == content and self.model in (None, model)


_Halves = tuple[_Half, _Half]
"""Text and image, in the order of the hash."""


def merge_stored(
    connection: Connection,
    page: list[EmbeddedProduct],
    models: ModelPair,
    fusion: Fusion,
    id_type: sql.SQL,
) -> list[EmbeddedProduct]:
    """The products with their stored vectors where those were not needed, combined anew.

    One is left out if what was to stay has become another meanwhile, or is gone: it is due again.
    What stays is locked until the transaction ends. Of what is untouched nothing is read.
    """
    ids = [
        item.product.id for item in page if item.product.unneeded_stages and not item.is_untouched
    ]
    if not ids:
        return page
    stored = _stored(connection, ids, id_type)
    completed = (_completed(item, stored.get(item.product.id), models, fusion) for item in page)
    return [item for item in completed if item is not None]


def _completed(
    item: EmbeddedProduct, halves: _Halves | None, models: ModelPair, fusion: Fusion
) -> EmbeddedProduct | None:
    if halves is None:
        return item
    product = item.product
    text_content, _, image_content = product.source_hash.partition(":")
    text, image = halves
    if not (product.needs_text or text.stays(text_content, models.text)):
        return None
    if not (product.needs_image or image.stays(image_content, models.image)):
        return None
    text_vector = item.text if product.needs_text else text.vector
    image_vector = item.image if product.needs_image else image.vector
    combined = fusion.combine(image_vector, text_vector)
    return replace(item, image=image_vector, text=text_vector, combined=combined)


def _stored(connection: Connection, ids: list[str], id_type: sql.SQL) -> dict[str, _Halves]:
    values = {"ids": ids}
    rows = connection.execute(QUERIES["kept"].format(id_type=id_type), values, binary=True)
    vectors = {id_: row for id_, *row in rows}
    failed: dict[tuple[str, bool], set[str]] = defaultdict(set)
    failures = connection.execute(QUERIES["waiting"].format(id_type=id_type), values)
    for id_, stage, source_hash in failures:
        text_content, _, image_content = source_hash.partition(":")
        is_image = stage not in TEXT_STAGES
        failed[id_, is_image].add(image_content if is_image else text_content)
    return {
        id_: _halves(vectors.get(id_, [None] * 5), failed[id_, False], failed[id_, True])
        for id_ in ids
    }


def _halves(row: list[Any], text_failed: set[str], image_failed: set[str]) -> _Halves:
    content, text_model, image_model, text, image = row
    text_content, _, image_content = (content or "").partition(":")
    return (
        _Half(text_content, text_model, array(text), frozenset(text_failed)),
        _Half(image_content, image_model, array(image), frozenset(image_failed)),
    )


def array(stored: PgVector | None) -> Vector | None:
    """A stored vector, as it is read in binary."""
    return None if stored is None else np.asarray(stored.to_numpy(), dtype=np.float32)
