"""Fuses an image vector and a text vector into one combined vector.

The combined vector is the weighted mean of the two unit vectors, renormalised. The text vector is
first cut to its leading 768 values and renormalised, as Matryoshka models allow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shelfsight.records import COMBINED_WIDTH, Vector, Weights

NEGLIGIBLE = 1e-6
"""A vector shorter than this is float32 rounding noise and has no direction."""


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """Implements `ports.Fusion` with fixed weights."""

    weights: Weights

    @property
    def name(self) -> str:
        """The scheme and its weights, as stored with each combined vector."""
        return fusion_name(self.weights)

    def combine(self, image: Vector | None, text: Vector | None) -> Vector | None:
        """Combine an image (768,) and a text vector (1024,) into a unit vector (768,)."""
        return combine(image, text, self.weights)


def combine(image: Vector | None, text: Vector | None, weights: Weights) -> Vector | None:
    """Combine unit vectors of shape (768,) and (1024,) into one of shape (768,).

    If one is missing, the other is returned, whatever its weight; without both, None. If the two
    cancel each other out, the one of greater weight is returned, or the image if weights are equal.
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
    """Return the renormalised mean of unit vectors of the same width; None if there are none.

    If they cancel each other out, the first is returned.
    """
    if len(vectors) < 2:
        return vectors[0] if vectors else None
    mean = _unit(np.sum(vectors, axis=0, dtype=np.float32))
    return vectors[0] if mean is None else mean


def fusion_name(weights: Weights) -> str:
    """The name stored with each combined vector; weights of the same ratio have the same name."""
    image_share, text_share = _shares(weights)
    return f"weighted-mean:{image_share:.6g}:{text_share:.6g}"


def _shares(weights: Weights) -> tuple[float, float]:
    """Scale the weights to a sum of 1, dividing by the greater first to avoid overflow."""
    greater = max(weights.image, weights.text)
    image, text = weights.image / greater, weights.text / greater
    return image / (image + text), text / (image + text)


def _unit(vector: Vector) -> Vector | None:
    """Scale to length 1; None if it is too short to have a direction."""
    length = math.sqrt(float(vector @ vector))
    return vector / np.float32(length) if length > NEGLIGIBLE else None
