"""From an image vector and a text vector to one combined vector.

The combined vector is the weighted mean of unit vectors, renormalised. The text vector is cut to
its first 768 numbers and renormalised before (a shorter vector of a Matryoshka model).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shelfsight.records import COMBINED_WIDTH, Vector, Weights

NEGLIGIBLE = 1e-6
"""A part of a unit vector shorter than this is rounding noise of float32, and has no direction."""


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """`seams.Fusion` with these weights."""

    weights: Weights

    @property
    def name(self) -> str:
        """The scheme and its weights, as stored beside each combined vector."""
        return fusion_name(self.weights)

    def combine(self, image: Vector | None, text: Vector | None) -> Vector | None:
        """A unit vector (768,) of an image (768,) and a text vector (1024,)."""
        return combine(image, text, self.weights)


def combine(image: Vector | None, text: Vector | None, weights: Weights) -> Vector | None:
    """Combine unit vectors of shape (768,) and (1024,) into one of shape (768,).

    With one of them that one serves, whatever its weight; with neither there is None. Where the
    two cancel each other out the one of greater weight serves, else the image.
    """
    cut = None if text is None else _unit(text[:COMBINED_WIDTH])
    if image is None or cut is None:
        return cut if image is None else image
    image_share, text_share = _shares(weights)
    combined = _unit(np.float32(image_share) * image + np.float32(text_share) * cut)
    if combined is None:
        return image if image_share >= text_share else cut
    return combined


def mean_of(vectors: Sequence[Vector]) -> Vector | None:
    """Give the renormalised mean of unit vectors of one width; of none, None.

    Where they cancel each other out the first serves.
    """
    if len(vectors) < 2:
        return vectors[0] if vectors else None
    mean = _unit(np.sum(vectors, axis=0, dtype=np.float32))
    return vectors[0] if mean is None else mean


def fusion_name(weights: Weights) -> str:
    """Name the scheme as it is stored beside a combined vector; equal ratios, equal names."""
    image_share, text_share = _shares(weights)
    return f"weighted-mean:{image_share:.6g}:{text_share:.6g}"


def _shares(weights: Weights) -> tuple[float, float]:
    """Give weights that sum to 1; the greater is divided out first, so that no sum overflows."""
    greater = max(weights.image, weights.text)
    image, text = weights.image / greater, weights.text / greater
    return image / (image + text), text / (image + text)


def _unit(vector: Vector) -> Vector | None:
    """Scale to length 1; None where it is too short to have a direction."""
    length = math.sqrt(float(vector @ vector))
    return vector / np.float32(length) if length > NEGLIGIBLE else None
