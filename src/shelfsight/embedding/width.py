"""Bring vectors of a model's own width to the width of their column."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

_SEED = 2
"""Chosen, before scans were centred, by recall on the photos of `benchmarks/scan_quality.py`. It
matters no more: as scans work now, seeds 0 to 11 give recall@1 of 0.450 to 0.466 there (mean 0.460)
and recall@5 of 0.737 to 0.760 (0.746), the unprojected 1280 numbers 0.468 and 0.750."""


def fit_width(vectors: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Give vectors (n, any width) as (n, width) of unit length.

    Narrower ones are padded with zeros, which leaves cosines exactly as they were; wider ones are
    projected. A vector without a direction (all zero, or not finite) becomes NaN.
    """
    if vectors.shape[1] > width:
        with np.errstate(invalid="ignore", over="ignore"):
            vectors = vectors @ _random_projection(vectors.shape[1], width)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = vectors / np.abs(vectors).max(axis=1, keepdims=True)  # so that no square overflows
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return np.pad(unit, ((0, 0), (0, width - vectors.shape[1])))


@cache
def _random_projection(native: int, width: int) -> NDArray[np.float32]:
    return projection(np.empty((native, 0), np.float32), width)


def projection(first: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Make the fixed matrix (native, width), its columns orthonormal, that narrows a model.

    Its first columns span those of `first` (native, fewer than width), so what lies there is
    kept; the others are random, which keeps cosines on average (Johnson & Lindenstrauss 1984).
    The random numbers are numpy's legacy stream, which is frozen (NEP 19), and the signs are
    those of a positive diagonal of R, so that every machine gets the same matrix.
    """
    native, kept = first.shape
    random = np.random.RandomState(_SEED).standard_normal((native, width - kept))
    q, r = np.linalg.qr(np.hstack([first.astype(np.float64), random]))
    return np.asarray(q * np.sign(np.diagonal(r)), dtype=np.float32)
