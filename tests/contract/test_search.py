"""The contract of every product search."""

from dataclasses import replace

import numpy as np
import pytest

from shelfsight.errors import ModelMismatchError
from shelfsight.fusion import combine
from shelfsight.records import Modality, ModelPair, Vector, Weights
from shelfsight.scan.matching import (
    Candidate,
    Centre,
    ConfirmedScan,
    Coverage,
    Filters,
    PhotoColor,
    SearchQuery,
)
from shelfsight.testing import MODELS, direction
from tests.contract.conftest import HALF, Shop, product_id
from tests.contract.test_shop import embed_all

ALL = Filters()


def image_of(address: str) -> Vector:
    return direction(address.encode(), 768)


def color_of(address: str) -> Vector:
    return direction(address.encode(), 256)


def text_of(title: str) -> Vector:
    return direction(title.encode(), 1024)


def by_image(query: Vector) -> SearchQuery:
    return SearchQuery(column="image", vector=query, image=query)


def by_words(words: str) -> SearchQuery:
    vector = text_of(words)
    return SearchQuery(column="text", vector=vector, text=vector, words=words)


def ids(found: list[Candidate]) -> list[str]:
    return [candidate.id for candidate in found]


def fill(shop: Shop, count: int) -> None:
    for number in range(1, count + 1):
        shop.put(number, title=f"Product {number}", urls=(f"{number}.png",), owner=f"{number % 2}")
    embed_all(shop)


@pytest.mark.parametrize("column", ["image", "text", "combined"])
def test_the_nearest_is_found_whichever_column_is_asked(shop: Shop, column: Modality) -> None:
    fill(shop, 5)
    image, text = image_of("3.png"), text_of("Product 3")
    combined = combine(image, text, Weights())
    query = {"image": image, "text": text, "combined": combined}[column]
    search_query = SearchQuery(column=column, vector=query, image=image, text=text)
    found = {one.id: one for one in shop.search.candidates(search_query, ALL, 2)}
    assert len(found) == 2
    best = found[product_id(3)]
    assert best.image_score == pytest.approx(1, abs=1e-5)
    assert best.text_score == pytest.approx(1, abs=1e-5)
    assert (best.title, best.word_score, best.is_code) == ("Product 3", None, False)


def test_a_modality_that_is_not_compared_has_no_score(shop: Shop) -> None:
    shop.put(1, title="Mug", urls=("a.png",))
    shop.put(2, title="Cap")
    embed_all(shop)
    (found,) = shop.search.candidates(by_image(image_of("a.png")), ALL, 5)
    assert (found.image_score, found.text_score) == (pytest.approx(1, abs=1e-5), None)
    both = SearchQuery(
        column="combined",
        vector=text_of("Cap")[:768],
        image=image_of("a.png"),
        text=text_of("Cap"),
    )
    scores = {one.id: one.image_score for one in shop.search.candidates(both, ALL, 5)}
    assert scores[product_id(2)] is None


def test_images_are_compared_after_subtracting_the_means(shop: Shop) -> None:
    fill(shop, 4)
    common = image_of("common")
    image = image_of("3.png")
    means = shop.search.means(None)
    assert means is not None
    expected = np.mean([image_of(f"{number}.png") for number in range(1, 5)], axis=0)
    np.testing.assert_allclose(means.catalogue, expected, atol=HALF)
    search_query = SearchQuery(
        column="image",
        vector=image,
        image=image,
        centre=Centre(catalogue=means.catalogue, scans=common),
    )
    found = {one.id: one.image_score for one in shop.search.candidates(search_query, ALL, 9)}
    for number in range(1, 5):
        stored, asked = image_of(f"{number}.png") - expected, image - common
        cosine = stored @ asked / np.linalg.norm(stored) / np.linalg.norm(asked)
        assert found[product_id(number)] == pytest.approx(float(cosine), abs=HALF)


@pytest.mark.parametrize("asked", ["1.png", "photo"])
@pytest.mark.parametrize("rounding", [0, 3e-7])
def test_a_picture_equal_to_the_mean_is_compared_without_subtraction(
    shop: Shop, asked: str, rounding: float
) -> None:
    fill(shop, 1)
    means = shop.search.means(None)
    assert means is not None
    common = means.catalogue + np.float32(rounding) * image_of("rounding")
    query = image_of(asked)
    for scans in (common, query):
        centre = Centre(catalogue=common, scans=scans)
        search_query = SearchQuery(column="image", vector=query, image=query, centre=centre)
        (found,) = shop.search.candidates(search_query, ALL, 5)
        assert found.image_score == pytest.approx(float(image_of("1.png") @ query), abs=HALF)


def test_the_mean_of_the_scans_is_learnt_scan_by_scan_for_each_owner(shop: Shop) -> None:
    fill(shop, 2)
    shop.search.require(MODELS)
    seen = [image_of(f"photo {number}") for number in range(5)]
    for photo in seen:
        shop.search.learn("1", photo)
    means = shop.search.means("1")
    assert means is not None
    assert means.count == 5
    np.testing.assert_allclose(means.scans, np.mean(seen, axis=0), atol=1e-5)
    np.testing.assert_allclose(means.catalogue, image_of("1.png"), atol=HALF)
    others = shop.search.means("0")
    assert others is not None
    assert (others.scans, others.count) == (None, 0)


def colors_of(shop: Shop, photo: str, scans: str) -> dict[str, float | None]:
    """Return how like the colours of each product are to a photo's, by id."""
    means = shop.search.means(None, "color")
    assert means is not None
    centre = Centre(catalogue=means.catalogue, scans=color_of(scans))
    image = image_of("photo")
    color = PhotoColor(photo=color_of(photo), centre=centre)
    query = SearchQuery(column="combined", vector=image, image=image, color=color)
    return {one.id: one.color_score for one in shop.search.candidates(query, ALL, 9)}


def test_colours_are_compared_after_subtracting_the_means(shop: Shop) -> None:
    fill(shop, 4)
    shop.put(5, title="Without a picture")
    embed_all(shop)
    found = colors_of(shop, "3.png", "common")
    mean = np.mean([color_of(f"{number}.png") for number in range(1, 5)], axis=0)
    for number in range(1, 5):
        stored, asked = color_of(f"{number}.png") - mean, color_of("3.png") - color_of("common")
        cosine = stored @ asked / np.linalg.norm(stored) / np.linalg.norm(asked)
        assert found[product_id(number)] == pytest.approx(float(cosine), abs=HALF)
    assert found[product_id(5)] is None


def test_colours_equal_to_the_mean_or_without_a_photo_say_nothing(shop: Shop) -> None:
    fill(shop, 1)
    assert colors_of(shop, "photo", "common") == {product_id(1): None}
    (found,) = shop.search.candidates(by_image(image_of("1.png")), ALL, 5)
    assert found.color_score is None


def test_new_pictures_bring_new_colours_and_a_new_title_leaves_them(shop: Shop) -> None:
    fill(shop, 3)
    shop.put(1, title="Product 1", urls=("new.png",))
    shop.put(2, title="A new title", urls=("2.png",))
    shop.put(3, title="Product 3")
    embed_all(shop)
    means = shop.search.means(None, "color")
    assert means is not None
    expected = (color_of("new.png") + color_of("2.png")) / 2
    np.testing.assert_allclose(means.catalogue, expected, atol=HALF)
    found = colors_of(shop, "2.png", "common")
    assert found[product_id(2)] > found[product_id(1)]
    assert found[product_id(3)] is None


def test_the_mean_of_colours_is_learnt_apart_from_that_of_vectors(shop: Shop) -> None:
    fill(shop, 2)
    shop.search.require(MODELS)
    seen = [color_of(f"photo {number}") for number in range(3)]
    for color in seen:
        shop.search.learn("1", color, "color")
    means = shop.search.means("1", "color")
    assert means is not None
    assert means.count == 3
    np.testing.assert_allclose(means.scans, np.mean(seen, axis=0), atol=1e-5)
    images = shop.search.means("1")
    assert images is not None
    assert images.scans is None


def test_without_a_catalogue_there_is_nothing_to_find(shop: Shop) -> None:
    assert not shop.search.coverage(ALL).embedded
    assert shop.search.means(None) is None
    assert shop.search.candidates(by_image(image_of("a.png")), ALL, 5) == []
    assert shop.search.vectors(product_id(1), ALL) is None
    fill(shop, 1)
    assert shop.search.coverage(ALL) == Coverage(
        products=True, embedded=True, image=True, text=True
    )
    assert shop.search.coverage(Filters(owner="nobody")) == Coverage(
        products=False, embedded=False, image=False, text=False
    )


def test_an_owner_sees_no_product_of_another(shop: Shop) -> None:
    fill(shop, 6)
    mine = Filters(owner="1")
    odd = {product_id(number) for number in (1, 3, 5)}
    assert set(ids(shop.search.candidates(by_image(image_of("2.png")), mine, 10))) == odd
    assert set(ids(shop.search.candidates(by_words("Product 2"), mine, 10))) == odd
    assert shop.search.vectors(product_id(2), mine) is None
    assert shop.search.vectors(product_id(3), mine) is not None


def test_words_find_products_beyond_the_nearest(shop: Shop) -> None:
    fill(shop, 30)
    shop.put(99, title="Blue enamel mug")
    embed_all(shop)
    found = {one.id: one for one in shop.search.candidates(by_words("mug BLUE"), ALL, 3)}
    assert found[product_id(99)].word_score == 1
    assert len(found) == 4


def test_the_share_of_the_words_counts(shop: Shop) -> None:
    shop.put(1, title="Blue enamel mug")
    shop.put(2, title="Blue cap")
    shop.put(3, urls=("a.png",))
    embed_all(shop)
    search_query = SearchQuery(column="combined", vector=image_of("a.png"), words="blue mug")
    found = {one.id: one.word_score for one in shop.search.candidates(search_query, ALL, 9)}
    assert found == {product_id(1): 1, product_id(2): 0.5, product_id(3): 0}


def test_similar_products_are_found_by_the_vectors_a_product_has(shop: Shop) -> None:
    shop.put(1, title="Mug", urls=("a.png",))
    shop.put(2, urls=("b.png",))
    shop.put(3, title="Cap")
    embed_all(shop)
    columns = [shop.search.vectors(product_id(number), ALL) for number in (1, 2, 3)]
    assert [search_query and search_query.column for search_query in columns] == [
        "combined",
        "image",
        "text",
    ]
    assert shop.search.vectors("no such product", ALL) is None


def test_queries_of_other_models_are_refused(shop: Shop) -> None:
    fill(shop, 1)
    shop.search.require(MODELS)
    with pytest.raises(ModelMismatchError):
        shop.search.require(ModelPair(image="another@2", text=MODELS.text))


def confirmed(number: int, photo: Vector, owner: str | None = None) -> ConfirmedScan:
    return ConfirmedScan(
        id=f"{number} {owner}",
        owner=owner,
        product=product_id(number),
        model=MODELS.image,
        vectors=[photo],
        resembles=number % 2 == 0,
    )


@pytest.mark.parametrize("column", ["image", "combined"])
def test_a_product_is_found_by_a_photo_that_was_confirmed(shop: Shop, column: Modality) -> None:
    fill(shop, 6)
    shop.search.require(MODELS)
    photo, mean = image_of("photo"), image_of("mean")
    centre = Centre(catalogue=image_of("1.png"), scans=mean)
    asked = SearchQuery(column=column, vector=photo, image=photo, centre=centre)
    before = {one.id for one in shop.search.candidates(asked, ALL, 2)}
    far = next(number for number in range(1, 7) if product_id(number) not in before)
    shop.confirm(confirmed(far, photo))
    assert {one.id for one in shop.search.candidates(asked, ALL, 2)} == before
    found = shop.search.candidates(replace(asked, confirmed=True), ALL, 2)
    pairs = {one.id: one.confirmed for one in found}
    assert pairs.keys() == {*before, product_id(far)}
    assert pairs[product_id(far)] == [[pytest.approx(1, abs=1e-5), float(far % 2 == 0)]]
    assert [pairs[id_] for id_ in before] == [None, None]


def test_confirmed_photos_are_compared_after_subtracting_the_mean_of_scans(shop: Shop) -> None:
    fill(shop, 2)
    shop.search.require(MODELS)
    photo, other, mean = image_of("photo"), image_of("other"), image_of("mean") * np.float32(0.4)
    shop.confirm(confirmed(1, other))
    asked = replace(by_image(photo), confirmed=True)
    plain = float(photo @ other)
    centred = (photo - mean) @ (other - mean)
    centred /= np.linalg.norm(photo - mean) * np.linalg.norm(other - mean)
    centre = Centre(catalogue=mean, scans=mean)
    for query, cosine in ((asked, plain), (replace(asked, centre=centre), float(centred))):
        pairs = {one.id: one.confirmed for one in shop.search.candidates(query, ALL, 5)}
        assert pairs[product_id(1)] == [[pytest.approx(cosine, abs=1e-5), 0.0]]


def test_a_photo_counts_for_the_owner_whose_products_were_scanned(shop: Shop) -> None:
    fill(shop, 4)  # of the owners "0" and "1" in turn
    shop.search.require(MODELS)
    photo = image_of("photo")
    asked = replace(by_image(photo), confirmed=True)
    shop.confirm(confirmed(1, photo, "1"))
    shop.confirm(confirmed(2, photo, "1"))
    shop.confirm(confirmed(4, photo))

    def known(owner: str | None) -> set[str]:
        found = shop.search.candidates(asked, Filters(owner=owner), 5)
        return {one.id for one in found if one.confirmed}

    assert known("1") == {product_id(1)}
    assert known("0") == {product_id(4)}
    assert known(None) == {product_id(1), product_id(2), product_id(4)}
