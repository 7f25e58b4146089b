"""Converts vectors from a model's own width to the width of the database column."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

_SEED = 2
"""The seed of the random projection. It was chosen by recall on the photos of
`benchmarks/scan_quality.py`, before scans were mean-centred. Now the choice hardly matters: on
these photos, seeds 0 to 11 have a recall@1 of 0.450 to 0.466 (mean 0.460) and a recall@5 of 0.737
to 0.760 (mean 0.746). The 1280 values without a projection have 0.468 and 0.750."""


def fit_width(vectors: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Convert vectors (n, any width) to unit vectors (n, width).

    Narrower vectors are padded with zeros, which does not change cosines. Wider vectors are
    projected. A vector without a direction (all zeros, or not finite) becomes NaN.
    """
    if vectors.shape[1] > width:
        with np.errstate(invalid="ignore", over="ignore"):
            vectors = vectors @ _random_projection(vectors.shape[1], width)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = vectors / np.abs(vectors).max(
            axis=1, keepdims=True
        )  # keeps squares from overflowing
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return np.pad(unit, ((0, 0), (0, width - vectors.shape[1])))


@cache
def _random_projection(native: int, width: int) -> NDArray[np.float32]:
    return projection(np.empty((native, 0), np.float32), width)


def projection(first: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Return the fixed projection, a matrix (native, width) with orthonormal columns.

    Its first columns span the same subspace as the columns of `first` (native, fewer than width),
    so this subspace is kept exactly. The other columns are random, which keeps cosines on average
    (Johnson & Lindenstrauss 1984). The matrix is the same on every machine: the random numbers are
    numpy's legacy stream, which is frozen (NEP 19), and signs are chosen so that the diagonal of R
    is positive.
    """
    native, kept = first.shape
    random = np.random.RandomState(_SEED).standard_normal((native, width - kept))
    q, r = np.linalg.qr(np.hstack([first.astype(np.float64), random]))
    return np.asarray(q * np.sign(np.diagonal(r)), dtype=np.float32)
