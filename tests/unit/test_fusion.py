import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.fusion import combine, fusion_name, mean_of
from shelfsight.records import Vector, Weights


def unit(width: int, seed: int) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(width).astype(np.float32)
    return vector / np.linalg.norm(vector)


def axis(width: int, position: int) -> Vector:
    vector = np.zeros(width, np.float32)
    vector[position] = 1
    return vector


SEEDS = st.integers(0, 10_000)
WEIGHT = st.floats(0, 1e300) | st.sampled_from([0.0, 1e-308, 1.0, 1.7e308])
WEIGHTS = st.builds(lambda image, text: Weights(image=image, text=text), WEIGHT, WEIGHT).filter(
    lambda weights: weights.image > 0 or weights.text > 0
)


def test_the_combined_vector_is_the_weighted_mean_of_image_and_cut_text():
    image, text = unit(768, 1), unit(1024, 2)
    cut = text[:768] / np.linalg.norm(text[:768])
    expected = 0.7 * image + 0.3 * cut

    combined = combine(image, text, Weights())

    assert combined is not None
    assert combined.dtype == np.float32
    np.testing.assert_allclose(combined, expected / np.linalg.norm(expected), atol=1e-6)


@given(SEEDS, WEIGHTS)
def test_one_vector_alone_serves_as_combined_whatever_its_weight(seed: int, weights: Weights):
    image, text = unit(768, seed), unit(1024, seed)

    from_image, from_text = combine(image, None, weights), combine(None, text, weights)

    assert from_image is not None
    assert np.array_equal(from_image, image)
    assert from_text is not None
    np.testing.assert_allclose(from_text, text[:768] / np.linalg.norm(text[:768]), atol=1e-6)
    assert combine(None, None, weights) is None


@given(SEEDS, SEEDS, WEIGHTS)
def test_a_combined_vector_always_has_length_one(image: int, text: int, weights: Weights):
    combined = combine(unit(768, image), unit(1024, text), weights)

    assert combined is not None
    assert np.linalg.norm(combined) == pytest.approx(1, abs=1e-5)


@given(SEEDS)
def test_a_weight_of_zero_leaves_the_other_vector(seed: int):
    image, text = unit(768, seed), unit(1024, seed + 1)

    only_image = combine(image, text, Weights(image=1, text=0))
    only_text = combine(image, text, Weights(image=0, text=1))

    np.testing.assert_allclose(only_image, image, atol=1e-6)
    np.testing.assert_allclose(only_text, combine(None, text, Weights()), atol=1e-6)


def test_a_text_vector_without_weight_in_its_first_numbers_counts_as_none():
    image, text = unit(768, 1), axis(1024, 1000)

    assert np.array_equal(combine(image, text, Weights()), image)
    assert combine(None, text, Weights()) is None


def test_image_and_text_that_cancel_out_leave_the_image():
    combined = combine(axis(768, 3), -axis(1024, 3), Weights(image=1, text=1))

    assert np.array_equal(combined, axis(768, 3))


def test_several_pictures_give_their_renormalised_mean():
    first, second = axis(768, 0), axis(768, 1)

    mean = mean_of([first, second])

    assert mean is not None
    np.testing.assert_allclose(mean[:2], [0.5**0.5, 0.5**0.5], atol=1e-6)
    assert np.linalg.norm(mean) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(mean_of([first]), first)
    assert np.array_equal(mean_of([first, -first]), first)
    assert mean_of([]) is None


def test_equal_ratios_have_equal_names_and_others_do_not():
    assert fusion_name(Weights(image=7, text=3)) == "weighted-mean:0.7:0.3"
    assert fusion_name(Weights()) == "weighted-mean:0.7:0.3"
    assert fusion_name(Weights(image=1.4e308, text=0.6e308)) == "weighted-mean:0.7:0.3"
    assert fusion_name(Weights(image=1, text=0)) == "weighted-mean:1:0"
    assert fusion_name(Weights(image=2, text=1)) != fusion_name(Weights(image=3, text=1))
