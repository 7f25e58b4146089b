"""An in-memory store of vectors and failures."""

from dataclasses import replace
from typing import NamedTuple

from shelfsight.backfill.leases import Checkpoint
from shelfsight.errors import ModelMismatchError
from shelfsight.ports import Fusion
from shelfsight.records import (
    STAGES,
    ContentModality,
    EmbeddedProduct,
    Failure,
    ModelPair,
    Need,
    Product,
    Stage,
    Stored,
    Vector,
    VectorCounts,
)


class RecordedFailure(NamedTuple):
    """A failure to embed, and the hash of the content that failed."""

    source_hash: str
    failure: Failure


class MemoryStore:
    """Implements `backfill.ports.VectorStore` in dictionaries, whose keys are product ids."""

    def __init__(self, fusion: Fusion) -> None:
        self.rows: dict[str, EmbeddedProduct] = {}
        self.failures: dict[str, dict[Stage, RecordedFailure]] = {}
        self._fusion = fusion
        self.fused_by: dict[str, str] = {}
        self.models: ModelPair | None = None

    def require(self, models: ModelPair, *, replace: bool = False) -> None:
        """Check that these models made the stored vectors.

        With `replace`, vectors by other models are accepted, because they will be replaced.

        Raises:
            ModelMismatchError: other models made the stored vectors.
        """
        if self.rows and not self._fits(models) and not replace:
            raise ModelMismatchError(f"the store holds vectors of {self.models}")

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        """Store a page; return it with the stored vectors that were kept.

        Returns `[]` if another worker has taken over the lease.
        """
        if checkpoint is not None and checkpoint.claim.lost:
            return []
        merged = [self._merged(item) for item in page if self._still_keeps(item.product, models)]
        self.models = models
        for item in merged:
            if not item.is_untouched:
                self._save(self._with_fallback(item))
            self._update_files(item)
            self._record_failures(item)
        if checkpoint is not None:
            checkpoint.claim.record_stored(checkpoint)
        return merged

    def count(self) -> VectorCounts:
        """Count the stored vectors."""
        rows = self.rows.values()
        return VectorCounts(
            image=sum(row.image is not None for row in rows),
            text=sum(row.text is not None for row in rows),
            combined=sum(row.combined is not None for row in rows),
        )

    def stored(self, product: Product, modality: ContentModality) -> Stored:
        """Return what is stored of a vector of a product."""
        row = self.rows.get(product.id)
        if row is None or _vector(row, modality) is None:
            return Stored.NONE
        return Stored.CURRENT if self.is_current(product, modality) else Stored.STALE

    def recombine(self) -> int:
        """Make the combined vectors again that were made with other weights; return how many."""
        old = [id_ for id_ in self.rows if self.fused_by[id_] != self._fusion.name]
        for id_ in old:
            row = self.rows[id_]
            combined = self._fusion.combine(row.image, row.text)
            self.rows[id_] = replace(row, combined=combined)
            self.fused_by[id_] = self._fusion.name
        return len(old)

    def need(
        self,
        product: Product,
        modality: ContentModality,
        *,
        again: bool = False,
        may_check: bool = False,
    ) -> Need:
        """Return what is to be done about a vector: the rule of `postgres/need.sql` in Python.

        `again` says whether failed content may be tried again now. `may_check` says whether a
        current image is to be checked, and can be.
        """
        is_current = self.is_current(product, modality)
        if may_check and is_current:
            return Need.CHECK
        row = self.rows.get(product.id)
        has_vector = row is not None and _vector(row, modality) is not None
        stays = is_current if has_vector else self.has_failed(product, modality)
        return Need.KEEP if stays and not again else Need.MAKE

    def is_current(self, product: Product, modality: ContentModality) -> bool:
        """Return whether the stored vector was made from the product's present content."""
        row = self.rows.get(product.id)
        return (
            row is not None
            and _vector(row, modality) is not None
            and _content(row.product, modality) == _content(product, modality)
        )

    def has_failed(self, product: Product, modality: ContentModality) -> bool:
        """Return whether the product's present content of this modality has failed."""
        failures = self.failures.get(product.id, {})
        content = _content(product, modality)
        return any(
            stage in STAGES[modality] and _part(failed.source_hash, modality) == content
            for stage, failed in failures.items()
        )

    def _fits(self, models: ModelPair) -> bool:
        return self.models is None or models.accepts(self.models)

    def _still_keeps(self, product: Product, models: ModelPair) -> bool:
        """Return whether every vector that was to be kept when the product was read can be kept."""
        wanted: dict[ContentModality, Need] = {
            "image": product.image_need,
            "text": product.text_need,
        }
        kept = [modality for modality, need in wanted.items() if need is Need.KEEP]
        return not kept or (
            self._fits(models)
            and all(self.need(product, modality) is Need.KEEP for modality in kept)
        )

    def _merged(self, item: EmbeddedProduct) -> EmbeddedProduct:
        """Add the stored vectors that are kept, and make the combined vector again."""
        row = self.rows.get(item.product.id)
        if not item.product.kept_stages or item.is_untouched or row is None:
            return item
        if item.product.image_need is Need.KEEP:
            files = item.files or row.files
            item = replace(item, image=row.image, color=row.color, picture=row.picture, files=files)
        if item.product.text_need is Need.KEEP:
            item = replace(item, text=row.text, text_used=row.text_used)
        return replace(item, combined=self._fusion.combine(item.image, item.text))

    def _save(self, item: EmbeddedProduct) -> None:
        id_ = item.product.id
        if item.combined is None:
            self.rows.pop(id_, None)
        else:
            self.rows[id_] = item
            self.fused_by[id_] = self._fusion.name

    def _update_files(self, item: EmbeddedProduct) -> None:
        row = self.rows.get(item.product.id)
        if row is not None and item.is_untouched and item.files:
            self.rows[item.product.id] = replace(row, files=item.files)

    def _record_failures(self, item: EmbeddedProduct) -> None:
        id_, source_hash = item.product.id, item.product.source_hash
        waiting = {
            stage: RecordedFailure(source_hash, failed.failure)
            for stage, failed in self.failures.pop(id_, {}).items()
            if stage in item.untried_stages
        }
        new = {failure.stage: RecordedFailure(source_hash, failure) for failure in item.failures}
        if waiting or new:
            self.failures[id_] = waiting | new

    def _with_fallback(self, item: EmbeddedProduct) -> EmbeddedProduct:
        """Use the stored vector where a new vector failed, if the content is still the same."""
        old = self.rows.get(item.product.id)
        if old is None or not item.failures:
            return item
        image, text, files, color = item.image, item.text, item.files, item.color
        if image is None and self._failed_but_current(item, "image"):
            image, files, color = old.image, old.files, old.color
        if text is None and self._failed_but_current(item, "text"):
            text = old.text
        combined = self._fusion.combine(image, text)
        return replace(item, image=image, text=text, combined=combined, color=color, files=files)

    def _failed_but_current(self, item: EmbeddedProduct, modality: ContentModality) -> bool:
        has_failed = any(failure.stage in STAGES[modality] for failure in item.failures)
        return has_failed and self.is_current(item.product, modality)


def _vector(row: EmbeddedProduct, modality: ContentModality) -> Vector | None:
    return row.image if modality == "image" else row.text


def _content(product: Product, modality: ContentModality) -> str:
    return _part(product.source_hash, modality)


def _part(source_hash: str, modality: ContentModality) -> str:
    text, _, image = source_hash.partition(":")
    return image if modality == "image" else text
