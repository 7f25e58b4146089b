"""Projects image vectors onto a plane, to draw a map of the catalogue.

The plane is the one that shows most of the variance of a sample of the catalogue. It is spanned by
the first two axes of principal component analysis (Pearson 1901).
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from shelfsight.records import ModelPair, Vector
from shelfsight.scan import mean_centering

Points = NDArray[np.float32]
"""Coordinates of points in the plane, in an array of shape (n, 2)."""

_RIDGE = 0.1
"""Ridge of the least squares: limits the effect of rounding if matches are nearly equal. With
0.01, 0.1 and 0.3 (it was not tuned), ten photos of the demo were 0.25, 0.24 and 0.23 standard
deviations of the map away from the points of their own vectors; a random product is 1.5 away."""


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A plane through the point `mean` (768,), spanned by the orthonormal `axes` (768, 2).

    `explained` is the share of the sample's variance that the plane shows, in [0, 1].
    """

    mean: Vector
    axes: NDArray[np.float32]
    explained: float

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays."""
        return self.mean.nbytes + self.axes.nbytes

    @property
    def version(self) -> str:
        """A hash of the plane; coordinates on planes with different versions cannot be compared."""
        return sha256(self.mean.tobytes() + self.axes.tobytes()).hexdigest()[:16]

    def project(self, vectors: NDArray[np.float32]) -> Points:
        """Return the coordinates of vectors (n, 768) in the plane."""
        return np.asarray((vectors - self.mean) @ self.axes, dtype=np.float32)

    def locate_by_scores(
        self, vectors: NDArray[np.float32], scores: NDArray[np.float32], models: ModelPair
    ) -> tuple[float, float]:
        """Estimate a photo's coordinates from the vectors (n, 768) and scores (n,) of its matches.

        A score is the cosine between the photo's vector and a match. So the scores determine, by
        least squares, the part of the photo's vector that lies in the span of the matches. That
        part is projected onto the plane.
        """
        if mean_centering.helps(models):
            known = np.array([mean_centering.centred(vector, self.mean) for vector in vectors])
            length = np.linalg.norm(vectors - self.mean, axis=1).mean()
            point = length * _from_scores(known, scores) @ self.axes
        else:
            point = (_from_scores(vectors, scores) - self.mean) @ self.axes
        return float(point[0]), float(point[1])


def fit(vectors: NDArray[np.float32]) -> Plane:
    """Fit the plane that shows most of the variance of vectors (n, 768); n may be 0.

    Each axis is oriented so that its largest component is positive. So the same vectors always
    result in the same map.
    """
    width = vectors.shape[1]
    mean = vectors.mean(axis=0) if len(vectors) else np.zeros(width, np.float32)
    centred = vectors - mean
    variances, directions = np.linalg.eigh(centred.T @ centred)
    axes = directions[:, :-3:-1]
    largest = axes[np.abs(axes).argmax(axis=0), [0, 1]]
    total = float(variances.sum())
    return Plane(
        mean=mean,
        axes=np.ascontiguousarray(axes * np.sign(largest), dtype=np.float32),
        explained=float(variances[-2:].sum()) / total if total > 0 else 0.0,
    )


def _from_scores(known: NDArray[np.float32], scores: NDArray[np.float32]) -> Vector:
    """Return the shortest vector (768,) whose dot products with `known` are about the scores."""
    gram = known @ known.T + _RIDGE * np.eye(len(known), dtype=np.float32)
    vector: Vector = known.T @ np.linalg.solve(gram, scores)
    return vector
