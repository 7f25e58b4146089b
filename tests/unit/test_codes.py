"""The codes in a photo are read at any angle; a picture without a code has none."""

import numpy as np
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from shelfsight.images.codes import MAX_CODES, read_codes
from shelfsight.scan.product_codes import spellings

SIZE = (640, 480)


def label(text: str, kind: zxingcpp.BarcodeFormat, width: int) -> Image.Image:
    drawn = zxingcpp.write_barcode_to_image(
        zxingcpp.create_barcode(text, kind), scale=6, add_quiet_zones=True
    )
    picture = Image.fromarray(np.array(drawn)).convert("L")
    size = (width, round(picture.height * width / picture.width))
    return picture.resize(size, Image.Resampling.LANCZOS)


def photo(sticker: Image.Image, angle: float, *, seed: int = 0) -> Image.Image:
    """A photo of rough paper, with a sticker on it."""
    grain = np.random.default_rng(seed).integers(90, 200, (SIZE[1] // 8, SIZE[0] // 8), np.uint8)
    paper = Image.fromarray(grain).resize(SIZE, Image.Resampling.BICUBIC).convert("RGB")
    mask = Image.new("L", sticker.size, 255).rotate(angle, expand=True)
    turned = sticker.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    left, top = ((SIZE[n] - turned.size[n]) // 2 for n in (0, 1))
    paper.paste(turned.convert("RGB"), (left, top), mask)
    return paper


@settings(max_examples=25)
@given(
    code=st.from_regex("[0-9]{12}", fullmatch=True),
    angle=st.floats(0, 360),
    width=st.integers(290, 400),
    blur=st.sampled_from([0, 0.7]),
)
def test_an_ean_13_is_read_at_any_angle(code: str, angle: float, width: int, blur: float) -> None:
    sticker = label(code, zxingcpp.BarcodeFormat.EAN13, width)
    read = read_codes(photo(sticker, angle).filter(ImageFilter.GaussianBlur(blur)))
    assert zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.EAN13).text in read


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 200])
@pytest.mark.parametrize(
    ("kind", "text", "width"),
    [
        (zxingcpp.BarcodeFormat.QRCode, "https://shop.example/p/tea-1", 160),
        (zxingcpp.BarcodeFormat.DataMatrix, "TEA-1", 120),
        (zxingcpp.BarcodeFormat.Code128, "TEA-1", 330),
        (zxingcpp.BarcodeFormat.EAN8, "96385074", 280),
        (zxingcpp.BarcodeFormat.UPCA, "036000291452", 330),
    ],
    ids=lambda value: str(value).rpartition(".")[2],
)
def test_each_kind_of_code_is_read(
    kind: zxingcpp.BarcodeFormat, text: str, width: int, angle: float
) -> None:
    read = read_codes(photo(label(text, kind, width), angle))
    assert text in {spelling for code in read for spelling in spellings(code)}


@given(seed=st.integers(0, 2**32 - 1), side=st.integers(1, 200))
def test_pictures_of_any_size_without_a_code_have_none(seed: int, side: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (side, 200 - side + 1, 3), np.uint8)
    assert len(read_codes(Image.fromarray(noise))) <= MAX_CODES
    assert read_codes(Image.new("RGB", (side, 40), "teal")) == ()
