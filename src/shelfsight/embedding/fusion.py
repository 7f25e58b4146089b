"""From an image vector and a text vector to one combined vector.

The combined vector is the weighted mean of unit vectors, renormalised. The text vector is cut to
its first 768 numbers and renormalised before (a shorter vector of a Matryoshka model).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shelfsight.records import COMBINED_WIDTH, IMAGE_WIDTH, TEXT_WIDTH, Vector, Weights

Vectors = NDArray[np.float32]
"""A float32 array of shape (n, width); a row is a unit vector, or all zeros where there is none."""

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

    With one of them that one serves, whatever its weight; with neither there is None.
    """
    images = np.zeros((1, IMAGE_WIDTH), np.float32) if image is None else image[np.newaxis]
    texts = np.zeros((1, TEXT_WIDTH), np.float32) if text is None else text[np.newaxis]
    combined: Vector = combine_many(images, texts, weights)[0]
    return combined if combined.any() else None


def combine_many(images: Vectors, texts: Vectors, weights: Weights) -> Vectors:
    """Combine row by row: (n, 768) and (n, 1024) to (n, 768).

    A row of zeros stands for a vector that is missing; where both are, the result is zeros.
    Where the two cancel each other out, the one of greater weight serves, else the image.
    """
    texts = _unit(texts[:, :COMBINED_WIDTH])
    image_share, text_share = _shares(weights)
    combined = _unit(np.float32(image_share) * images + np.float32(text_share) * texts)
    heavier, other = (images, texts) if image_share >= text_share else (texts, images)
    for fallback in (heavier, other):
        combined = np.where(_missing(combined), fallback, combined)
    combined = np.where(_missing(texts), images, combined)
    return np.where(_missing(images), texts, combined)


def mean_of(vectors: Sequence[Vector]) -> Vector | None:
    """Give the renormalised mean of unit vectors of one width; of none, None.

    Where they cancel each other out the first serves.
    """
    if len(vectors) < 2:
        return vectors[0] if vectors else None
    mean: Vector = _unit(np.sum(vectors, axis=0, dtype=np.float32, keepdims=True))[0]
    return mean if mean.any() else vectors[0]


def fusion_name(weights: Weights) -> str:
    """Name the scheme as it is stored beside a combined vector; equal ratios, equal names."""
    image_share, text_share = _shares(weights)
    return f"weighted-mean:{image_share:.6g}:{text_share:.6g}"


def _shares(weights: Weights) -> tuple[float, float]:
    """Give weights that sum to 1; the greater is divided out first, so that no sum overflows."""
    greater = max(weights.image, weights.text)
    image, text = weights.image / greater, weights.text / greater
    return image / (image + text), text / (image + text)


def _unit(rows: Vectors) -> Vectors:
    """Scale each row to length 1, or to zeros where it is too short to have a direction."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    long_enough = lengths > NEGLIGIBLE
    return np.where(long_enough, rows / np.where(long_enough, lengths, 1), 0).astype(np.float32)


def _missing(rows: Vectors) -> NDArray[np.bool_]:
    """Say which rows are zeros, as a column of shape (n, 1)."""
    missing: NDArray[np.bool_] = np.logical_not(np.any(rows, axis=1, keepdims=True))
    return missing
