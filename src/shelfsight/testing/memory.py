"""In-memory fakes of the catalogue, the image fetcher and the models."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from shelfsight.backfill.failure_kinds import is_absence
from shelfsight.backfill.refetch import Outcome, fetched_product, stays
from shelfsight.backfill.runs import WHOLE, KeyRange, Partitioning
from shelfsight.ports import Advanced, ignore
from shelfsight.records import (
    IMAGE_WIDTH,
    STAGES,
    TEXT_WIDTH,
    ContentModality,
    Due,
    Failure,
    FetchedProduct,
    ModelPair,
    ModelPicture,
    Need,
    Picture,
    PictureFile,
    PictureFormat,
    Pixels,
    Product,
    Selection,
    Stage,
    Stored,
    Vector,
    VectorCounts,
)
from shelfsight.testing.store import MemoryStore

MODELS = ModelPair(image="hashed-pixels@1", text="hashed-words@1")


def direction(seed: bytes, width: int) -> Vector:
    """Return a unit vector of shape (width,) for these bytes. Equal bytes have equal vectors."""
    words = np.frombuffer(hashlib.sha256(seed).digest(), np.uint32)
    vector = np.random.default_rng(words).standard_normal(width, np.float32)
    return vector / np.linalg.norm(vector)


class HashEmbedder:
    """Implements `ports.Embedder` without a model: each vector is made from a hash of the content.

    Texts in `broken` fail. `images_embedded` and `texts_embedded` count the items of all calls.
    """

    def __init__(self, *, models: ModelPair = MODELS, broken: frozenset[str] = frozenset()) -> None:
        self.models = models
        self.picture_format = PictureFormat(side=8, resample="bilinear")
        self.images_embedded = 0
        self.texts_embedded = 0
        self._broken = broken

    def embed_images(
        self, pictures: Sequence[ModelPicture], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Return a unit vector of shape (768,) for each picture, made from its bytes."""
        self.images_embedded += len(pictures)
        advanced(len(pictures))
        return [direction(bytes(picture), IMAGE_WIDTH) for picture in pictures]

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Return a unit vector of shape (1024,) for each text; `query` makes no difference."""
        del query
        self.texts_embedded += len(texts)
        advanced(len(texts))
        return [self._embed_text(text) for text in texts]

    def close(self) -> None:
        """Do nothing, because there are no resources to release."""

    def _embed_text(self, text: str) -> Vector | Failure:
        if text in self._broken:
            return Failure(stage=Stage.TEXT, kind="model_error", message="broken on purpose")
        return direction(text.encode("utf-8", "replace"), TEXT_WIDTH)


class MemoryFetcher:
    """Implements `backfill.ports.ImageFetcher`. `pictures` has pixels, or a failure, by address.

    Every other address fails with `http_404`.
    """

    def __init__(self, pictures: dict[str, Pixels | Failure]) -> None:
        self._pictures = pictures

    def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        """Return the products in order, with all their pictures.

        A product whose image is kept has no pictures.
        """
        return [self._fetched(product) for product in page]

    def close(self) -> None:
        """Do nothing, because there are no resources to release."""

    def _fetched(self, product: Product) -> FetchedProduct:
        urls = () if product.image_need is Need.KEEP else product.image_urls
        found = [self._picture(url) for url in urls]
        outcomes = [_unless_known(one, product.files) for one in found]
        return fetched_product(product, outcomes if stays(product, outcomes) else found)

    def _picture(self, url: str) -> Picture | Failure:
        found = self._pictures.get(url)
        if found is None:
            return Failure(stage=Stage.FETCH, kind="http_404", message=f"{url}: not found")
        if isinstance(found, Failure):
            return found
        content_hash = hashlib.sha256(found.tobytes()).hexdigest()
        file = PictureFile(url=url, content_hash=content_hash)
        return Picture(file=file, pixels=found)


class MemoryCatalog:
    """Implements `backfill.ports.Catalog` on a list of products; a `MemoryStore` tells what is due.

    Of the fields of a selection it supports `products`, `variants`, `owner`, `missing`,
    `skip_existing`, `retry_failed`, `only_failed` with `kinds` and `hosts`, and `refetch`.
    """

    def __init__(self, products: Sequence[Product], store: MemoryStore) -> None:
        self.products = list(products)
        self._store = store

    def check(self) -> None:
        """Do nothing, because nothing can be missing."""

    def remember(self) -> None:
        """Do nothing, because no column can go."""

    def forget(self) -> None:
        """Do nothing, because no column can go."""

    def due(self, selection: Selection) -> Due:
        """Count the products that `pages` would return."""
        due = self._due(selection)
        return Due(
            products=len(due),
            with_picture=sum(bool(product.image_urls) for product in due),
            with_text=sum(_has_text(product) for product in due),
            with_neither=sum(not product.image_urls and not _has_text(product) for product in due),
            with_image=sum(product.image_need is Need.CHECK for product in due),
            selected=len(self._selected(selection)),
            lost=_lost(due),
        )

    def partition(self, selection: Selection, size: int, limit: int | None = None) -> Partitioning:
        """Divide the products that are due into ranges of `size` products, up to `limit` in all."""
        selected = self._selected(selection)
        due = self._due(selection)
        ids = [product.id for product in due]
        ends: list[str | None] = list(ids[: limit or None][size - 1 :: size])
        if limit is None or limit > len(ids):
            ends = [*ends[: (len(ids) - 1) // size], None] if ids else []
        elif ids[limit - 1] not in ends:
            ends.append(ids[limit - 1])
        starts = [None, *ends][: len(ends)]
        ranges = (KeyRange(after=a, last=b) for a, b in zip(starts, ends, strict=True))
        return Partitioning(
            due=len(ids), selected=len(selected), ranges=tuple(ranges), lost=_lost(due)
        )

    def pages(
        self, selection: Selection, size: int, within: KeyRange = WHOLE
    ) -> Iterator[list[Product]]:
        """Yield pages of `size` products each: those that are due, in the order of their ids."""
        after, last = within.after, within.last
        due = [
            product
            for product in self._due(selection)
            if (after is None or product.id > after) and (last is None or product.id <= last)
        ]
        for start in range(0, len(due), size):
            yield due[start : start + size]

    def _selected(self, selection: Selection) -> list[Product]:
        return [
            product
            for product in self.products
            if selection.owner in (None, product.owner_id)
            and (not selection.products or product.id in selection.products)
            and (not selection.variants or product.id in selection.variants)
        ]

    def _due(self, selection: Selection) -> list[Product]:
        due = [p for p in self._selected(selection) if self._is_due(p, selection)]
        return sorted((self._with_needs(p, selection) for p in due), key=lambda p: p.id)

    def _is_due(self, product: Product, selection: Selection) -> bool:
        row = self._store.rows.get(product.id)
        if selection.missing is not None:
            has_content = {"image": bool(product.image_urls), "text": _has_text(product)}
            possible = has_content.get(selection.missing, any(has_content.values()))
            return possible and (row is None or getattr(row, selection.missing) is None)
        if not selection.skip_existing:
            return True
        failures = self._store.failures.get(product.id, {}).values()
        if selection.only_failed:
            return any(_is_selected(failed.failure, selection) for failed in failures)
        if any(self._lacks(product, modality) for modality in STAGES):
            return True
        is_tried = product.source_hash in {failed.source_hash for failed in failures}
        if row is not None:
            is_tried = product.source_hash == row.product.source_hash
        if selection.refetch and self._files(product):
            return True
        is_again = any(self._is_again(product, modality, selection) for modality in STAGES)
        return is_again or not is_tried

    def _lacks(self, product: Product, modality: ContentModality) -> bool:
        """Return whether content has no current vector, and no failure explains why."""
        has_content = bool(product.image_urls) if modality == "image" else _has_text(product)
        return has_content and not (
            self._store.is_current(product, modality) or self._store.has_failed(product, modality)
        )

    def _with_needs(self, product: Product, selection: Selection) -> Product:
        product = replace(
            product,
            has_text=_has_text(product),
            stored_image=self._store.stored(product, "image"),
            stored_text=self._store.stored(product, "text"),
        )
        is_new = product.id not in self._store.rows
        if not selection.skip_existing:
            return replace(product, is_new=is_new)
        files = self._files(product)
        again = self._is_again(product, "image", selection)
        may_check = bool(files) and (again or selection.refetch)
        need = self._store.need(product, "image", again=again, may_check=may_check)
        return replace(
            product,
            is_new=is_new,
            image_need=need,
            text_need=self._store.need(
                product, "text", again=self._is_again(product, "text", selection)
            ),
            files=files if need is Need.CHECK else (),
        )

    def _files(self, product: Product) -> tuple[PictureFile, ...]:
        """Return the files that the stored image was made from; `()` if it is not current."""
        row = self._store.rows.get(product.id)
        return row.files if row and self._store.is_current(product, "image") else ()

    def _is_again(self, product: Product, modality: ContentModality, selection: Selection) -> bool:
        """Return whether this content failed and is to be tried again now.

        Only an explicit request causes a retry, because this fake has no clock.
        """
        is_asked_for = selection.retry_failed or selection.missing in (modality, "combined")
        failures = self._store.failures.get(product.id, {})
        can_help = any(
            stage in STAGES[modality] and not is_absence(failed.failure)
            for stage, failed in failures.items()
        )
        return is_asked_for and can_help and self._store.has_failed(product, modality)


def _unless_known(found: Picture | Failure, files: Sequence[PictureFile]) -> Outcome:
    """Return the file of a picture if it is among `files`, else the picture or failure itself."""
    file = found.file if isinstance(found, Picture) else None
    return file if file is not None and file in files else found


def _is_selected(failure: Failure, selection: Selection) -> bool:
    return (
        not is_absence(failure)
        and (not selection.kinds or failure.kind in selection.kinds)
        and (not selection.hosts or failure.host in selection.hosts)
    )


def _lost(due: Sequence[Product]) -> VectorCounts:
    """Count the stored vectors whose products have no such content any more."""
    image = [p for p in due if p.stored_image is not Stored.NONE and not p.image_urls]
    text = [p for p in due if p.stored_text is not Stored.NONE and not _has_text(p)]
    neither = [
        p
        for p in due
        if {p.stored_image, p.stored_text} != {Stored.NONE}
        and not p.image_urls
        and not _has_text(p)
    ]
    return VectorCounts(image=len(image), text=len(text), combined=len(neither))


def _has_text(product: Product) -> bool:
    return bool((product.title + product.description).strip())
