"""Colours: a histogram stays like itself in another light, and unlike that of other colours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.models.color_histogram import color_histogram
from shelfsight.records import Pixels

SHADES = {
    "red": (170, 40, 40),
    "green": (60, 130, 60),
    "blue": (50, 70, 160),
    "yellow": (190, 170, 50),
    "brown": (110, 75, 50),
    "grey": (128, 128, 128),
}


def painted(name: str, seed: int = 0) -> Pixels:
    """A picture of one colour, with the noise of a camera."""
    noise = np.random.default_rng(seed).normal(0, 6, (32, 32, 3))
    return np.clip(np.array(SHADES[name]) + noise, 0, 255).astype(np.uint8)


@given(st.binary(min_size=48, max_size=48))
def test_a_histogram_has_unit_length_and_knows_no_places(content: bytes) -> None:
    pixels = np.frombuffer(content, np.uint8).reshape(4, 4, 3)
    histogram = color_histogram(pixels)
    assert histogram.shape == (256,)
    assert histogram.dtype == np.float32
    assert float(histogram @ histogram) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(color_histogram(pixels[::-1, ::-1]), histogram, atol=1e-6)


@given(
    name=st.sampled_from(sorted(SHADES)),
    light=st.floats(0.8, 1.2),
    balance=st.tuples(*[st.floats(0.95, 1.05)] * 3),
)
def test_a_colour_is_nearest_to_itself_in_another_light(
    name: str, light: float, balance: tuple[float, float, float]
) -> None:
    seen = np.clip(painted(name, 1) * light * np.array(balance), 0, 255).astype(np.uint8)
    photo = color_histogram(seen)
    likeness = {other: float(color_histogram(painted(other)) @ photo) for other in SHADES}
    assert max(likeness, key=likeness.__getitem__) == name


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_are_colours_too(level: int) -> None:
    histogram = color_histogram(np.full((8, 8, 3), level, np.uint8))
    assert float(histogram @ histogram) == pytest.approx(1, abs=1e-5)
