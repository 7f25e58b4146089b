"""A page of products becomes vectors; what fails for one fails for it alone."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Condition, Event, current_thread, main_thread

import numpy as np
import pytest

from shelfsight.embedding import page_embedder as page_module
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.fusion import WeightedMean, combine, mean_of
from shelfsight.records import (
    NO_CONTENT,
    Failure,
    FetchedProduct,
    Need,
    Picture,
    Pixels,
    Product,
    Stage,
    Vector,
    Weights,
)
from shelfsight.testing import HashEmbedder

BROKEN = Failure(stage=Stage.FETCH, kind="http_404", message="gone")


class FussyEmbedder(HashEmbedder):
    """Refuses black pictures."""

    def embed_images(self, pictures: list[Pixels]) -> list[Vector | Failure]:
        refused = Failure(stage=Stage.IMAGE, kind="server_422", message="too dark")
        vectors = super().embed_images(pictures)
        return [v if p.any() else refused for p, v in zip(pictures, vectors, strict=True)]


@pytest.fixture
def embedder() -> HashEmbedder:
    return FussyEmbedder(broken=frozenset({"Unspeakable"}))


@pytest.fixture
def pages(embedder: HashEmbedder) -> Iterator[PageEmbedder]:
    with closing(PageEmbedder(embedder, WeightedMean(Weights()), _ignore)) as pages:
        yield pages


class Begun:
    """The threads that have begun a page and wait for its results; not the main one."""

    def __init__(self) -> None:
        self._threads: set[object] = set()
        self._more = Condition()

    def note(self) -> None:
        with self._more:
            self._threads |= {current_thread()} - {main_thread()}
            self._more.notify_all()

    def wait_for(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self._threads) >= count, 30)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Begun:
    begun, results = Begun(), page_module._results

    def noted(futures: list) -> dict:
        begun.note()
        return results(futures)

    monkeypatch.setattr(page_module, "_results", noted)
    return begun


def _ignore(_products: int) -> None:
    """Hear, and do nothing."""


def picture(colour: int, url: str = "") -> Picture:
    return Picture(
        url or f"{colour}.png", f"hash of {colour}", np.full((8, 8, 3), colour, np.uint8)
    )


def product(
    title: str = "", *pictures: Picture, failures: tuple[Failure, ...] = ()
) -> FetchedProduct:
    urls = tuple(p.url for p in pictures)
    return FetchedProduct(
        product=Product(id=title or "untitled", title=title, image_urls=urls),
        pictures=pictures,
        failures=failures,
    )


def test_a_complete_product_gets_three_vectors(pages: PageEmbedder) -> None:
    (item,) = pages.embed([product("Mug", picture(1))])
    assert item.image is not None
    assert item.text is not None
    assert (item.image.shape, item.text.shape) == ((768,), (1024,))
    wanted = combine(item.image, item.text, Weights())
    np.testing.assert_array_equal(item.combined, wanted)
    assert item.text_used == "Mug"
    assert item.picture is not None
    assert (item.picture.url, item.failures) == ("1.png", ())


def test_one_side_alone_serves_as_combined(pages: PageEmbedder) -> None:
    text_only, image_only = pages.embed([product("Mug"), product("", picture(1))])
    assert text_only.image is None
    np.testing.assert_array_equal(text_only.combined, combine(None, text_only.text, Weights()))
    assert image_only.text is None
    np.testing.assert_array_equal(image_only.combined, image_only.image)


@pytest.mark.parametrize("title", ["", "   ", "<p>&nbsp;</p>", "\x00\u200b"])
def test_a_product_without_words_and_pictures_is_skipped(pages: PageEmbedder, title: str) -> None:
    (item,) = pages.embed([product(title)])
    assert item.skipped
    assert item.combined is None
    assert item.failures == (NO_CONTENT,)


def test_a_product_whose_picture_failed_keeps_its_text_and_the_failure(pages: PageEmbedder) -> None:
    item, textless = pages.embed([product("Mug", failures=(BROKEN,)), product(failures=(BROKEN,))])
    assert item.combined is not None
    assert item.failures == (BROKEN,)
    assert textless.combined is None
    assert not textless.skipped


def test_a_picture_and_a_text_that_the_models_refuse_fail_alone(pages: PageEmbedder) -> None:
    dark, mute, good = pages.embed(
        [
            product("Dark", picture(0)),
            product("Unspeakable", picture(1)),
            product("Mug", picture(2)),
        ]
    )
    assert dark.image is None
    assert [f.kind for f in dark.failures] == ["server_422"]
    assert dark.text is not None
    assert mute.text is None
    assert [f.stage for f in mute.failures] == [Stage.TEXT]
    assert mute.image is not None
    assert good.failures == ()


def test_several_pictures_give_their_mean_without_those_that_failed(
    pages: PageEmbedder, embedder: HashEmbedder
) -> None:
    (item,) = pages.embed([product("", picture(1), picture(0), picture(2))])
    one, two = (v for v in embedder.embed_images([picture(n).pixels for n in (1, 2)]))
    np.testing.assert_array_equal(item.image, mean_of([one, two]))
    assert [f.kind for f in item.failures] == ["server_422"]


def test_a_shared_picture_and_an_equal_text_are_embedded_once(
    pages: PageEmbedder, embedder: HashEmbedder
) -> None:
    shared = picture(1)
    same_file = picture(1, url="elsewhere/1.png")
    items = pages.embed([product("Mug", shared), product("Mug", shared), product("Mug", same_file)])
    again = pages.embed([product("Cap", shared)])
    assert embedder.images_embedded == 1
    assert embedder.texts_embedded == 2
    for item in [*items, *again]:
        np.testing.assert_array_equal(item.image, items[0].image)
    assert shared.pixels is None


def test_a_later_page_has_the_vectors_of_equal_files_and_texts_and_none_of_what_failed(
    pages: PageEmbedder, embedder: HashEmbedder
) -> None:
    (first,) = pages.embed([product("Mug", picture(1))])
    (later,) = pages.embed([product("Mug", copy := picture(1, url="copy of 1.png"))])
    assert (embedder.images_embedded, embedder.texts_embedded) == (1, 1)
    np.testing.assert_array_equal(later.combined, first.combined)
    assert copy.pixels is None
    for _ in range(2):
        (failed,) = pages.embed([product("Unspeakable", picture(0, url="black.png"))])
        assert [f.kind for f in failed.failures] == ["server_422", "model_error"]
    assert embedder.images_embedded == 3


def test_vectors_are_kept_for_so_many_files_and_texts_only(
    embedder: HashEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfsight.embedding.page_embedder.RECENT", 2)
    with closing(PageEmbedder(embedder, WeightedMean(Weights()), _ignore)) as pages:
        for title in ("Mug", "Cap", "Bag", "Cap", "Mug"):
            pages.embed([product(title)])
    assert embedder.texts_embedded == 4


def test_a_text_that_is_not_needed_is_not_embedded(
    pages: PageEmbedder, embedder: HashEmbedder
) -> None:
    unneeded = Product(id="1", title="Mug", image_urls=("1.png",), text_need=Need.KEEP)
    (item,) = pages.embed([FetchedProduct(product=unneeded, pictures=(picture(1),))])
    assert item.image is not None
    assert (item.text, item.text_used) == (None, "")
    assert (embedder.images_embedded, embedder.texts_embedded) == (1, 0)


def test_a_product_with_an_image_that_is_not_needed_is_not_taken_for_empty(
    pages: PageEmbedder,
) -> None:
    (item,) = pages.embed([FetchedProduct(product=Product(id="1", image_need=Need.KEEP))])
    assert not item.skipped


def test_progress_hears_of_every_product() -> None:
    heard: list[int] = []
    with closing(PageEmbedder(HashEmbedder(), WeightedMean(Weights()), heard.append)) as pages:
        items = pages.embed([product(f"Mug {n}") for n in range(50)])
    assert heard == [50]
    assert [item.product.title for item in items] == [f"Mug {n}" for n in range(50)]


def test_what_pages_that_are_embedded_at_the_same_time_share_is_embedded_once(begun: Begun) -> None:
    class Meeting(HashEmbedder):
        """Has the first picture, and the first text, under way until all pages are there."""

        def embed_images(self, pictures: Sequence[Pixels]) -> list[Vector | Failure]:
            assert all_there.wait(30)
            return super().embed_images(pictures)

        def embed_texts(
            self, texts: Sequence[str], *, query: bool = False
        ) -> list[Vector | Failure]:
            assert all_there.wait(30)
            return super().embed_texts(texts, query=query)

    all_there = Event()
    embedder = Meeting()
    same, copies = picture(1), [picture(1, f"copy {n}.png") for n in range(2)]
    asked = [[product("Mug", same)], [product("Mug", same)], *([product("Mug", c)] for c in copies)]
    with (
        closing(PageEmbedder(embedder, WeightedMean(Weights()), _ignore)) as pages,
        ThreadPoolExecutor(len(asked)) as threads,
    ):
        futures = [threads.submit(pages.embed, page) for page in asked]
        begun.wait_for(len(asked))
        all_there.set()
        items = [future.result()[0] for future in futures]
    assert (embedder.images_embedded, embedder.texts_embedded) == (1, 1)
    for item in items:
        np.testing.assert_array_equal(item.combined, items[0].combined)
    assert [p.pixels for p in (same, *copies)] == [None] * 3


def test_a_picture_that_has_a_vector_from_another_page_by_now_is_not_embedded(
    pages: PageEmbedder, begun: Begun
) -> None:
    """The second page shares one of its two equal pictures with the first, whose turn it is."""
    known, shared = picture(1, "known.png"), picture(1, "shared.png")
    pages.embed([product("Cap", known)])
    held = Event()

    class Held(FussyEmbedder):
        def embed_images(self, pictures: list[Pixels]) -> list[Vector | Failure]:
            assert held.wait(30)
            return super().embed_images(pictures)

    slow = Held()
    with (
        closing(PageEmbedder(slow, WeightedMean(Weights()), _ignore)) as others,
        ThreadPoolExecutor(3) as threads,
    ):
        before = [
            threads.submit(others.embed, [product("", picture(n))]) for n in (2, 3)
        ]  # both threads of the pictures are busy
        begun.wait_for(2)
        first = threads.submit(others.embed, [product("", shared)])
        begun.wait_for(3)
        others.embed([product("", known, shared)])
        held.set()
        (item,) = first.result()
        assert all(one.result() for one in before)
    np.testing.assert_array_equal(item.image, known.vector)
    assert slow.images_embedded == 2
