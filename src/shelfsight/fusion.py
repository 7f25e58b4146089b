"""Combines the image vector and the text vector of a product into one combined vector.

The combined vector is the weighted mean of the two unit vectors, scaled to length 1. Before that,
the text vector is cut to its first 768 values and scaled to length 1. Matryoshka models are trained
to allow this cut.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shelfsight.records import COMBINED_WIDTH, Vector, Weights

NEGLIGIBLE = 1e-6
"""The length below which a vector is only rounding noise of float32, and has no direction."""


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """Implements `ports.Fusion` with fixed weights."""

    weights: Weights

    @property
    def name(self) -> str:
        """The fusion method and its weights, as stored with each combined vector."""
        return fusion_name(self.weights)

    def combine(self, image: Vector | None, text: Vector | None) -> Vector | None:
        """Combine an image vector (768,) and a text vector (1024,) into a unit vector (768,)."""
        return combine(image, text, self.weights)


def combine(image: Vector | None, text: Vector | None, weights: Weights) -> Vector | None:
    """Combine an image vector (768,) and a text vector (1024,) into a unit vector (768,).

    If one vector is None, the other vector is returned, whatever its weight; if both are None, the
    result is None. If the two vectors cancel each other out, the vector with the greater weight is
    returned, or the image vector if the weights are equal.
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
    """Return the mean of unit vectors, scaled to length 1; None if there are no vectors.

    All vectors must have the same width. If the vectors cancel each other out, the first vector is
    returned.
    """
    if len(vectors) < 2:
        return vectors[0] if vectors else None
    mean = _unit(np.sum(vectors, axis=0, dtype=np.float32))
    return vectors[0] if mean is None else mean


def fusion_name(weights: Weights) -> str:
    """Return the name stored with each combined vector; it depends only on the weights' ratio."""
    image_share, text_share = _shares(weights)
    return f"weighted-mean:{image_share:.6g}:{text_share:.6g}"


def _shares(weights: Weights) -> tuple[float, float]:
    """Scale the weights to a sum of 1, dividing by the greater weight first to avoid overflow."""
    greater = max(weights.image, weights.text)
    image, text = weights.image / greater, weights.text / greater
    return image / (image + text), text / (image + text)


def _unit(vector: Vector) -> Vector | None:
    """Scale a vector to length 1; None if the vector is too short to have a direction."""
    length = math.sqrt(float(vector @ vector))
    return vector / np.float32(length) if length > NEGLIGIBLE else None
