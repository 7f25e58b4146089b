"""The contract of every catalogue and every vector store."""

from itertools import chain

import numpy as np
import pytest

from shelfsight.errors import ModelMismatchError
from shelfsight.fusion import combine
from shelfsight.records import (
    NO_CONTENT,
    EmbeddedProduct,
    Failure,
    Modality,
    ModelPair,
    Product,
    Selection,
    Stage,
    Stored,
    Vector,
    VectorCounts,
    Weights,
)
from shelfsight.scan.matching import Candidate, Filters, SearchQuery
from shelfsight.testing import MODELS, direction
from tests.contract.conftest import HALF, Shop, product_id

EVERYTHING = Selection()
TIMEOUT = Failure(stage=Stage.FETCH, kind="timeout", message="too slow", retryable=True)
TEXT_ERROR = Failure(stage=Stage.TEXT, kind="model_error", message="no")


def due(shop: Shop, selection: Selection = EVERYTHING, size: int = 10) -> list[Product]:
    return list(chain.from_iterable(shop.catalog.pages(selection, size)))


def embed(product: Product, *failures: Failure) -> EmbeddedProduct:
    """Embed a product as a run would: vectors of its content, except where it failed."""
    stages = {failure.stage for failure in failures}
    image = text = color = None
    if product.image_urls and Stage.FETCH not in stages:
        image = direction("".join(product.image_urls).encode(), 768)
        color = direction("".join(product.image_urls).encode(), 256)
    if product.title and Stage.TEXT not in stages:
        text = direction(product.title.encode(), 1024)
    nothing = () if image is not None or text is not None or failures else (NO_CONTENT,)
    return EmbeddedProduct(
        product=product,
        image=image,
        text=text,
        combined=combine(image, text, Weights()),
        color=color,
        text_used=product.title,
        failures=(*failures, *nothing),
    )


def near(shop: Shop, column: Modality, query: Vector, limit: int) -> list[Candidate]:
    return shop.search.candidates(SearchQuery(column=column, vector=query), Filters(), limit)


def embed_all(shop: Shop, *failures: Failure) -> None:
    for page in shop.catalog.pages(EVERYTHING, 10):
        shop.store.save([embed(product, *failures) for product in page], MODELS)


def test_pages_are_ordered_by_id_and_full_except_the_last(shop: Shop) -> None:
    for number in (5, 3, 9, 1, 7):
        shop.put(number, title=f"Product {number}")
    pages = list(shop.catalog.pages(EVERYTHING, 2))
    assert [len(page) for page in pages] == [2, 2, 1]
    ids = [product.id for product in chain.from_iterable(pages)]
    assert ids == [product_id(number) for number in (1, 3, 5, 7, 9)]


def test_variants_are_chosen_by_their_ids(shop: Shop) -> None:
    for number in range(4):
        shop.put(number, title=f"Title {number}")
    chosen = Selection(variants=(product_id(1), product_id(3), product_id(9)))
    assert [product.id for product in due(shop, chosen)] == [product_id(1), product_id(3)]


def test_an_empty_catalogue_gives_no_page(shop: Shop) -> None:
    assert list(shop.catalog.pages(EVERYTHING, 2)) == []
    assert shop.catalog.due(EVERYTHING).products == 0


def test_a_product_has_its_text_and_its_pictures_in_order(shop: Shop) -> None:
    shop.put(1, title="Mug", description="Blue", urls=("b.png", "a.png"))
    (product,) = due(shop)
    assert (product.title, product.description) == ("Mug", "Blue")
    assert product.image_urls == ("b.png", "a.png")


def test_due_products_are_counted_by_content(shop: Shop) -> None:
    shop.put(1, title="Mug", urls=("a.png",))
    shop.put(2, title="Cap")
    shop.put(3, urls=("c.png",))
    shop.put(4)
    counted = shop.catalog.due(EVERYTHING)
    assert (counted.products, counted.with_picture) == (4, 2)
    assert (counted.with_text, counted.with_neither) == (2, 1)


def test_what_is_stored_is_no_longer_due(shop: Shop) -> None:
    shop.put(1, title="Mug", urls=("a.png",))
    shop.put(2, title="Cap")
    embed_all(shop)
    assert due(shop) == []
    assert shop.catalog.due(EVERYTHING).products == 0
    assert len(due(shop, Selection(skip_existing=False))) == 2


@pytest.mark.parametrize(
    "edit",
    [
        {"title": "Cup", "urls": ("a.png",)},
        {"title": "Mug", "description": "New", "urls": ("a.png",)},
        {"title": "Mug", "urls": ("b.png",)},
        {"title": "Mug", "urls": ("a.png", "b.png")},
        {"title": "Mug"},
    ],
)
def test_a_product_whose_content_changed_is_due_again(shop: Shop, edit: dict[str, object]) -> None:
    shop.put(1, title="Mug", urls=("a.png",))
    shop.put(2, title="Cap")
    embed_all(shop)
    shop.put(1, **edit)
    assert [product.id for product in due(shop)] == [product_id(1)]


def test_moving_text_from_title_to_description_is_a_change(shop: Shop) -> None:
    shop.put(1, title="ab", description="c")
    embed_all(shop)
    shop.put(1, title="a", description="bc")
    assert len(due(shop)) == 1


def test_a_failure_waits_and_is_retried_at_once_on_request(shop: Shop) -> None:
    shop.put(1, urls=("a.png",))
    shop.put(2, title="Cap", urls=("b.png",))
    embed_all(shop, TIMEOUT)
    assert due(shop) == []
    again = due(shop, Selection(retry_failed=True))
    assert [product.id for product in again] == [product_id(1), product_id(2)]


def test_a_failed_product_is_due_as_soon_as_its_content_changes(shop: Shop) -> None:
    shop.put(1, urls=("a.png",))
    embed_all(shop, TIMEOUT)
    shop.put(1, urls=("b.png",))
    assert len(due(shop)) == 1


def test_a_product_without_content_is_due_only_once(shop: Shop) -> None:
    shop.put(1)
    embed_all(shop)
    assert due(shop) == []
    assert due(shop, Selection(retry_failed=True)) == []
    shop.put(1, title="Now it has one")
    assert len(due(shop)) == 1


@pytest.mark.parametrize(("missing", "expected"), [("image", [2]), ("text", [3]), ("combined", [])])
def test_missing_selects_products_that_could_have_the_vector(
    shop: Shop, missing: str, expected: list[int]
) -> None:
    shop.put(1, title="Text only")
    shop.put(2, title="Its picture failed", urls=("a.png",))
    shop.put(3, title="Its text failed", urls=("b.png",))
    shop.put(4)
    products = {product.id: product for product in due(shop)}
    failures = {2: (TIMEOUT,), 3: (TEXT_ERROR,)}
    page = [embed(products[product_id(n)], *failures.get(n, ())) for n in (1, 2, 3, 4)]
    shop.store.save(page, MODELS)
    selection = Selection(missing=missing)
    assert [product.id for product in due(shop, selection)] == list(map(product_id, expected))


def test_saving_a_page_twice_changes_nothing(shop: Shop) -> None:
    shop.put(1, title="Mug", urls=("a.png",))
    page = [embed(product) for product in due(shop)]
    assert shop.store.save(page, MODELS) == page
    shop.store.save(page, MODELS)
    assert len(near(shop, "combined", direction(b"x", 768), 5)) == 1


def test_a_stored_vector_stays_if_embedding_the_same_content_again_fails(shop: Shop) -> None:
    shop.put(1, title="Mug", urls=("a.png",))
    embed_all(shop)
    shop.put(1, title="Cup", urls=("a.png",))
    page = due(shop, Selection(skip_existing=False))
    shop.store.save([embed(product, TIMEOUT) for product in page], MODELS)
    shop.store.recombine()
    image, text = direction(b"a.png", 768), direction(b"Cup", 1024)
    found = shop.search.vectors(product_id(1), Filters())
    assert found is not None
    np.testing.assert_allclose(found.image, image, atol=HALF)
    np.testing.assert_allclose(found.text, text, atol=HALF)
    np.testing.assert_allclose(found.vector, combine(image, text, Weights()), atol=HALF)


def test_a_vector_is_deleted_with_its_content(shop: Shop) -> None:
    shop.put(1, title="Mug", urls=("a.png",))
    shop.put(2, urls=("b.png",))
    embed_all(shop)
    shop.put(1, title="Mug")
    shop.put(2, urls=("other.png",))
    embed_all(shop, TIMEOUT)
    assert near(shop, "image", direction(b"a.png", 768), 5) == []
    assert [found.id for found in near(shop, "text", direction(b"Mug", 1024), 5)] == [product_id(1)]


def test_other_weights_recombine_stored_vectors_without_a_model(shop: Shop) -> None:
    shop.put(1, title="Mug", urls=("a.png",))
    shop.put(2, title="Cap")
    embed_all(shop)
    even = Weights(image=1, text=1)
    other = shop.store_with(even)
    assert other.recombine() == 2
    assert other.recombine() == 0
    wanted = combine(direction(b"a.png", 768), direction(b"Mug", 1024), even)
    found = shop.search.vectors(product_id(1), Filters())
    assert found is not None
    np.testing.assert_allclose(found.vector, wanted, atol=HALF)


def test_vectors_of_other_models_are_refused_before_the_first_write(shop: Shop) -> None:
    other = ModelPair(image="another@2", text=MODELS.text)
    shop.store.require(other)
    shop.put(1, title="Mug", urls=("a.png",))
    embed_all(shop)
    shop.store.require(MODELS)
    with pytest.raises(ModelMismatchError):
        shop.store.require(other)
    shop.store.require(other, replace=True)


def test_vectors_stored_under_a_branch_stay_whichever_commit_the_same_model_has_now(
    shop: Shop,
) -> None:
    """Older versions stored `name@main`; the first run after an upgrade does not embed anew."""
    commit = ModelPair(image=MODELS.image, text="words@0123456789abcdef")
    shop.put(1, title="Mug", urls=("a.png",))
    for page in shop.catalog.pages(EVERYTHING, 10):
        of_branch = ModelPair(image=MODELS.image, text="words@main")
        shop.store.save([embed(product) for product in page], of_branch)
    shop.store.require(commit)
    shop.search.require(commit)
    with pytest.raises(ModelMismatchError):
        shop.store.require(ModelPair(image=MODELS.image, text="letters@0123456789abcdef"))


def partitioned(shop: Shop, size: int, limit: int | None = None) -> list[list[str]]:
    """Partition what is due, and return the product ids of each range."""
    return [
        [p.id for page in shop.catalog.pages(EVERYTHING, 3, within) for p in page]
        for within in shop.catalog.partition(EVERYTHING, size, limit).ranges
    ]


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7])
@pytest.mark.parametrize("limit", [None, 1, 2, 3, 4, 6, 7, 100])
def test_each_due_product_is_in_exactly_one_range(
    shop: Shop, count: int, limit: int | None
) -> None:
    for number in range(1, count + 1):
        shop.put(number, title=f"Mug {number}")
    ids = [product_id(number) for number in range(1, min(count, limit or count) + 1)]
    assert partitioned(shop, 2, limit) == [
        ids[start : start + 2] for start in range(0, len(ids), 2)
    ]
    assert shop.catalog.partition(EVERYTHING, 2, limit).due == count


def test_products_added_after_the_last_one_belong_to_the_last_range(shop: Shop) -> None:
    shop.put(1, title="Mug")
    (only,) = shop.catalog.partition(EVERYTHING, 2).ranges
    shop.put(2, title="Jug")
    shop.put(3, title="Cup")
    assert [len(page) for page in shop.catalog.pages(EVERYTHING, 10, only)] == [3]


GONE = Failure(stage=Stage.FETCH, kind="http_404", message="no", host="cdn.test")


@pytest.mark.parametrize(
    ("kinds", "hosts", "expected"),
    [
        ((), (), [1, 2, 3]),
        (("timeout",), (), [1]),
        (("http_404", "model_error"), (), [2, 3]),
        ((), ("cdn.test",), [2]),
        (("timeout",), ("cdn.test",), []),
    ],
)
def test_only_failed_selects_by_kind_and_host_and_leaves_out_changed_products(
    shop: Shop, kinds: tuple[str, ...], hosts: tuple[str, ...], expected: list[int]
) -> None:
    for number in (1, 2, 3, 4, 5):
        shop.put(number, title=f"Mug {number}", urls=("a.png",))
    shop.put(6)
    products = {product.id: product for product in due(shop)}
    failures = {1: (TIMEOUT,), 2: (GONE,), 3: (TEXT_ERROR,)}
    page = [embed(products[product_id(n)], *failures.get(n, ())) for n in range(1, 7)]
    shop.store.save(page, MODELS)
    shop.put(2, title="Edited", urls=("a.png",))
    shop.put(5, title="Edited", urls=("a.png",))
    selection = Selection(retry_failed=True, only_failed=True, kinds=kinds, hosts=hosts)
    found = due(shop, selection)
    assert [product.id for product in found] == list(map(product_id, expected))
    assert shop.catalog.due(selection).products == len(expected)
    shop.store.save([embed(product) for product in found], MODELS)
    assert due(shop, selection) == []


def vectors(image: int, text: int, combined: int) -> VectorCounts:
    return VectorCounts(image=image, text=text, combined=combined)


def test_what_a_run_would_take_away_is_counted_before_and_by_product(shop: Shop) -> None:
    for number in (1, 2, 3, 4):
        shop.put(number, title=f"Mug {number}", urls=("a.png",))
    assert shop.catalog.due(EVERYTHING).lost == vectors(0, 0, 0)
    embed_all(shop)
    assert shop.store.count() == vectors(4, 4, 4)
    shop.put(1, title="Mug 1")
    shop.put(2, urls=("a.png",))
    shop.put(3)
    shop.put(4, title="Mug 4", urls=("b.png",))
    lost = vectors(2, 2, 1)
    assert shop.catalog.due(EVERYTHING).lost == lost
    assert shop.catalog.partition(EVERYTHING, 2).lost == lost
    page = [embed(product) for product in due(shop)]
    assert [item.lost for item in page] == [
        vectors(1, 0, 0),
        vectors(0, 1, 0),
        vectors(1, 1, 1),
        vectors(0, 0, 0),
    ]
    stale, current = Stored.STALE, Stored.CURRENT
    stored = [(item.product.stored_image, item.product.stored_text) for item in page]
    assert stored == [(stale, current), (current, stale), (stale, stale), (stale, current)]
    failed = embed(page[3].product, TIMEOUT)
    assert failed.lost == vectors(1, 0, 0), "the new picture fails, and the old one is stale"
    shop.store.save([*page[:3], failed], MODELS)
    assert shop.store.count() == vectors(1, 2, 3)
    assert shop.catalog.due(EVERYTHING).lost == vectors(0, 0, 0)
