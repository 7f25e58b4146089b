"""From a page of products and pictures to a page of products with vectors."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from shelfsight.embedding.fusion import mean_of
from shelfsight.embedding.text import product_text
from shelfsight.records import NO_CONTENT, Embedded, Failure, Picture, Pictured, Product, Vector
from shelfsight.seams import Embedder, Fusion

CHUNK = 64
"""Products embedded before the progress moves: a few batches for either model."""

AT_ONCE = 2
"""Chunks of either kind under way: a server that is done with one has the next already."""

Results = dict[str, Vector | Failure]
EmbedKeys = Callable[[Sequence[str]], Results]


class PageEmbedder:
    """Embeds each picture and each text once, then fuses; `advanced` hears of every chunk."""

    def __init__(self, embedder: Embedder, fusion: Fusion, advanced: Callable[[int], None]) -> None:
        self._embedder = embedder
        self._fusion = fusion
        self._advanced = advanced
        self._pictures = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="embed pictures")
        self._texts = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="embed texts")

    def embed(self, page: Sequence[Pictured]) -> list[Embedded]:
        """Give each product up to three vectors; what fails for one fails for it alone.

        A text that is not needed is not embedded; an image that is not needed has no pictures.
        """
        chunks = [page[start : start + CHUNK] for start in range(0, len(page), CHUNK)]
        new = _without_vector(page)
        hashes = [[one.content_hash for item in chunk for one in item.pictures] for chunk in chunks]
        texts = [[_text(item.product) for item in chunk] for chunk in chunks]
        of_hash, of_text = Results(), Results()
        embedded: list[Embedded] = []
        images_begun = _begin(self._pictures, partial(self._embed_pictures, new), hashes)
        texts_begun = _begin(self._texts, self._embed_texts, texts)
        try:
            for chunk, own, images, words in zip(
                chunks, texts, images_begun, texts_begun, strict=True
            ):
                of_hash |= images.result()
                of_text |= words.result()
                embedded += [
                    self._fuse(item, text, of_text.get(text), of_hash)
                    for item, text in zip(chunk, own, strict=True)
                ]
                self._advanced(len(chunk))
        finally:
            for future in (*images_begun, *texts_begun):
                future.cancel()
        return embedded

    def close(self) -> None:
        """End the threads."""
        self._pictures.shutdown()
        self._texts.shutdown()

    def _embed_texts(self, texts: Sequence[str]) -> Results:
        told = [text for text in texts if text]
        vectors = self._embedder.embed_texts(told) if told else []
        return dict(zip(told, vectors, strict=True))

    def _embed_pictures(
        self, new: Mapping[str, Sequence[Picture]], hashes: Sequence[str]
    ) -> Results:
        """Give each new picture its vector, equal files once."""
        wanted = [same for one in hashes if (same := new.get(one))]
        pixels = [same[0].pixels for same in wanted]
        results = self._embedder.embed_images([p for p in pixels if p is not None])
        for same, result in zip(wanted, results, strict=True):
            if not isinstance(result, Failure):
                for picture in same:
                    picture.vector, picture.pixels = result, None
        return {same[0].content_hash: r for same, r in zip(wanted, results, strict=True)}

    def _fuse(
        self,
        item: Pictured,
        text: str,
        text_result: Vector | Failure | None,
        of_hash: Results,
    ) -> Embedded:
        tried = [of_hash.get(picture.content_hash) for picture in item.pictures]
        failures = [*item.failures, *(one for one in tried if isinstance(one, Failure))]
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


def _begin(
    pool: ThreadPoolExecutor, embed: EmbedKeys, chunks: Iterable[Iterable[str]]
) -> list[Future[Results]]:
    """Have the keys of each chunk embedded that no chunk before it has."""
    seen: set[str] = set()
    futures = []
    for chunk in chunks:
        first = [key for key in dict.fromkeys(chunk) if key not in seen]
        seen.update(first)
        futures.append(pool.submit(embed, first))
    return futures


def _without_vector(page: Sequence[Pictured]) -> dict[str, list[Picture]]:
    """All pictures that have none yet, by content."""
    new: dict[str, list[Picture]] = {}
    for item in page:
        for picture in item.pictures:
            if picture.vector is None:
                new.setdefault(picture.content_hash, []).append(picture)
    return new


def _text(product: Product) -> str:
    return product_text(product.title, product.description) if product.needs_text else ""
