"""Resizing gives what Pillow gives, whichever library does it."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shelfsight.images.resize import (
    MAX_SIMD_PIXELS,
    PartResizer,
    part_resizer,
    pillow_resizer,
    resize,
    simd,
    simd_resizer,
)
from shelfsight.records import PictureFormat

THERE = [pillow_resizer] if simd is None else [pillow_resizer, simd_resizer]
BOTH = pytest.mark.parametrize("resizer", THERE)
ROUNDING = 2
FORMATS = [PictureFormat(side=24, resample="bilinear"), PictureFormat(side=24, resample="bicubic")]


def noise(width: int, height: int) -> Image.Image:
    """Random pixels: the hardest case for two libraries to round alike.

    Bicubic overshoots by less than 80 here, so nothing is clipped.
    """
    values = np.random.default_rng(width).integers(80, 176, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def pillows(image: Image.Image, form: PictureFormat, box: tuple[int, int, int, int]) -> np.ndarray:
    resample = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    return np.array(image.resize((form.side, form.side), resample[form.resample], box=box), int)


@BOTH
@given(data=st.data())
def test_any_part_of_any_picture_is_what_pillow_makes_of_it(resizer, data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right = data.draw(st.integers(left + 1, width))
    bottom = data.draw(st.integers(top + 1, height))
    form, box = data.draw(st.sampled_from(FORMATS)), (left, top, right, bottom)
    image = noise(width, height)
    made = resizer(image, form)(box)
    assert (made.dtype, made.shape) == (np.uint8, (24, 24, 3))
    assert made.flags.c_contiguous
    assert made.flags.writeable
    allowed = 0 if resizer is pillow_resizer else ROUNDING
    assert np.abs(made - pillows(image, form, box)).max() <= allowed


@BOTH
def test_a_picture_that_has_the_size_stays_as_it_is(resizer) -> None:
    image = noise(24, 24)
    for form in FORMATS:
        assert np.array_equal(resizer(image, form)((0, 0, 24, 24)), np.asarray(image))


def test_pillow_resizes_what_is_smaller_than_the_side_or_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Narrow strips, to save time."""
    by_others: list[tuple[int, int]] = []

    def counted(image: Image.Image, form: PictureFormat, _size: None) -> PartResizer:
        by_others.append(image.size)
        return pillow_resizer(image, form)

    monkeypatch.setattr("shelfsight.images.resize.simd", "there")
    monkeypatch.setattr("shelfsight.images.resize.simd_resizer", counted)
    sizes = [(23, 300), (24, 24), (MAX_SIMD_PIXELS // 24, 24), (MAX_SIMD_PIXELS // 24 + 1, 24)]
    for size in sizes:
        assert resize(Image.new("RGB", size, "red"), FORMATS[0]).mean() == 85
    assert by_others == sizes[1:3]


def test_a_picture_of_one_file_is_the_same_each_time() -> None:
    file = BytesIO()
    noise(500, 400).save(file, "PNG")
    first, again = (part_resizer(Image.open(file), FORMATS[0]) for _ in range(2))
    assert np.array_equal(first((10, 10, 300, 400)), again((10, 10, 300, 400)))
