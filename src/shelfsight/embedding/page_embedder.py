"""From a page of products and pictures to a page of products with vectors."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

from shelfsight.embedding.text import product_text
from shelfsight.fusion import mean_of
from shelfsight.ports import Embedder, Fusion
from shelfsight.records import (
    NO_CONTENT,
    EmbeddedProduct,
    Failure,
    FetchedProduct,
    Need,
    Picture,
    Product,
    Vector,
)

AT_ONCE = 2
"""Pages of which either kind is under way: a server that is done with one has the next already."""

RECENT = 2_000
"""Vectors of either kind that are kept for what is equal in later pages: 14 MB in all."""

Item = TypeVar("Item")
Results = dict[str, Vector | Failure]


class PageEmbedder:
    """Embeds each picture and each text once, then fuses; `advanced` hears of every page.

    Several threads may embed pages at the same time: what two of them have in common is embedded
    for one of them.
    """

    def __init__(self, embedder: Embedder, fusion: Fusion, advanced: Callable[[int], None]) -> None:
        self._embedder = embedder
        self._fusion = fusion
        self._advanced = advanced
        self._pictures = _Kind("pictures", self._embed_pictures, _is_new)
        self._texts = _Kind("texts", self._embed_texts, bool)

    def embed(self, page: Sequence[FetchedProduct]) -> list[EmbeddedProduct]:
        """Give each product up to three vectors; what fails for one fails for it alone.

        A text that is not needed is not embedded; an image that is not needed has no pictures.
        """
        texts = [_text(item.product) for item in page]
        pictures = _by_content(page)
        images_begun = self._pictures.begin(pictures)
        of_text = _results(self._texts.begin({text: text for text in texts}))
        of_hash = _results(images_begun)
        for content_hash, same in pictures.items():
            _share(same, of_hash.get(content_hash))
        embedded = [
            self._fuse(item, text, of_text.get(text), of_hash)
            for item, text in zip(page, texts, strict=True)
        ]
        self._advanced(len(page))
        return embedded

    def close(self) -> None:
        """End the threads."""
        self._pictures.close()
        self._texts.close()

    def _embed_pictures(self, new: Mapping[str, Sequence[Picture]]) -> Results:
        """One vector for the pictures of each file, which they have before any page looks again.

        One that shares a picture with another page may have its vector, and no pixels, by now.
        """
        pixels = {key: same[0].pixels for key, same in new.items()}
        shown = {key: one for key, one in pixels.items() if one is not None}
        results = _by_key(shown, self._embedder.embed_images([*shown.values()]) if shown else [])
        for key, result in results.items():
            _share(new[key], result)
        return results

    def _embed_texts(self, new: Mapping[str, str]) -> Results:
        return _by_key(new, self._embedder.embed_texts([*new.values()]))

    def _fuse(
        self,
        item: FetchedProduct,
        text: str,
        text_result: Vector | Failure | None,
        of_hash: Results,
    ) -> EmbeddedProduct:
        tried = [of_hash.get(picture.content_hash) for picture in item.pictures]
        failures = [*item.failures, *(one for one in tried if isinstance(one, Failure))]
        if isinstance(text_result, Failure):
            failures.append(text_result)
            text_result = None
        usable = [picture for picture in item.pictures if picture.vector is not None]
        image = mean_of([picture.vector for picture in usable if picture.vector is not None])
        is_whole = not item.product.kept_stages
        if image is None and text_result is None and not failures and is_whole:
            failures.append(NO_CONTENT)
        return EmbeddedProduct(
            product=item.product,
            image=image,
            text=text_result,
            combined=self._fusion.combine(image, text_result),
            text_used=text,
            picture=usable[0] if usable else None,
            failures=tuple(failures),
            files=item.files,
        )


class _Kind(Generic[Item]):
    """Pictures or texts: each is embedded once for all pages that want it within a while."""

    def __init__(
        self,
        name: str,
        embed: Callable[[Mapping[str, Item]], Results],
        is_needed: Callable[[Item], bool],
    ) -> None:
        self._embed = embed
        self._is_needed = is_needed
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"embed {name}")
        self._begun: dict[str, Future[Results]] = {}
        self._recent: OrderedDict[str, Vector] = OrderedDict()
        self._lock = Lock()

    def begin(self, wanted: Mapping[str, Item]) -> list[Future[Results]]:
        """Have what is needed embedded, unless it is under way: what gives all results, by key."""
        with self._lock:
            needed = {key: item for key, item in wanted.items() if self._is_needed(item)}
            known = {key: self._recent[key] for key in needed if key in self._recent}
            new = {
                key: item
                for key, item in needed.items()
                if key not in known and key not in self._begun
            }
            if new:
                self._begun |= dict.fromkeys(new, self._pool.submit(self._results, new))
            under_way = dict.fromkeys(self._begun[key] for key in needed if key not in known)
            return [_done(known), *under_way]

    def close(self) -> None:
        """End the threads; one that waits for a server ends when its embedder is closed."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _results(self, new: Mapping[str, Item]) -> Results:
        results: Results = {}
        try:
            results = self._embed(new)
            return results
        finally:
            with self._lock:
                for key in new:
                    del self._begun[key]
                self._keep(results)

    def _keep(self, results: Results) -> None:
        for key, result in results.items():
            if not isinstance(result, Failure):
                self._recent[key] = result
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)


def _done(results: Mapping[str, Vector]) -> Future[Results]:
    future: Future[Results] = Future()
    future.set_result(dict(results))
    return future


def _by_key(items: Mapping[str, object], results: list[Vector | Failure]) -> Results:
    return dict(zip(items, results, strict=True))


def _results(begun: Sequence[Future[Results]]) -> Results:
    return {key: result for future in begun for key, result in future.result().items()}


def _by_content(page: Sequence[FetchedProduct]) -> dict[str, list[Picture]]:
    """The pictures of a page, those of equal files together."""
    found: dict[str, list[Picture]] = {}
    for item in page:
        for picture in item.pictures:
            found.setdefault(picture.content_hash, []).append(picture)
    return found


def _is_new(same: Sequence[Picture]) -> bool:
    return all(picture.vector is None for picture in same)


def _share(same: Sequence[Picture], result: Vector | Failure | None) -> None:
    """Let equal pictures have the vector that there is, and let go of their pixels."""
    vectors = [picture.vector for picture in same if picture.vector is not None]
    if not isinstance(result, Failure) and result is not None:
        vectors.append(result)
    if vectors:
        for picture in same:
            picture.vector, picture.pixels = vectors[0], None


def _text(product: Product) -> str:
    is_kept = product.text_need is Need.KEEP
    return "" if is_kept else product_text(product.title, product.description)
