"""A shop, a fetcher, models and a store that live in memory."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from shelfsight.errors import ModelMismatchError
from shelfsight.records import (
    IMAGE_WIDTH,
    TEXT_WIDTH,
    Due,
    Embedded,
    Failure,
    ModelPair,
    Picture,
    Pictured,
    PictureFormat,
    Pixels,
    Product,
    Selection,
    Stage,
    Vector,
)
from shelfsight.runs import WHOLE, Cut, KeyRange, Mark
from shelfsight.seams import Fusion

MODELS = ModelPair(image="hashed-pixels@1", text="hashed-words@1")


def direction(seed: bytes, width: int) -> Vector:
    """A unit vector (width,) that stands for these bytes: equal bytes, equal vectors."""
    words = np.frombuffer(hashlib.sha256(seed).digest(), np.uint32)
    vector = np.random.default_rng(words).standard_normal(width, np.float32)
    return vector / np.linalg.norm(vector)


class HashEmbedder:
    """`seams.Embedder` at once: a vector is drawn from the content's hash.

    `broken` holds texts that give a failure.
    """

    def __init__(self, *, models: ModelPair = MODELS, broken: frozenset[str] = frozenset()) -> None:
        self.models = models
        self.picture_format = PictureFormat(side=8, resample="bilinear")
        self.images_embedded = 0
        self.texts_embedded = 0
        self._broken = broken

    def embed_images(self, pictures: Sequence[Pixels]) -> list[Vector | Failure]:
        """Unit vectors (768,) of the pixels' bytes."""
        self.images_embedded += len(pictures)
        return [direction(pixels.tobytes(), IMAGE_WIDTH) for pixels in pictures]

    def embed_texts(self, texts: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        """Unit vectors (1024,) of the texts' characters; `query` makes no difference."""
        del query
        self.texts_embedded += len(texts)
        return [self._embed_text(text) for text in texts]

    def close(self) -> None:
        """Nothing to let go of."""

    def _embed_text(self, text: str) -> Vector | Failure:
        if text in self._broken:
            return Failure(stage=Stage.TEXT, kind="model_error", message="broken on purpose")
        return direction(text.encode("utf-8", "replace"), TEXT_WIDTH)


class MemoryFetcher:
    """`seams.ImageFetcher` over pictures handed in: pixels, or a failure, by address.

    An address that is not there gives `http_404`.
    """

    def __init__(self, pictures: dict[str, Pixels | Failure]) -> None:
        self._pictures = pictures
        self._seen: dict[str, Picture] = {}

    def fetch(self, page: Sequence[Product]) -> list[Pictured]:
        """The products in order, each with all its pictures."""
        return [self._pictured(product) for product in page]

    def close(self) -> None:
        """Nothing to let go of."""

    def _pictured(self, product: Product) -> Pictured:
        results = [self._picture(url) for url in product.image_urls]
        return Pictured(
            product=product,
            pictures=tuple(result for result in results if isinstance(result, Picture)),
            failures=tuple(result for result in results if isinstance(result, Failure)),
        )

    def _picture(self, url: str) -> Picture | Failure:
        found = self._pictures.get(url)
        if found is None:
            return Failure(stage=Stage.FETCH, kind="http_404", message=f"{url}: not found")
        if isinstance(found, Failure):
            return found
        content_hash = hashlib.sha256(found.tobytes()).hexdigest()
        return self._seen.setdefault(url, Picture(url, content_hash, found))


class MemoryStore:
    """`seams.VectorStore` in dictionaries by product id."""

    def __init__(self, fusion: Fusion) -> None:
        self.rows: dict[str, Embedded] = {}
        self.failures: dict[str, Embedded] = {}
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
        self, page: list[Embedded], models: ModelPair, mark: Mark | None = None
    ) -> list[Embedded]:
        """Keep a page, and hand it on, unless its lease is lost."""
        if mark is not None and mark.lease.lost:
            return []
        self.models = models
        for item in page:
            self._save(self._kept(item))
        if mark is not None and mark.is_last:
            mark.lease.ended.set()
        return page

    def recombine(self) -> int:
        """Fuse again what other weights fused; gives how many."""
        old = [id_ for id_ in self.rows if self.fused_by[id_] != self._fusion.name]
        for id_ in old:
            row = self.rows[id_]
            combined = self._fusion.combine(row.image, row.text)
            self.rows[id_] = replace(row, combined=combined)
            self.fused_by[id_] = self._fusion.name
        return len(old)

    def _save(self, item: Embedded) -> None:
        id_ = item.product.id
        if item.combined is None:
            self.rows.pop(id_, None)
        else:
            self.rows[id_] = item
            self.fused_by[id_] = self._fusion.name
        if item.failures:
            self.failures[id_] = item
        else:
            self.failures.pop(id_, None)

    def _kept(self, item: Embedded) -> Embedded:
        """With the stored vector in place of one that failed, if its content is the same."""
        old = self.rows.get(item.product.id)
        if old is None or not item.failures:
            return item
        text_part, image_part = old.product.source_hash.split(":")
        new_text_part, new_image_part = item.product.source_hash.split(":")
        failed_text = any(failure.stage is Stage.TEXT for failure in item.failures)
        failed_image = any(failure.stage is not Stage.TEXT for failure in item.failures)
        image, text = item.image, item.text
        if image is None and failed_image and image_part == new_image_part:
            image = old.image
        if text is None and failed_text and text_part == new_text_part:
            text = old.text
        return replace(item, image=image, text=text, combined=self._fusion.combine(image, text))


class MemoryCatalog:
    """`seams.Catalog` over a list of products, due as a `MemoryStore` tells.

    Selects by `products`, `owner`, `missing`, `skip_existing` and `retry_failed`.
    """

    def __init__(self, products: Sequence[Product], store: MemoryStore) -> None:
        self.products = list(products)
        self._store = store

    def due(self, selection: Selection) -> Due:
        """Count what `pages` would give."""
        due = self._due(selection)
        return Due(
            products=len(due),
            with_picture=sum(bool(product.image_urls) for product in due),
            with_text=sum(_has_text(product) for product in due),
            with_neither=sum(not product.image_urls and not _has_text(product) for product in due),
        )

    def cut(self, selection: Selection, size: int, limit: int | None = None) -> Cut:
        """Divide what is due into ranges of `size` products, up to `limit` of them."""
        ids = [product.id for product in self._due(selection)]
        ends: list[str | None] = list(ids[: limit or None][size - 1 :: size])
        if limit is None or limit > len(ids):
            ends = [*ends[: (len(ids) - 1) // size], None] if ids else []
        elif ids[limit - 1] not in ends:
            ends.append(ids[limit - 1])
        starts = [None, *ends][: len(ends)]
        ranges = (KeyRange(after=a, last=b) for a, b in zip(starts, ends, strict=True))
        return Cut(due=len(ids), ranges=tuple(ranges))

    def pages(
        self, selection: Selection, size: int, within: KeyRange = WHOLE
    ) -> Iterator[list[Product]]:
        """The products that are due, in order of their ids, `size` a page, the last shorter."""
        after, last = within.after, within.last
        due = [
            product
            for product in self._due(selection)
            if (after is None or product.id > after) and (last is None or product.id <= last)
        ]
        for start in range(0, len(due), size):
            yield due[start : start + size]

    def _due(self, selection: Selection) -> list[Product]:
        chosen = (
            product
            for product in self.products
            if selection.owner in (None, product.owner_id)
            and (not selection.products or product.id in selection.products)
        )
        return sorted((p for p in chosen if self._is_due(p, selection)), key=lambda p: p.id)

    def _is_due(self, product: Product, selection: Selection) -> bool:
        row = self._store.rows.get(product.id)
        if selection.missing is not None:
            has_content = {"image": bool(product.image_urls), "text": _has_text(product)}
            possible = has_content.get(selection.missing, any(has_content.values()))
            return possible and (row is None or getattr(row, selection.missing) is None)
        if not selection.skip_existing:
            return True
        failed = self._store.failures.get(product.id)
        same = failed is not None and failed.product.source_hash == product.source_hash
        again = same and failed is not None and selection.retry_failed and not failed.skipped
        if row is not None and row.product.source_hash == product.source_hash:
            return again
        return again or not same


def _has_text(product: Product) -> bool:
    return bool((product.title + product.description).strip())
