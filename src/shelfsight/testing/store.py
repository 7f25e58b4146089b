"""A store of vectors that lives in memory."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from shelfsight.backfill.leases import Checkpoint
from shelfsight.errors import ModelMismatchError
from shelfsight.ports import Fusion
from shelfsight.records import (
    IMAGE_STAGES,
    TEXT_STAGES,
    EmbeddedProduct,
    Failure,
    ModelPair,
    Product,
    Stage,
    Vector,
)

Half = Literal["text", "image"]

STAGES: Mapping[Half, frozenset[Stage]] = {"text": TEXT_STAGES, "image": IMAGE_STAGES}


class Failed(NamedTuple):
    """What failed, and of which content."""

    source_hash: str
    failure: Failure


class MemoryStore:
    """`seams.VectorStore` in dictionaries by product id."""

    def __init__(self, fusion: Fusion) -> None:
        self.rows: dict[str, EmbeddedProduct] = {}
        self.failures: dict[str, dict[Stage, Failed]] = {}
        self._fusion = fusion
        self.fused_by: dict[str, str] = {}
        self.models: ModelPair | None = None

    def require(self, models: ModelPair, *, replace: bool = False) -> None:
        """Refuse other models than those that made the stored vectors, unless `replace`.

        Raises:
            ModelMismatchError: other models made them.
        """
        if self.rows and self.models not in (None, models) and not replace:
            raise ModelMismatchError(f"the store holds vectors of {self.models}")

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        """Keep a page, and hand it on with what was not needed, unless its lease is lost."""
        if checkpoint is not None and checkpoint.lease.lost:
            return []
        whole = [self._completed(item) for item in page if self._stays(item.product, models)]
        self.models = models
        for item in whole:
            if not item.is_untouched:
                self._save(self._kept(item))
            self._keep_files(item)
            self._note_failures(item)
        if checkpoint is not None:
            checkpoint.lease.note(checkpoint)
        return whole

    def recombine(self) -> int:
        """Fuse again what other weights fused; gives how many."""
        old = [id_ for id_ in self.rows if self.fused_by[id_] != self._fusion.name]
        for id_ in old:
            row = self.rows[id_]
            combined = self._fusion.combine(row.image, row.text)
            self.rows[id_] = replace(row, combined=combined)
            self.fused_by[id_] = self._fusion.name
        return len(old)

    def is_done(self, product: Product, half: Half) -> bool:
        """Whether this half's stored vector is of this content, or failed and waits."""
        row = self.rows.get(product.id)
        if row is None or _vector(row, half) is None:
            return self.has_failed(product, half)
        return _content(row.product, half) == _content(product, half)

    def has_failed(self, product: Product, half: Half) -> bool:
        """Whether this half of it failed with this content."""
        failures = self.failures.get(product.id, {})
        return any(
            stage in STAGES[half] and _part(failed.source_hash, half) == _content(product, half)
            for stage, failed in failures.items()
        )

    def _stays(self, product: Product, models: ModelPair) -> bool:
        """Whether all that was not needed is as it was."""
        if not product.unneeded_stages:
            return True
        return (
            self.models in (None, models)
            and (product.needs_image or self.is_done(product, "image"))
            and (product.needs_text or self.is_done(product, "text"))
        )

    def _completed(self, item: EmbeddedProduct) -> EmbeddedProduct:
        """With the stored vectors that were not needed."""
        row = self.rows.get(item.product.id)
        if not item.product.unneeded_stages or item.is_untouched or row is None:
            return item
        if not item.product.needs_image:
            files = item.files or row.files
            item = replace(item, image=row.image, picture=row.picture, files=files)
        if not item.product.needs_text:
            item = replace(item, text=row.text, text_used=row.text_used)
        return replace(item, combined=self._fusion.combine(item.image, item.text))

    def _save(self, item: EmbeddedProduct) -> None:
        id_ = item.product.id
        if item.combined is None:
            self.rows.pop(id_, None)
        else:
            self.rows[id_] = item
            self.fused_by[id_] = self._fusion.name

    def _keep_files(self, item: EmbeddedProduct) -> None:
        row = self.rows.get(item.product.id)
        if row is not None and item.is_untouched and item.files:
            self.rows[item.product.id] = replace(row, files=item.files)

    def _note_failures(self, item: EmbeddedProduct) -> None:
        id_, source_hash = item.product.id, item.product.source_hash
        waiting = {
            stage: Failed(source_hash, failed.failure)
            for stage, failed in self.failures.pop(id_, {}).items()
            if stage in item.untried_stages
        }
        new = {failure.stage: Failed(source_hash, failure) for failure in item.failures}
        if waiting or new:
            self.failures[id_] = waiting | new

    def _kept(self, item: EmbeddedProduct) -> EmbeddedProduct:
        """With the stored vector in place of one that failed, if its content is the same."""
        old = self.rows.get(item.product.id)
        if old is None or not item.failures:
            return item
        stages = {failure.stage for failure in item.failures}
        image, text, files = item.image, item.text, item.files
        if image is None and stages & IMAGE_STAGES and _same(old, item, "image"):
            image, files = old.image, old.files
        if text is None and stages & TEXT_STAGES and _same(old, item, "text"):
            text = old.text
        combined = self._fusion.combine(image, text)
        return replace(item, image=image, text=text, combined=combined, files=files)


def _vector(row: EmbeddedProduct, half: Half) -> Vector | None:
    return row.image if half == "image" else row.text


def _same(one: EmbeddedProduct, other: EmbeddedProduct, half: Half) -> bool:
    return _content(one.product, half) == _content(other.product, half)


def _content(product: Product, half: Half) -> str:
    return _part(product.source_hash, half)


def _part(source_hash: str, half: Half) -> str:
    text, _, image = source_hash.partition(":")
    return image if half == "image" else text
