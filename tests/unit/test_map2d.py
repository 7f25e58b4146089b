"""The projection of vectors onto a map."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.records import ModelPair, Vector
from shelfsight.scan import mean_centering
from shelfsight.serving.scan_api.page.map2d import Plane, fit

WIDTH = 64
"""Vector width: smaller than 768, for speed."""

CENTRED = ModelPair(image="efficientnet-lite1-lite2-int8@1", text="any@1")
PLAIN = ModelPair(image="another@1", text="any@1")


def groups(seed: int, each: int = 20) -> np.ndarray:
    """Unit vectors (3 * each, 64) in three clusters."""
    random = np.random.default_rng(seed)
    middles = np.repeat(random.standard_normal((3, WIDTH)), each, axis=0)
    vectors = middles + 0.3 * random.standard_normal((3 * each, WIDTH))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def nearest(plane: Plane, vectors: np.ndarray, place: tuple[float, float]) -> int:
    return int(np.linalg.norm(plane.project(vectors) - np.array(place), axis=1).argmin())


def scores(vectors: np.ndarray, photo: Vector, plane: Plane, models: ModelPair) -> np.ndarray:
    """The image scores of a scan for these products, with the models' kind of comparison."""
    if mean_centering.helps(models):
        vectors = np.array([mean_centering.centred(vector, plane.mean) for vector in vectors])
        photo = mean_centering.centred(photo, plane.mean)
    return vectors @ photo


@given(st.integers(0, 1000))
def test_what_looks_alike_lies_together(seed: int) -> None:
    vectors = groups(seed)
    places = fit(vectors).project(vectors).reshape(3, 20, 2)
    middles = places.mean(axis=1)
    apart = min(np.linalg.norm(middles[i] - middles[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert np.linalg.norm(places - middles[:, None], axis=2).max() < apart / 2


def test_the_same_vectors_give_the_same_picture_in_any_order() -> None:
    vectors = groups(1)
    mixed = vectors[np.random.default_rng(0).permutation(len(vectors))]
    assert np.allclose(fit(vectors).project(vectors), fit(mixed).project(vectors), atol=1e-4)


def test_distances_in_the_plane_are_never_larger_than_the_real_ones() -> None:
    vectors = groups(2)
    plane = fit(vectors)
    places = plane.project(vectors)
    real = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    assert (np.linalg.norm(places[:, None] - places[None], axis=2) <= real + 1e-4).all()
    assert 0.5 < plane.explained <= 1


@given(st.integers(0, 2))
def test_few_products_have_a_map_too(count: int) -> None:
    vectors = groups(3)[:count]
    plane = fit(vectors)
    assert np.isfinite(plane.project(vectors)).all()
    assert 0 <= plane.explained <= 1.0001


@given(st.integers(0, 59), st.sampled_from([CENTRED, PLAIN]))
def test_a_photo_lands_among_the_products_that_it_is_like(which: int, models: ModelPair) -> None:
    vectors = groups(4)
    plane = fit(vectors)
    blur = np.random.default_rng(which).standard_normal(WIDTH).astype(np.float32)
    photo = vectors[which] + 0.3 * blur / np.linalg.norm(blur)
    photo /= np.linalg.norm(photo)
    said = scores(vectors, photo, plane, models)
    shown = np.argsort(-said)[:10]
    place = plane.locate_by_scores(vectors[shown], said[shown], models)
    assert nearest(plane, vectors, place) // 20 == which // 20


def test_the_scores_of_a_few_matches_tell_about_where_a_photo_lies() -> None:
    vectors = groups(5)
    plane = fit(vectors)
    photo = vectors[:10].mean(axis=0)
    photo /= np.linalg.norm(photo)
    said = scores(vectors[:10], photo, plane, PLAIN)
    place = plane.locate_by_scores(vectors[:10], said, PLAIN)
    true = plane.project(photo[None])[0]
    spread = plane.project(vectors).std(axis=0)
    assert np.linalg.norm((np.array(place) - true) / spread) < 0.3


def test_another_catalogue_has_another_version() -> None:
    assert fit(groups(6)).version == fit(groups(6)).version != fit(groups(7)).version
