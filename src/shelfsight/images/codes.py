"""Reads the barcodes and QR codes in a photo."""

from collections.abc import Iterator
from math import hypot
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from shelfsight.records import Pixels

MAX_CODES = 8
"""The most codes of one photo that are returned."""

_LINEAR: Final = (
    zxingcpp.BarcodeFormat.EANUPC,
    zxingcpp.BarcodeFormat.Code128,
    zxingcpp.BarcodeFormat.Code39,
    zxingcpp.BarcodeFormat.ITF,
)
_BARS: Final = zxingcpp.BarcodeFormats(_LINEAR)
_ALL: Final = zxingcpp.BarcodeFormats(
    (*_LINEAR, zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.DataMatrix)
)

_STEP: Final = 2
"""Gradients are computed at every second pixel of every second row."""

_BLOCK: Final = 8
"""The side of a block, in gradients."""

_PLACES: Final = 2
"""How many of the most striped places of a photo are looked at."""

_APART: Final = 5
"""Two such places are at least this many blocks apart."""

_SCALE: Final = 2
"""A strip has this many pixels along its length for each pixel of the photo."""

_ROWS: Final = 40
"""The height of a strip, in pixels of the photo."""

_BANDS: Final = 5
"""The rows of a strip are averaged in this many bands."""

_LOCAL: Final = 120
"""Brightness is compared with the mean of this many pixels of a strip on either side."""

_SHARPEN: Final = 3.0
_BLUR: Final = 3
"""A strip is sharpened: this many times its difference to itself, blurred by that many pixels."""


def read_codes(photo: Image.Image) -> tuple[str, ...]:
    """Return the texts of the codes in a photo of any mode, without those that fail their checksum.

    The photo is read as it is, which finds two-dimensional codes at any angle, and bars that are
    nearly upright or level; bars at other angles are sometimes misread. So the most striped places
    are also looked at: a strip across the stripes is cut out, its light evened, and sharpened. Of
    EAN-13 codes 240 pixels wide, this finds 60 of 60 at any angle, and with a blur of 1 pixel
    (`benchmarks/codes.py`).

    Believe a code only if it is that of a product.
    """
    grey = photo.convert("L")
    found = _texts(zxingcpp.read_barcodes(grey, formats=_ALL, try_invert=False))
    for place in _striped_places(np.asarray(grey)):
        across = _texts(
            zxingcpp.read_barcodes(
                _legible(_cut(grey, place)),
                formats=_BARS,
                try_invert=False,
                try_rotate=False,
                try_downscale=False,
            )
        )
        found += across
        if across:
            break
    return tuple(dict.fromkeys(found))[:MAX_CODES]


def _texts(barcodes: list[zxingcpp.Barcode]) -> list[str]:
    return [text for barcode in barcodes if (text := barcode.text.strip())]


class _Stripes(NamedTuple):
    """The middle of a striped place, in pixels, and the direction across its stripes."""

    x: float
    y: float
    across: float
    """In radians, clockwise from the x axis."""


def _striped_places(grey: "Pixels") -> Iterator[_Stripes]:
    """Find places whose brightness changes in one direction only, the most striped first.

    The structure tensor of a place (Bigün and Granlund 1987) has the eigenvalues `a` >= `b`. The
    score (a - b)² / (a + b) is high where changes are strong and all in one direction, as in bars.
    """
    size = _STEP * _BLOCK
    height, width = ((length - 2) // size * size for length in grey.shape)
    if min(height, width) <= 0:
        return
    light = grey.astype(np.int16)
    rows, columns = slice(1, height + 1, _STEP), slice(1, width + 1, _STEP)
    right, left = light[rows, 2 : width + 2 : _STEP], light[rows, :width:_STEP]
    below, above = light[2 : height + 2 : _STEP, columns], light[:height:_STEP, columns]
    dx, dy = (right - left).astype(np.float32), (below - above).astype(np.float32)
    xx, yy, xy = (_by_block(product) for product in (dx * dx, dy * dy, dx * dy))
    score = ((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 1)
    for _ in range(_PLACES):
        i, j = np.unravel_index(int(np.argmax(score)), score.shape)
        if not score[i, j]:
            return
        across = float(np.arctan2(2 * xy[i, j], xx[i, j] - yy[i, j])) / 2
        yield _Stripes((j + 0.5) * size + 1, (i + 0.5) * size + 1, across)
        score[max(0, i - _APART) : i + _APART + 1, max(0, j - _APART) : j + _APART + 1] = 0


def _by_block(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum values over each block and its eight neighbours."""
    height, width = values.shape
    sums = values.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).sum((1, 3))
    padded = np.pad(sums, 1)
    tall = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray(tall[:, :-2] + tall[:, 1:-1] + tall[:, 2:])


def _cut(grey: Image.Image, place: _Stripes) -> NDArray[np.float32]:
    """Cut a strip as long as the photo's diagonal, across the stripes; float32 (rows, length)."""
    width, height = round(hypot(*grey.size) * _SCALE), _ROWS
    cos, sin = float(np.cos(place.across)), float(np.sin(place.across))
    x = place.x - cos / _SCALE * width / 2 + sin * height / 2
    y = place.y - sin / _SCALE * width / 2 - cos * height / 2
    matrix = (cos / _SCALE, -sin, x, sin / _SCALE, cos, y)
    strip = grey.transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=128
    )
    return np.asarray(strip, np.float32)


def _legible(strip: NDArray[np.float32]) -> "Pixels":
    """Average the rows in bands, even out the light along them, and sharpen."""
    bands = strip.reshape(_BANDS, -1, strip.shape[1]).mean(1)
    bands -= _local_mean(bands, _LOCAL)
    bands /= np.sqrt(_local_mean(bands**2, _LOCAL)) + 2
    blurred = _local_mean(_local_mean(bands, _BLUR), _BLUR)
    sharp = bands + _SHARPEN * (bands - blurred)
    # zxing-cpp wants several equal rows before it believes a code
    return np.asarray(np.clip(128 + 60 * sharp, 0, 255), np.uint8).repeat(6, axis=0)


def _local_mean(rows: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Return the mean of each value and `reach` others on either side, by a running sum."""
    padded = np.pad(rows, ((0, 0), (reach + 1, reach)), mode="edge")
    sums = np.cumsum(padded, axis=1, dtype=np.float64)
    width = 2 * reach + 1
    return np.asarray((sums[:, width:] - sums[:, :-width]) / width, np.float32)
