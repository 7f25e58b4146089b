"""Projects image vectors onto a plane, for a map of the catalogue.

The plane has the largest variance of a sample of the catalogue: the first two axes of principal
component analysis (Pearson 1901).
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from shelfsight.records import ModelPair, Vector
from shelfsight.scan import mean_centering

Points = NDArray[np.float32]
"""Points in the plane, (n, 2)."""

_RIDGE = 0.1
"""Ridge of the least squares: keeps rounding from telling near-equal matches apart. Not tuned: with
0.01, 0.1 and 0.3, ten photos of the demo were 0.25, 0.24 and 0.23 standard deviations of the map
away from the points of their own vectors; a random product is 1.5 away."""


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A plane through `mean` (768,), spanned by the orthonormal `axes` (768, 2).

    `explained` is the share of the sample's variance that the plane shows, in [0, 1].
    """

    mean: Vector
    axes: NDArray[np.float32]
    explained: float

    @property
    def version(self) -> str:
        """A hash of the plane; coordinates of different versions do not compare."""
        return sha256(self.mean.tobytes() + self.axes.tobytes()).hexdigest()[:16]

    def project(self, vectors: NDArray[np.float32]) -> Points:
        """The coordinates of vectors (n, 768) in the plane."""
        return np.asarray((vectors - self.mean) @ self.axes, dtype=np.float32)

    def locate_by_scores(
        self, vectors: NDArray[np.float32], scores: NDArray[np.float32], models: ModelPair
    ) -> tuple[float, float]:
        """Estimate the coordinates of a photo from its matches' vectors (n, 768) and scores (n,).

        A score is the cosine of photo and match. By least squares, the scores therefore give the
        part of the photo's vector that lies in the span of its matches, and that part is projected.
        """
        if mean_centering.helps(models):
            known = np.array([mean_centering.centred(vector, self.mean) for vector in vectors])
            length = np.linalg.norm(vectors - self.mean, axis=1).mean()
            point = length * _from_scores(known, scores) @ self.axes
        else:
            point = (_from_scores(vectors, scores) - self.mean) @ self.axes
        return float(point[0]), float(point[1])


def fit(vectors: NDArray[np.float32]) -> Plane:
    """Fit the plane of the largest variance of vectors (n, 768); n may be 0.

    Each axis is oriented so that its largest component is positive: the same vectors give the same
    map.
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
    """The shortest vector (768,) whose dot products with the `known` ones are about the scores."""
    gram = known @ known.T + _RIDGE * np.eye(len(known), dtype=np.float32)
    vector: Vector = known.T @ np.linalg.solve(gram, scores)
    return vector
