"""Fitting vectors to their column keeps cosines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shelfsight.embedding.width import fit_width, projection

FINITE = st.floats(-(2.0**99), 2.0**99, width=32).filter(lambda x: x == 0 or abs(x) > 2.0**-99)


@given(arrays(np.float32, (2, 5), elements=FINITE))
def test_padding_keeps_cosines(vectors: np.ndarray):
    fitted = fit_width(vectors, 8)
    assert fitted.shape == (2, 8)
    assert fitted.dtype == np.float32
    for row, result in zip(vectors.astype(np.float64), fitted, strict=True):
        if row.any():
            np.testing.assert_allclose(result[:5], row / np.linalg.norm(row), atol=1e-5)
            assert not result[5:].any()
        else:
            assert np.isnan(result[:5]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_stays_so_and_spoils_no_other(bad: float):
    fitted = fit_width(np.array([[1, bad], [3, 4]], dtype=np.float32), 3)
    assert np.isnan(fitted[0]).any()
    np.testing.assert_allclose(fitted[1], [0.6, 0.8, 0], atol=1e-6)


def test_wider_vectors_become_unit_vectors_that_keep_who_is_near():
    random = np.random.RandomState(1)
    vectors = random.standard_normal((20, 1280)).astype(np.float32)
    near = vectors + 0.3 * random.standard_normal(vectors.shape).astype(np.float32)
    fitted, found = fit_width(vectors, 768), fit_width(near, 768)
    np.testing.assert_allclose(np.linalg.norm(fitted, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal((found @ fitted.T).argmax(axis=1), np.arange(20))


def test_a_projection_is_orthonormal_and_keeps_what_it_was_told_to():
    first = np.random.RandomState(0).standard_normal((40, 6)).astype(np.float32)
    matrix = projection(first, 24)
    assert matrix.shape == (40, 24)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(24), atol=1e-5)
    np.testing.assert_allclose(matrix @ (matrix.T @ first), first, atol=1e-5)


def test_a_projection_is_the_same_everywhere():
    first = np.eye(6, 2, dtype=np.float32)
    expected = [0, 0, -0.638916, 0.490590, -0.536400, -0.251759]
    np.testing.assert_allclose(projection(first, 3)[:, 2], expected, atol=1e-6)
