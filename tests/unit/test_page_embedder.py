"""Embedding pages: results are shared by content, and a failure concerns one product alone."""

import time
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Condition, Event, current_thread, main_thread

import numpy as np
import pytest

from shelfsight.embedding import page_embedder as page_module
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.fusion import WeightedMean, combine, mean_of
from shelfsight.ports import Advanced, ignore
from shelfsight.records import (
    NO_CONTENT,
    Failure,
    FetchedProduct,
    KnownPicture,
    Need,
    Picture,
    PictureFile,
    Pixels,
    Product,
    Stage,
    Vector,
    Weights,
)
from shelfsight.testing import HashEmbedder

BROKEN = Failure(stage=Stage.FETCH, kind="http_404", message="gone")


class FussyEmbedder(HashEmbedder):
    """Refuses black pictures; `retryable` says whether another try may help."""

    retryable = False

    def embed_images(
        self, pictures: Sequence[Pixels], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        refused = Failure(
            stage=Stage.IMAGE, kind="server_422", message="too dark", retryable=self.retryable
        )
        vectors = super().embed_images(pictures, advanced=advanced)
        return [v if p.any() else refused for p, v in zip(pictures, vectors, strict=True)]


@pytest.fixture
def embedder() -> FussyEmbedder:
    return FussyEmbedder(broken=frozenset({"Unspeakable"}))


@pytest.fixture
def pages(embedder: HashEmbedder) -> Iterator[PageEmbedder]:
    with closing(PageEmbedder(embedder, WeightedMean(Weights()))) as pages:
        yield pages


class Begun:
    """Counts the threads, other than the main one, that wait for a page's results."""

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
    begun, wait_for = Begun(), page_module.wait_for

    def noted(futures: list) -> dict:
        begun.note()
        return wait_for(futures)

    monkeypatch.setattr(page_module, "wait_for", noted)
    return begun


def picture(colour: int, url: str = "") -> Picture:
    file = PictureFile(url=url or f"{colour}.png", content_hash=f"hash of {colour}")
    return Picture(file=file, pixels=np.full((8, 8, 3), colour, np.uint8))


def product(
    title: str = "", *pictures: Picture | KnownPicture, failures: tuple[Failure, ...] = ()
) -> FetchedProduct:
    urls = tuple(p.file.url for p in pictures)
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


def test_a_later_page_has_the_results_of_equal_files_and_texts(
    pages: PageEmbedder, embedder: HashEmbedder
) -> None:
    (first,) = pages.embed([product("Mug", picture(1))])
    (later,) = pages.embed([product("Mug", picture(1, url="copy of 1.png"))])
    assert (embedder.images_embedded, embedder.texts_embedded) == (1, 1)
    np.testing.assert_array_equal(later.combined, first.combined)
    for _ in range(2):
        (failed,) = pages.embed([product("Unspeakable", picture(0, url="black.png"))])
        assert [f.kind for f in failed.failures] == ["server_422", "model_error"]
    assert (embedder.images_embedded, embedder.texts_embedded) == (2, 2)


def test_after_a_failure_that_may_pass_a_later_page_tries_again(
    pages: PageEmbedder, embedder: FussyEmbedder
) -> None:
    embedder.retryable = True
    for tries in (1, 2):
        same_page = pages.embed([product("", picture(0)), product("", picture(0))])
        assert [[f.kind for f in item.failures] for item in same_page] == [["server_422"]] * 2
        assert embedder.images_embedded == tries


def test_nothing_holds_pixels_once_their_page_is_embedded_or_refused(
    pages: PageEmbedder,
) -> None:
    page = [product("", picture(1)), product("", picture(0))]
    pixels = [weakref.ref(p.pixels) for item in page for p in item.pictures]
    good, refused = pages.embed(page)
    assert good.image is not None
    assert good.picture == PictureFile(url="1.png", content_hash="hash of 1")
    assert [f.kind for f in refused.failures] == ["server_422"]
    del page
    deadline = time.monotonic() + 60
    while any(ref() is not None for ref in pixels):  # a thread may hold what it has just returned
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_picture_whose_result_is_known_is_not_embedded_nor_is_its_copy(
    pages: PageEmbedder, embedder: HashEmbedder
) -> None:
    (first, refused) = pages.embed([product("", picture(1)), product("", picture(0))])
    good, bad = (
        pages.known_picture(replace(picture(n).file, content_hash=f"hash of {known}"))
        for n, known in ((5, 1), (6, 0))
    )
    assert good is not None
    assert bad is not None
    assert pages.known_picture(picture(2).file) is None
    good, bad = (replace(one, file=picture(n).file) for one, n in ((good, 5), (bad, 6)))
    np.testing.assert_array_equal(good.result, first.image)
    assert bad.result == refused.failures[0]
    before = embedder.images_embedded
    items = pages.embed([product("", good), product("", bad), product("", picture(5, "copy.png"))])
    assert embedder.images_embedded == before
    for item in (items[0], items[2]):
        np.testing.assert_array_equal(item.image, first.image)
        np.testing.assert_array_equal(item.color, first.color)
    assert items[1].failures == refused.failures


def test_results_are_kept_for_so_many_files_and_texts_only(
    embedder: HashEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfsight.embedding.page_embedder.CACHED_TEXTS", 2)
    with closing(PageEmbedder(embedder, WeightedMean(Weights()))) as pages:
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


def test_progress_hears_of_every_picture_and_text() -> None:
    heard: Counter[str] = Counter()

    def hear(modality: str, count: int) -> None:
        heard[modality] += count

    with closing(PageEmbedder(HashEmbedder(), WeightedMean(Weights()), hear)) as pages:
        items = pages.embed([product(f"Mug {n}") for n in range(50)])
        pages.embed([product("Cup", picture(1))])
    assert heard == {"text": 51, "image": 1}
    assert [item.product.title for item in items] == [f"Mug {n}" for n in range(50)]


def test_what_pages_that_are_embedded_at_the_same_time_share_is_embedded_once(begun: Begun) -> None:
    class Meeting(HashEmbedder):
        """Holds back the first picture and text until all pages wait for them."""

        def embed_images(
            self, pictures: Sequence[Pixels], *, advanced: Advanced = ignore
        ) -> list[Vector | Failure]:
            assert all_there.wait(30)
            return super().embed_images(pictures, advanced=advanced)

        def embed_texts(
            self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
        ) -> list[Vector | Failure]:
            assert all_there.wait(30)
            return super().embed_texts(texts, query=query, advanced=advanced)

    all_there = Event()
    embedder = Meeting()
    same, copies = picture(1), [picture(1, f"copy {n}.png") for n in range(2)]
    asked = [[product("Mug", same)], [product("Mug", same)], *([product("Mug", c)] for c in copies)]
    with (
        closing(PageEmbedder(embedder, WeightedMean(Weights()))) as pages,
        ThreadPoolExecutor(len(asked)) as threads,
    ):
        futures = [threads.submit(pages.embed, page) for page in asked]
        begun.wait_for(len(asked))
        all_there.set()
        items = [future.result()[0] for future in futures]
    assert (embedder.images_embedded, embedder.texts_embedded) == (1, 1)
    for item in items:
        np.testing.assert_array_equal(item.combined, items[0].combined)
