"""The mean of scanned photos: it helps, and photos that are all alike do no harm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.records import Vector
from shelfsight.scan.matching import Means
from shelfsight.scan.mean_centering import centre_of, centred, diversity

WIDTH, PRODUCTS, PHOTOS = 32, 50, 40


def unit(vectors: Vector) -> Vector:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / lengths).astype(np.float32)


def shop(seed: int) -> tuple[Vector, Vector]:
    """Pictures of products, and photos of each: both kinds have something in common."""
    rng = np.random.default_rng(seed)
    products, of_pictures, of_photos = (
        rng.normal(size=size) for size in ((PRODUCTS, WIDTH), WIDTH, WIDTH)
    )
    noise = 0.5 * rng.normal(size=(PRODUCTS, PHOTOS, WIDTH))
    photos = products[:, np.newaxis] + 2 * of_photos + noise
    return unit(products + of_pictures), unit(photos)


def right(photos: Vector, pictures: Vector, means: Means) -> float:
    """The share of photos (products, ..., width) whose product has the nearest picture."""
    centre = centre_of(means)
    compared = np.array([centred(one, centre.catalogue) for one in pictures])
    found = [
        int(np.argmax(compared @ centred(photo, centre.scans))) == product
        for product, several in enumerate(photos)
        for photo in several
    ]
    return float(np.mean(found))


@given(seed=st.integers(0, 1000), scans=st.integers(1, 10_000))
def test_scans_of_one_product_do_not_hide_it(seed: int, scans: int):
    pictures, photos = shop(seed)
    before = Means(catalogue=pictures.mean(axis=0))
    after = Means(catalogue=before.catalogue, scans=photos[0].mean(axis=0), count=scans)
    assert right(photos[:1], pictures, after) >= right(photos[:1], pictures, before) - 0.1


def test_photos_of_many_products_tell_what_photos_have_in_common():
    pictures, photos = shop(1)
    unknown = Means(catalogue=pictures.mean(axis=0))
    known = Means(catalogue=unknown.catalogue, scans=photos.mean(axis=(0, 1)), count=200)
    assert diversity(known) > 0.5
    assert right(photos, pictures, known) > right(photos, pictures, unknown)


@pytest.mark.parametrize("count", [0, 1])
def test_a_single_photo_says_nothing_of_others(count: int):
    pictures, photos = shop(1)
    scans = photos[0, 0] if count else None
    assert diversity(Means(catalogue=pictures.mean(axis=0), scans=scans, count=count)) == 0


def test_a_catalogue_of_one_picture_has_nothing_to_compare_with():
    pictures, photos = shop(1)
    means = Means(catalogue=pictures[0], scans=photos.mean(axis=(0, 1)), count=50)
    assert diversity(means) == 1
