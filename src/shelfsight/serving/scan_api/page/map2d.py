"""A picture of vectors in two dimensions: the plane in which they differ the most.

Principal component analysis (Pearson 1901) of the image vectors of a sample of the catalogue.
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from shelfsight.records import ModelPair, Vector
from shelfsight.scan import mean_centering

Places = NDArray[np.float32]
"""Points in the plane, (n, 2)."""

_RIDGE = 0.1
"""Keeps near-equal matches from being told apart by rounding. Not tuned: with 0.01, 0.1 and 0.3 ten
photos of the demo were 0.25, 0.24 and 0.23 standard deviations of the map away from where their own
vectors lie; a product taken at random is 1.5 away."""


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A plane through `mean` (768,), along the orthonormal `axes` (768, 2).

    `explained` is the share of the sample's variance that lies in it, in [0, 1].
    """

    mean: Vector
    axes: NDArray[np.float32]
    explained: float

    @property
    def version(self) -> str:
        """Tells this plane from others."""
        return sha256(self.mean.tobytes() + self.axes.tobytes()).hexdigest()[:16]

    def places(self, vectors: NDArray[np.float32]) -> Places:
        """Where vectors (n, 768) lie in the plane."""
        return np.asarray((vectors - self.mean) @ self.axes, dtype=np.float32)

    def place_by_scores(
        self, vectors: NDArray[np.float32], scores: NDArray[np.float32], models: ModelPair
    ) -> tuple[float, float]:
        """Where a photo lies whose matches have these vectors (n, 768) and image scores (n,).

        A score is the cosine of photo and match, so the scores give the part of the photo's vector
        that lies in the span of its matches, by least squares; the plane shows that part.
        """
        if mean_centering.helps(models):
            known = np.array([mean_centering.centred(vector, self.mean) for vector in vectors])
            length = np.linalg.norm(vectors - self.mean, axis=1).mean()
            place = length * _from_scores(known, scores) @ self.axes
        else:
            place = (_from_scores(vectors, scores) - self.mean) @ self.axes
        return float(place[0]), float(place[1])


def fit(vectors: NDArray[np.float32]) -> Plane:
    """The plane of the largest variance of vectors (n, 768); n may be 0.

    The sign of an axis is chosen so that its largest number is positive: the same vectors give
    the same picture.
    """
    width = vectors.shape[1]
    mean = vectors.mean(axis=0) if len(vectors) else np.zeros(width, np.float32)
    rest = vectors - mean
    variances, directions = np.linalg.eigh(rest.T @ rest)
    axes = directions[:, :-3:-1]
    largest = axes[np.abs(axes).argmax(axis=0), [0, 1]]
    total = float(variances.sum())
    return Plane(
        mean=mean,
        axes=np.ascontiguousarray(axes * np.sign(largest), dtype=np.float32),
        explained=float(variances[-2:].sum()) / total if total > 0 else 0.0,
    )


def _from_scores(known: NDArray[np.float32], scores: NDArray[np.float32]) -> Vector:
    """The shortest vector (768,) whose products with the `known` ones are about the scores."""
    products = known @ known.T + _RIDGE * np.eye(len(known), dtype=np.float32)
    vector: Vector = known.T @ np.linalg.solve(products, scores)
    return vector
