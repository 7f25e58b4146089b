"""Synthetic photos: any picture gives one, each is another, and the same chance gives the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shelfsight.images.synthetic_photo import SIDE, synthetic_photo
from shelfsight.scan.self_calibration import words_of


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    mode=st.sampled_from(["RGB", "L", "RGBA", "P"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_picture_gives_a_photo(size: tuple[int, int], mode: str, seed: int) -> None:
    photo = synthetic_photo(Image.new(mode, size), np.random.default_rng(seed))
    assert (photo.size, photo.mode) == ((SIDE, SIDE), "RGB")


def test_the_same_chance_takes_the_same_photo_and_another_one_another() -> None:
    picture = Image.effect_noise((80, 120), 90)
    one, same, other = (
        synthetic_photo(picture, np.random.default_rng(seed)).tobytes() for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


@pytest.mark.parametrize("text", ["", "mug", "a b c", "\n\n", "8"])
def test_a_title_of_one_word_or_none_gives_no_words(text: str) -> None:
    assert words_of(text, np.random.default_rng(1)) is None


@given(st.text(max_size=80), st.integers(0, 1000))
def test_words_are_some_but_not_all_of_the_title(text: str, seed: int) -> None:
    words = words_of(text, np.random.default_rng(seed))
    if words is not None:
        assert 1 <= len(words.split()) <= 3
        assert words.split()[0] in text.lower()
