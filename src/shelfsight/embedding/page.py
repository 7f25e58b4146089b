"""From a page of products and pictures to a page of products with vectors."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from shelfsight.embedding.fusion import mean_of
from shelfsight.embedding.text import product_text
from shelfsight.records import NO_CONTENT, Embedded, Failure, Picture, Pictured, Product, Vector
from shelfsight.seams import Embedder, Fusion

CHUNK = 64
"""Products embedded before the progress moves: a few batches for either model."""


class PageEmbedder:
    """Embeds each picture and each text once, then fuses; `advanced` hears of every chunk."""

    def __init__(self, embedder: Embedder, fusion: Fusion, advanced: Callable[[int], None]) -> None:
        self._embedder = embedder
        self._fusion = fusion
        self._advanced = advanced
        self._texts = ThreadPoolExecutor(1, thread_name_prefix="embed texts")

    def embed(self, page: Sequence[Pictured]) -> list[Embedded]:
        """Give each product up to three vectors; what fails for one fails for it alone.

        A text that is not needed is not embedded; an image that is not needed has no pictures.
        """
        embedded: list[Embedded] = []
        for start in range(0, len(page), CHUNK):
            chunk = page[start : start + CHUNK]
            embedded += self._embed_chunk(chunk)
            self._advanced(len(chunk))
        return embedded

    def close(self) -> None:
        """End the thread of the text model."""
        self._texts.shutdown()

    def _embed_chunk(self, chunk: Sequence[Pictured]) -> list[Embedded]:
        texts = [_text(item.product) for item in chunk]
        text_vectors = self._texts.submit(self._embed_texts, texts)
        failed_pictures = self._embed_pictures(chunk)
        return [
            self._fuse(item, text, vector, failed_pictures)
            for item, text, vector in zip(chunk, texts, text_vectors.result(), strict=True)
        ]

    def _embed_texts(self, texts: Sequence[str]) -> list[Vector | Failure | None]:
        """Embed what there is, equal texts once; None where there is no text."""
        unique = list(dict.fromkeys(text for text in texts if text))
        vectors = self._embedder.embed_texts(unique) if unique else []
        found: dict[str, Vector | Failure] = dict(zip(unique, vectors, strict=True))
        return [found.get(text) for text in texts]

    def _embed_pictures(self, chunk: Sequence[Pictured]) -> dict[str, Failure]:
        """Give each new picture its vector, equal files once; the failures by content hash."""
        new: dict[str, list[Picture]] = {}
        for item in chunk:
            for picture in item.pictures:
                if picture.vector is None:
                    new.setdefault(picture.content_hash, []).append(picture)
        pixels = [same[0].pixels for same in new.values()]
        results = self._embedder.embed_images([p for p in pixels if p is not None])
        failures: dict[str, Failure] = {}
        for (content_hash, same), result in zip(new.items(), results, strict=True):
            if isinstance(result, Failure):
                failures[content_hash] = result
                continue
            for picture in same:
                picture.vector, picture.pixels = result, None
        return failures

    def _fuse(
        self,
        item: Pictured,
        text: str,
        text_result: Vector | Failure | None,
        failed_pictures: dict[str, Failure],
    ) -> Embedded:
        failures = list(item.failures)
        failures += [
            failed_pictures[picture.content_hash]
            for picture in item.pictures
            if picture.vector is None
        ]
        if isinstance(text_result, Failure):
            failures.append(text_result)
            text_result = None
        usable = [picture for picture in item.pictures if picture.vector is not None]
        image = mean_of([picture.vector for picture in usable if picture.vector is not None])
        is_whole = item.product.needs_image and item.product.needs_text
        if image is None and text_result is None and not failures and is_whole:
            failures.append(NO_CONTENT)
        return Embedded(
            product=item.product,
            image=image,
            text=text_result,
            combined=self._fusion.combine(image, text_result),
            text_used=text,
            picture=usable[0] if usable else None,
            failures=tuple(failures),
        )


def _text(product: Product) -> str:
    return product_text(product.title, product.description) if product.needs_text else ""
