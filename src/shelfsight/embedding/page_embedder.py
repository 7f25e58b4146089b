"""From a page of products and pictures to a page of products with vectors."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from shelfsight.embedding.embedding_cache import EmbeddingCache, Result, Results, wait_for
from shelfsight.embedding.text import product_text
from shelfsight.fusion import mean_of
from shelfsight.ports import Embedder, Fusion
from shelfsight.records import (
    NO_CONTENT,
    EmbeddedProduct,
    Failure,
    FetchedProduct,
    KnownPicture,
    Need,
    Picture,
    PictureFile,
    Pixels,
    Product,
    Vector,
)

CACHED_PICTURES = 8192
"""Picture results kept for later pages: 25 MB. The fetcher remembers as many addresses."""

CACHED_TEXTS = 2_000
"""Text results kept for later pages: 8 MB."""


class PageEmbedder:
    """Embeds each picture and each text once, then fuses them. Thread-safe.

    It owns the results, vectors and failures, by content hash: pixels are needed for the first
    page with a picture only, and are let go after it. `advanced` is called with the number of
    products of every page that is done.
    """

    def __init__(self, embedder: Embedder, fusion: Fusion, advanced: Callable[[int], None]) -> None:
        self._fusion = fusion
        self._advanced = advanced
        self._pictures = EmbeddingCache[Pixels]("pictures", embedder.embed_images, CACHED_PICTURES)
        self._texts = EmbeddingCache[str]("texts", embedder.embed_texts, CACHED_TEXTS)

    def embed(self, page: Sequence[FetchedProduct]) -> list[EmbeddedProduct]:
        """Give each product up to three vectors; what fails for one fails for it alone.

        A text that is not needed is not embedded; an image that is not needed has no pictures.
        """
        texts = [_text(item.product) for item in page]
        known = _known_results(page)
        pictures = self._pictures.start(_unknown_pixels(page, known))
        text_results = wait_for(self._texts.start({_key(text): text for text in texts if text}))
        picture_results = known | wait_for(pictures)
        embedded = [
            self._fuse(item, text, text_results.get(_key(text)), picture_results)
            for item, text in zip(page, texts, strict=True)
        ]
        self._advanced(len(page))
        return embedded

    def picture_result(self, content_hash: str) -> Vector | Failure | None:
        """What came of embedding a picture's file in an earlier page; None if not known."""
        return self._pictures.get(content_hash)

    def close(self) -> None:
        """End the threads."""
        self._pictures.close()
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
        is_whole = not item.product.kept_stages
        if image is None and text_result is None and not failures and is_whole:
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


def _unknown_pixels(page: Sequence[FetchedProduct], known: Results) -> dict[str, Pixels]:
    """The pixels to embed, by content hash: equal files are embedded once."""
    return {
        picture.file.content_hash: picture.pixels
        for item in page
        for picture in item.pictures
        if isinstance(picture, Picture) and picture.file.content_hash not in known
    }


def _text(product: Product) -> str:
    is_kept = product.text_need is Need.KEEP
    return "" if is_kept else product_text(product.title, product.description)


def _key(text: str) -> str:
    """A short key for a text that may have 131,072 characters."""
    return sha256(text.encode()).hexdigest()
