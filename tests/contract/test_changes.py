"""Of a changed product, exactly the changed content is embedded again."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.fusion import WeightedMean, combine, mean_of
from shelfsight.records import EmbeddedProduct, Need, Pixels, Product, Selection, Vector, Weights
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.testing import MODELS, HashEmbedder, MemoryFetcher, direction
from tests.contract.conftest import HALF, Shop, product_id

MAKE, KEEP, CHECK = Need.MAKE, Need.KEEP, Need.CHECK
AT_ONCE = Selection(retry_failed=True)
TITLES = ("", "Mug", "Cap", "<p></p>")


def pixels(address: str) -> Pixels:
    """The picture first served at an address; that of `address#2` may replace it."""
    return np.resize(np.frombuffer(address.encode(), np.uint8), (8, 8, 3))


def image_of(*addresses: str) -> Vector | None:
    return mean_of([direction(pixels(address).tobytes(), 768) for address in addresses])


def text_of(title: str) -> Vector | None:
    return direction(title.encode(), 1024) if title.isalpha() else None


@dataclass
class Runs:
    """Runs over a shop.

    `lost` addresses are not found, `replaced` ones serve another picture by now, and embedding an
    `unspeakable` title fails.
    """

    shop: Shop
    lost: frozenset[str] = frozenset()
    unspeakable: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()
    stored: list[EmbeddedProduct] = field(default_factory=list)

    def run(self, selection: Selection) -> tuple[int, int]:
        """Return how many images and texts were embedded."""
        embedder = HashEmbedder(broken=self.unspeakable)
        fusion = WeightedMean(Weights())
        self.stored = []
        with closing(PageEmbedder(embedder, fusion)) as pages:
            for page in self.shop.catalog.pages(selection, 10):
                addresses = {url for product in page for url in product.image_urls}
                fetcher = MemoryFetcher({url: self._pixels(url) for url in addresses - self.lost})
                made = pages.embed(fetcher.fetch(page))
                self.stored += self.shop.store.save(made, MODELS)
        return embedder.images_embedded, embedder.texts_embedded

    def due(self, selection: Selection) -> list[tuple[Need, Need]]:
        """The needs of image and text of each product that is due."""
        pages = self.shop.catalog.pages(selection, 10)
        return [(item.image_need, item.text_need) for page in pages for item in page]

    def _pixels(self, url: str) -> Pixels:
        return pixels(f"{url}#2" if url in self.replaced else url)

    def vectors(self, number: int) -> SearchQuery | None:
        return self.shop.search.vectors(product_id(number), Filters())


@pytest.fixture
def runs(shop: Shop) -> Runs:
    return Runs(shop)


def assert_has(runs: Runs, number: int, image: Vector | None, text: Vector | None) -> None:
    found = runs.vectors(number)
    if image is None and text is None:
        assert found is None
        return
    assert found is not None
    wanted = {"image": image, "text": text, "vector": image if text is None else text}
    if image is not None and text is not None:
        wanted["vector"] = combine(image, text, Weights())
    for name, vector in wanted.items():
        stored = getattr(found, name)
        assert (stored is None) == (vector is None), name
        if vector is not None:
            np.testing.assert_allclose(stored, vector, atol=HALF)


@pytest.mark.parametrize(
    ("title", "urls", "embedded"),
    [
        ("Cap", ("a.png",), (0, 1)),
        ("Mug", ("b.png",), (1, 0)),
        ("Mug", ("a.png", "b.png"), (2, 0)),
        ("Cap", ("b.png",), (1, 1)),
        ("", ("a.png",), (0, 0)),
        ("Mug", (), (0, 0)),
    ],
)
def test_only_the_changed_content_of_a_product_is_embedded(
    runs: Runs, title: str, urls: tuple[str, ...], embedded: tuple[int, int]
) -> None:
    runs.shop.put(1, title="Mug", urls=("a.png",))
    assert runs.run(Selection()) == (1, 1)
    runs.shop.put(1, title=title, urls=urls)
    assert runs.run(Selection()) == embedded
    assert_has(runs, 1, image_of(*urls), text_of(title))
    assert runs.run(AT_ONCE) == (0, 0)


def test_another_owner_changes_no_vector(runs: Runs) -> None:
    runs.shop.put(1, title="Mug", urls=("a.png",), owner="ann")
    runs.run(Selection())
    runs.shop.put(1, title="Mug", urls=("a.png",), owner="bob")
    assert runs.due(Selection()) == []


def test_save_returns_kept_vectors_together_with_new_ones(runs: Runs) -> None:
    runs.shop.put(1, title="Mug", urls=("a.png",))
    runs.run(Selection())
    runs.shop.put(1, title="Cap", urls=("a.png",))
    runs.run(Selection())
    (item,) = runs.stored
    np.testing.assert_allclose(item.image, image_of("a.png"), atol=HALF)
    np.testing.assert_allclose(
        item.combined, combine(image_of("a.png"), text_of("Cap"), Weights()), atol=HALF
    )


def test_an_edited_title_does_not_retry_a_failed_picture(runs: Runs) -> None:
    runs.lost = frozenset({"a.png"})
    runs.shop.put(1, title="Mug", urls=("a.png",))
    runs.run(Selection())
    runs.shop.put(1, title="Cap", urls=("a.png",))
    assert runs.due(Selection()) == [(KEEP, MAKE)]
    runs.run(Selection())
    assert_has(runs, 1, None, text_of("Cap"))
    assert runs.due(Selection()) == []
    runs.lost = frozenset()
    assert runs.due(AT_ONCE) == [(MAKE, KEEP)]
    assert runs.run(AT_ONCE) == (1, 0)
    assert_has(runs, 1, image_of("a.png"), text_of("Cap"))
    assert runs.due(AT_ONCE) == []


def test_a_new_picture_does_not_retry_a_failed_text(runs: Runs) -> None:
    runs.unspeakable = frozenset({"Mug"})
    runs.shop.put(1, title="Mug", urls=("a.png",))
    runs.run(Selection())
    runs.shop.put(1, title="Mug", urls=("b.png",))
    assert runs.run(Selection()) == (1, 0)
    assert_has(runs, 1, image_of("b.png"), None)
    runs.unspeakable = frozenset()
    assert runs.run(AT_ONCE) == (0, 1)
    assert_has(runs, 1, image_of("b.png"), text_of("Mug"))


def test_a_failed_picture_of_a_product_without_vectors_waits_too(runs: Runs) -> None:
    runs.lost = frozenset({"a.png"})
    runs.shop.put(1, urls=("a.png",))
    runs.run(Selection())
    runs.shop.put(1, title="Mug", urls=("a.png",))
    assert runs.due(Selection()) == [(KEEP, MAKE)]
    assert runs.run(Selection()) == (0, 1)
    runs.shop.put(1, title="<p></p>", urls=("a.png",))
    runs.run(Selection())
    assert runs.vectors(1) is None
    assert runs.due(Selection()) == []
    assert len(runs.due(AT_ONCE)) == 1


def test_missing_makes_that_modality_alone_unless_the_other_has_changed_too(runs: Runs) -> None:
    runs.lost = frozenset({"a.png"})
    for number in (1, 2):
        runs.shop.put(number, title="Mug", urls=("a.png",))
    runs.run(Selection())
    runs.shop.put(2, title="Cap", urls=("a.png",))
    runs.lost = frozenset()
    missing = Selection(missing="image")
    assert runs.due(missing) == [(MAKE, KEEP), (MAKE, MAKE)]
    assert runs.run(missing) == (1, 1)
    assert_has(runs, 1, image_of("a.png"), text_of("Mug"))
    assert_has(runs, 2, image_of("a.png"), text_of("Cap"))


def test_without_skip_existing_everything_is_made(runs: Runs) -> None:
    runs.shop.put(1, title="Mug", urls=("a.png",))
    runs.run(Selection())
    assert runs.run(Selection(skip_existing=False)) == (1, 1)


REFETCH = Selection(refetch=True)


def came_of(runs: Runs) -> list[str | None]:
    return [item.refetched for item in runs.stored]


def test_a_refetch_checks_stored_images_and_embeds_no_unchanged_one(
    runs: Runs,
) -> None:
    runs.shop.put(1, title="Mug", urls=("a.png", "b.png"))
    runs.shop.put(2, title="Cap")
    runs.run(Selection())
    assert runs.due(REFETCH) == [(CHECK, KEEP)]
    counted = runs.shop.catalog.due(REFETCH)
    assert (counted.products, counted.with_image) == (1, 1)
    assert runs.run(REFETCH) == (0, 0)
    assert came_of(runs) == ["unchanged"]
    assert_has(runs, 1, image_of("a.png", "b.png"), text_of("Mug"))
    assert runs.due(Selection()) == []


def test_a_refetch_embeds_a_picture_replaced_behind_its_address_and_no_other(
    runs: Runs,
) -> None:
    for number in (1, 2):
        runs.shop.put(number, title="Mug", urls=(f"{number}.png",))
    runs.run(Selection())
    runs.replaced = frozenset({"1.png"})
    assert runs.run(Selection()) == (0, 0)
    assert runs.run(REFETCH) == (1, 0)
    assert came_of(runs) == ["changed", "unchanged"]
    assert_has(runs, 1, image_of("1.png#2"), text_of("Mug"))
    assert_has(runs, 2, image_of("2.png"), text_of("Mug"))
    assert runs.run(REFETCH) == (0, 0)


def test_a_picture_lost_on_refetch_keeps_its_vector_and_recovers_without_inference(
    runs: Runs,
) -> None:
    runs.shop.put(1, title="Mug", urls=("a.png",))
    runs.run(Selection())
    runs.lost = frozenset({"a.png"})
    assert runs.run(REFETCH) == (0, 0)
    assert came_of(runs) == ["failed"]
    assert_has(runs, 1, image_of("a.png"), text_of("Mug"))
    assert runs.due(Selection()) == []
    assert runs.due(AT_ONCE) == [(CHECK, KEEP)]
    runs.lost = frozenset()
    assert runs.run(AT_ONCE) == (0, 0)
    assert came_of(runs) == ["unchanged"]
    assert runs.due(AT_ONCE) == []


def test_an_image_is_not_made_from_fewer_pictures_than_before(runs: Runs) -> None:
    runs.shop.put(1, urls=("a.png", "b.png"))
    runs.run(Selection())
    runs.replaced, runs.lost = frozenset({"a.png"}), frozenset({"b.png"})
    assert runs.run(REFETCH) == (0, 0)
    assert_has(runs, 1, image_of("a.png", "b.png"), None)
    runs.lost = frozenset()
    assert runs.run(AT_ONCE) == (2, 0)
    assert_has(runs, 1, image_of("a.png#2", "b.png"), None)


def test_a_refetch_also_does_what_is_due(runs: Runs) -> None:
    for number in (1, 2):
        runs.shop.put(number, title="Mug", urls=(f"{number}.png",))
    runs.run(Selection())
    runs.shop.put(1, title="Cap", urls=("1.png",))
    runs.shop.put(2, title="Mug", urls=("new.png",))
    runs.shop.put(3, title="Jug")
    runs.replaced = frozenset({"1.png"})
    assert runs.run(REFETCH) == (2, 2)
    assert came_of(runs) == ["changed", None, None]
    assert_has(runs, 1, image_of("1.png#2"), text_of("Cap"))
    assert_has(runs, 2, image_of("new.png"), text_of("Mug"))
    assert_has(runs, 3, None, text_of("Jug"))
    runs.shop.put(1, title="Pot", urls=("1.png",))
    runs.lost = frozenset({"1.png"})
    assert runs.run(REFETCH) == (0, 1)
    assert_has(runs, 1, image_of("1.png#2"), text_of("Pot"))


def edited(runs: Runs) -> tuple[list[Product], list[EmbeddedProduct]]:
    """A page whose titles alone have changed, and one worker's result for it."""
    runs.shop.put(1, title="Mug", urls=("a.png",))
    runs.run(Selection())
    runs.shop.put(1, title="Cap", urls=("a.png",))
    (page,) = runs.shop.catalog.pages(Selection(), 10)
    text = text_of("Cap")
    made = EmbeddedProduct(
        product=page[0], text=text, combined=combine(None, text, Weights()), text_used="Cap"
    )
    return page, [made]


def test_a_product_whose_kept_vector_another_worker_has_changed_is_not_stored(runs: Runs) -> None:
    _, made = edited(runs)
    runs.shop.put(1, title="Mug", urls=("b.png",))
    runs.run(Selection())
    runs.shop.put(1, title="Cap", urls=("a.png",))
    assert runs.shop.store.save(made, MODELS) == []
    assert_has(runs, 1, image_of("b.png"), text_of("Mug"))
    assert runs.due(Selection()) == [(MAKE, MAKE)]


def test_a_product_whose_kept_vector_was_deleted_stays_due(runs: Runs) -> None:
    _, made = edited(runs)
    runs.shop.put(1)
    runs.run(Selection())
    runs.shop.put(1, title="Cap", urls=("a.png",))
    assert runs.shop.store.save(made, MODELS) == []
    assert runs.vectors(1) is None
    assert runs.due(Selection()) == [(MAKE, MAKE)]


def test_the_other_products_of_such_a_page_are_stored(runs: Runs) -> None:
    (product,), made = edited(runs)
    runs.shop.put(1, title="Mug", urls=("b.png",))
    runs.run(Selection())
    runs.shop.put(2, title="Jug")
    other = replace(made[0], product=replace(product, id=product_id(2), image_need=MAKE))
    assert [item.product.id for item in runs.shop.store.save([*made, other], MODELS)] == [
        product_id(2)
    ]
    assert_has(runs, 2, None, text_of("Cap"))


PRODUCTS = 5
EDIT = st.one_of(
    st.none(),
    st.tuples(st.just("title"), st.sampled_from(TITLES)),
    st.tuples(st.just("urls"), st.sampled_from(((), ("a",), ("b",), ("a", "b"), ("b", "a")))),
    st.tuples(st.just("owner"), st.sampled_from(("ann", "bob"))),
    st.tuples(st.just("replaced"), st.sampled_from(("", "a", "b"))),
)
STEP = st.fixed_dictionaries(
    {
        "edits": st.lists(EDIT, min_size=PRODUCTS, max_size=PRODUCTS),
        "lost": st.sampled_from(("", "a", "ab")),
        "unspeakable": st.booleans(),
        "at_once": st.booleans(),
        "refetch": st.booleans(),
    }
)


@dataclass
class Tried:
    """The content of a modality that was last tried, and whether that failed."""

    tried: object = None
    failed: bool = False

    def is_tried(self, content: object, failed: bool, *, at_once: bool) -> bool:
        """Return whether a run must try this content, and record that it did."""
        if content == self.tried and not (self.failed and at_once):
            return False
        self.tried, self.failed = content, failed
        return True


@dataclass
class TriedImages(Tried):
    """The same for pictures; `had` are those that the stored vector was made from."""

    had: tuple[str, ...] = ()

    def embedded(self, content: object, there: tuple[str, ...], fails: bool, **how: bool) -> int:
        """Return how many of the pictures that are `there` a run must embed."""
        is_stored = content == self.tried and bool(self.had)
        is_tried = self.is_tried(content, fails, at_once=how["at_once"])
        if not is_tried and not (how["refetch"] and is_stored):
            return 0
        self.failed = fails
        has_lost = {name[0] for name in self.had} - {name[0] for name in there}
        if is_stored and (there == self.had or has_lost):
            return 0
        self.had = there
        return len(there)


@dataclass
class Edited:
    """A product of the shop, and the model of what a run should do about it.

    The address that begins with `replaced` serves another picture.
    """

    number: int
    title: str = ""
    urls: tuple[str, ...] = ()
    owner: str | None = None
    replaced: str = ""
    tried_text: Tried = field(default_factory=Tried)
    images: TriedImages = field(default_factory=TriedImages)

    def content(self) -> dict[str, object]:
        """A title and addresses that no other product has."""
        title = f"{self.title}{'x' * self.number}" if self.title.isalpha() else self.title
        return {"title": title, "urls": tuple(f"{name}{self.number}.png" for name in self.urls)}

    def inferences(
        self, lost: str, *, unspeakable: bool, at_once: bool, refetch: bool
    ) -> tuple[int, int]:
        """Return how many pictures and texts a run should embed now."""
        content = self.content()
        there = tuple(
            f"{name}#2" if name == self.replaced else name for name in self.urls if name not in lost
        )
        fails = len(there) < len(self.urls)
        images = self.images.embedded(
            content["urls"], there, fails, at_once=at_once, refetch=refetch
        )
        speaks = self.title.isalpha()
        text = self.tried_text.is_tried(content["title"], unspeakable and speaks, at_once=at_once)
        return images, int(text and speaks)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, max_size=6))
def test_after_any_history_the_vectors_match_the_content_without_needless_inference(
    shop: Shop, numbers: Iterator[int], steps: list[dict[str, Any]]
) -> None:
    products = [Edited(next(numbers)) for _ in range(PRODUCTS)]
    only = Selection(products=tuple(product_id(product.number) for product in products))
    healed = {"edits": [], "lost": "", "unspeakable": False, "at_once": True, "refetch": True}
    for product in products:
        shop.put(product.number)
    for step in [*steps, healed]:
        for product, edit in zip(products, step["edits"], strict=False):
            if edit is not None:
                setattr(product, *edit)
                shop.put(product.number, **product.content(), owner=product.owner)
        wanted = [
            product.inferences(
                step["lost"],
                unspeakable=step["unspeakable"],
                at_once=step["at_once"],
                refetch=step["refetch"],
            )
            for product in products
        ]
        contents = [product.content() for product in products]
        runs = Runs(
            shop,
            lost=frozenset(u for c in contents for u in c["urls"] if u[0] in step["lost"]),
            unspeakable=frozenset(c["title"] for c in contents if step["unspeakable"]),
            replaced=frozenset(f"{p.replaced}{p.number}.png" for p in products),
        )
        done = runs.run(replace(only, retry_failed=step["at_once"], refetch=step["refetch"]))
        assert done == tuple(map(sum, zip(*wanted, strict=True)))
    for product in products:
        content = product.content()
        shown = [f"{url}#2" if url in runs.replaced else url for url in content["urls"]]
        assert_has(runs, product.number, image_of(*shown), text_of(content["title"]))
    assert runs.due(replace(only, retry_failed=True)) == []


@pytest.fixture
def numbers() -> Iterator[int]:
    """Product numbers, so that each example has its own products."""
    return count(1)
