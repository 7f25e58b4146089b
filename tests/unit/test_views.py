"""A photo is looked at as a whole, and ever closer to its centre."""

import numpy as np
import pytest
from PIL import Image

from shelfsight.images.views import views
from shelfsight.records import PictureFormat

FORMAT = PictureFormat(side=32, resample="bicubic")


def framed(size: int) -> Image.Image:
    """A white photo whose middle half is black."""
    photo = Image.new("RGB", (size, size), "white")
    photo.paste("black", (size // 4, size // 4, size - size // 4, size - size // 4))
    return photo


@pytest.mark.parametrize("size", [40, 400, 4000])
def test_each_look_is_closer_than_the_one_before(size: int) -> None:
    looks = views(framed(size), 3, FORMAT)
    assert [look.shape for look in looks] == [(32, 32, 3)] * 3
    shares = [float((look < 128).mean()) for look in looks]
    for share, expected in zip(shares, (0.5**2, (0.5 / 0.8) ** 2, (0.5 / 0.6) ** 2), strict=True):
        assert share == pytest.approx(expected, abs=0.06)


def test_a_single_look_is_the_whole_photo_as_the_model_wants_it() -> None:
    photo = Image.effect_noise((60, 40), 80).convert("RGB")
    (look,) = views(photo, 1, FORMAT)
    whole = np.asarray(photo.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(look, whole)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_any_number_of_looks_at_any_photo(count: int) -> None:
    for size in ((1, 1), (3, 500), (25, 25)):
        looks = views(Image.new("RGB", size), count, FORMAT)
        assert [look.shape for look in looks] == [(32, 32, 3)] * count
