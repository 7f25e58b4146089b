"""The photos of the stress table: each shows its product, and each is hard in its own way."""

import numpy as np
import pytest
from benchmarks.photo_conditions import CONDITIONS, SIDE, covered, laid, lit
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shelfsight.images.synthetic_photo import SIDE as SYNTHETIC_SIDE

SIZES = st.tuples(st.integers(1, 90), st.integers(1, 90))


def striped(size: tuple[int, int], shade: int = 0) -> Image.Image:
    columns = (np.arange(size[0]) * 40 + shade) % 256
    return Image.fromarray(np.tile(columns.astype(np.uint8)[None, :, None], (size[1], 1, 3)))


def taken(name: str, size: tuple[int, int]) -> np.ndarray:
    others = [striped((30, 20), shade) for shade in (50, 90, 130, 170)]
    photo = CONDITIONS[name](striped(size), others, np.random.default_rng(1))
    assert photo.mode == "RGB"
    return np.asarray(photo)


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_photo_is_always_the_same_and_differs_from_the_easy_one(name: str) -> None:
    photo = taken(name, (60, 40))
    assert photo.shape in {(SIDE, SIDE, 3), (SYNTHETIC_SIDE, SYNTHETIC_SIDE, 3)}
    np.testing.assert_array_equal(photo, taken(name, (60, 40)))
    easy = taken("nothing", (60, 40))
    assert name == "nothing" or photo.shape != easy.shape or (photo != easy).any()


@settings(max_examples=25, deadline=None)
@given(size=SIZES)
def test_a_picture_of_any_size_takes_its_share_of_the_photo(size: tuple[int, int]) -> None:
    white = np.asarray(laid(Image.new("RGB", size, "white"))).min(axis=2) == 255
    across, down = white.any(axis=0).sum(), white.any(axis=1).sum()
    assert max(across, down) == pytest.approx(SIDE * 0.75, abs=1)
    assert across / down == pytest.approx(size[0] / size[1], rel=0.5, abs=1)


@settings(max_examples=25, deadline=None)
@given(size=st.tuples(st.integers(20, 90), st.integers(20, 90)), share=st.floats(0.1, 0.9))
def test_so_much_is_covered_as_is_said(size: tuple[int, int], share: float) -> None:
    white = Image.new("RGB", size, "white")
    whole, left = (
        (np.asarray(photo).min(axis=2) == 255).sum()
        for photo in (laid(white), covered(white, share=share))
    )
    assert left / whole == pytest.approx(1 - share, abs=0.03)


@settings(max_examples=25, deadline=None)
@given(light=st.floats(0.1, 1))
def test_less_light_makes_all_of_a_photo_darker(light: float) -> None:
    bright = np.asarray(laid(striped((60, 40))), float)
    dark = np.asarray(lit(striped((60, 40)), light=(light, light, light)), float)
    assert np.abs(dark - bright * light).max() <= 1
