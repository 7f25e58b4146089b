"""Turns a page of products with pictures into a page of products with vectors."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256

import numpy as np

from shelfsight.backfill.failure_kinds import is_absence
from shelfsight.embedding.embedding_cache import EmbeddingCache, Result, Results, wait_for
from shelfsight.embedding.text import text_of
from shelfsight.fusion import mean_of
from shelfsight.models.color_histogram import color_histograms
from shelfsight.ports import Embedder, Fusion
from shelfsight.records import (
    EMPTY_TEXT,
    NO_CONTENT,
    ContentModality,
    EmbeddedProduct,
    Failure,
    FetchedProduct,
    KnownPicture,
    ModelPicture,
    Need,
    Picture,
    PictureFile,
    Pixels,
    Product,
    Vector,
)

CACHED_PICTURES = 8192
"""How many results of pictures are kept for later pages: 33 MB with their colours. The fetcher
remembers as many addresses."""

CACHED_TEXTS = 2_000
"""How many results of texts are kept for later pages: 8 MB."""

Embedded = Callable[[ContentModality, int], None]
"""Called with how many more pictures or texts are embedded, from any thread."""


class PageEmbedder:
    """Embeds each picture and each text once, then combines them. Several threads may use it.

    The results (vectors and failures) are kept by content hash. So pixels are needed only for the
    first page that has a picture, and are freed after it. `embedded` is called with the number of
    pictures and texts as they are embedded.
    """

    def __init__(
        self,
        embedder: Embedder,
        fusion: Fusion,
        embedded: Embedded = lambda *_: None,
    ) -> None:
        self._fusion = fusion
        embed_images = partial(embedder.embed_images, advanced=partial(embedded, "image"))
        embed_texts = partial(embedder.embed_texts, advanced=partial(embedded, "text"))
        self._pictures = EmbeddingCache[ModelPicture]("pictures", embed_images, CACHED_PICTURES)
        self._colors = EmbeddingCache[Pixels]("colours", color_histograms, CACHED_PICTURES)
        self._texts = EmbeddingCache[str]("texts", embed_texts, CACHED_TEXTS)

    def embed(self, page: Sequence[FetchedProduct]) -> list[EmbeddedProduct]:
        """Return the products with up to three vectors each: image, text and combined.

        What fails for a product does not affect other products. If a text vector is not needed, the
        text is not embedded. If an image vector is not needed, the product comes without pictures.
        """
        texts = [_text(item.product) for item in page]
        known = _known_results(page)
        new = _unknown_pictures(page, known)
        pictures = self._pictures.start({key: _for_model(one) for key, one in new.items()})
        new_colors = self._colors.start({key: one.pixels for key, one in new.items()})
        text_results = wait_for(self._texts.start({_key(text): text for text in texts if text}))
        colors = _known_colors(page) | wait_for(new_colors)
        picture_results = known | wait_for(pictures)
        return [
            replace(
                self._fuse(item, text, text_results.get(_key(text)), picture_results),
                color=_color(item, picture_results, colors),
            )
            for item, text in zip(page, texts, strict=True)
        ]

    def known_picture(self, file: PictureFile) -> KnownPicture | None:
        """Return a picture whose file an earlier page embedded; None if it is not known."""
        result = self._pictures.get(file.content_hash)
        color = self._colors.get(file.content_hash)
        if result is None or not isinstance(color, np.ndarray):
            return None
        return KnownPicture(file=file, result=result, color=color)

    def close(self) -> None:
        """End the threads that embed."""
        self._pictures.close()
        self._colors.close()
        self._texts.close()

    def _fuse(
        self, item: FetchedProduct, text: str, text_result: Result | None, picture_results: Results
    ) -> EmbeddedProduct:
        failures = list(item.failures)
        vectors: list[Vector] = []
        files: list[PictureFile] = []
        for picture in item.pictures:
            result = picture_results[picture.file.content_hash]
            if isinstance(result, Failure):
                failures.append(result)
            else:
                vectors.append(result)
                files.append(picture.file)
        if isinstance(text_result, Failure):
            failures.append(text_result)
            text_result = None
        image = mean_of(vectors)
        if item.product.has_text and not text and item.product.text_need is not Need.KEEP:
            failures.append(EMPTY_TEXT)
        is_whole = not item.product.kept_stages
        is_empty = all(map(is_absence, failures))
        if image is None and text_result is None and is_empty and is_whole:
            failures.append(NO_CONTENT)
        return EmbeddedProduct(
            product=item.product,
            image=image,
            text=text_result,
            combined=self._fusion.combine(image, text_result),
            text_used=text,
            picture=files[0] if files else None,
            failures=tuple(failures),
            files=item.kept or tuple(files),
        )


def _known_results(page: Sequence[FetchedProduct]) -> Results:
    return {
        picture.file.content_hash: picture.result
        for item in page
        for picture in item.pictures
        if isinstance(picture, KnownPicture)
    }


def _known_colors(page: Sequence[FetchedProduct]) -> Results:
    return {
        picture.file.content_hash: picture.color
        for item in page
        for picture in item.pictures
        if isinstance(picture, KnownPicture)
    }


def _color(item: FetchedProduct, results: Results, colors: Results) -> Vector | None:
    """Return the mean histogram of the pictures that have a vector."""
    hashes = [picture.file.content_hash for picture in item.pictures]
    used = [colors[one] for one in hashes if not isinstance(results[one], Failure)]
    return mean_of([color for color in used if not isinstance(color, Failure)])


def _unknown_pictures(page: Sequence[FetchedProduct], known: Results) -> dict[str, Picture]:
    """Return the pictures to embed, by content hash, so that equal files are embedded only once."""
    return {
        picture.file.content_hash: picture
        for item in page
        for picture in item.pictures
        if isinstance(picture, Picture) and picture.file.content_hash not in known
    }


def _for_model(picture: Picture) -> ModelPicture:
    return picture.pixels if picture.sent is None else picture.sent


def _text(product: Product) -> str:
    is_kept = product.text_need is Need.KEEP
    return "" if is_kept else text_of(product)


def _key(text: str) -> str:
    """Return a short key for a text, which may have up to 131,072 characters."""
    return sha256(text.encode()).hexdigest()
