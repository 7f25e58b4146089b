"""Describes the colours of a picture by a histogram, beside the vector of the image model.

The histogram is over CIE L*a*b*, in which equal distances look equally different. Each pixel counts
for the eight bins around its colour, in proportion to its nearness, so that a little more light or
another white balance moves it little. The square roots of the shares are a vector of unit length;
the cosine of two such vectors is the Bhattacharyya coefficient of the histograms.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from shelfsight.records import COLOR_WIDTH, Pixels, Vector

NAME = "lab-4x8x8"
"""The identity of these histograms, under which the mean of scanned photos is stored."""

_BINS = (4, 8, 8)
"""The bins of L*, a* and b*. Other numbers, no white pixels and only the closest view were as good
at most on the photos of groceries (docs/figures.md)."""

_LOWEST = (0.0, -80.0, -80.0)
_HIGHEST = (100.0, 80.0, 80.0)
_BITS = 5
"""Colours are told apart by the upper bits of red, of green and of blue."""

_LEVELS = 2**_BITS

Table = tuple[NDArray[np.int64], NDArray[np.float64]]


def color_histogram(pixels: Pixels) -> Vector:
    """Return the histogram of a picture, (256,), with square roots of shares: a unit vector."""
    red, green, blue = (pixels.reshape(-1, 3) >> (8 - _BITS)).T.astype(np.uint16)
    codes = (red << 2 * _BITS) | (green << _BITS) | blue
    counts = np.bincount(codes, minlength=_LEVELS**3)
    there = np.flatnonzero(counts > 0)  # of bool, it takes a quarter of the time
    bins, weights = _table()
    weighted = weights[there] * counts[there, None]
    filled = np.bincount(bins[there].ravel(), weighted.ravel(), minlength=COLOR_WIDTH)
    return np.sqrt(filled / len(codes)).astype(np.float32)


def color_histograms(pictures: Sequence[Pixels]) -> list[Vector]:
    """Return the histogram of each picture."""
    return [color_histogram(pixels) for pixels in pictures]


@cache
def _table() -> Table:
    """Return the eight bins of each colour, (levels**3, 8), and what it counts for each."""
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    lab = _lab(np.array(list(product(levels, repeat=3))))
    counts = np.array(_BINS)
    low, high = np.array(_LOWEST), np.array(_HIGHEST)
    places = np.clip((lab - low) / (high - low) * counts - 0.5, 0, counts - 1)
    below = np.floor(places).astype(np.int64)
    rest = places - below
    bins, weights = [], []
    for corner in product((0, 1), repeat=3):
        step = np.array(corner)
        lightness, a, b = np.minimum(below + step, counts - 1).T
        bins.append((lightness * _BINS[1] + a) * _BINS[2] + b)
        weights.append(np.where(step, rest, 1 - rest).prod(axis=1))
    return np.stack(bins, axis=1), np.stack(weights, axis=1)


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert sRGB colours in [0, 1], (n, 3), to CIE L*a*b* under the light D65."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
