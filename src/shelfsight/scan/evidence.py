"""Computes how probable it is that a query shows a product: evidence instead of weighted scores.

Each modality says by how much its similarity raises or lowers the odds of a product: the
log-likelihood ratio of "it is this product" against "it is another one". The ratios of the
modalities are multiplied. A modality that cannot be compared has the ratio 1: it says nothing.

A ratio is that of a softmax over the candidates, times their number. Over the candidates its mean
is 1, as that of a likelihood ratio over what a query does not show. One temperature does not fit
all queries: the best match of a blurred or crowded photo is right far more often than its small
lead says. So the ratio is a mixture of two softmaxes, one for clear queries and one for hard ones
(the scale mixture that makes a distribution's tails heavy), and of `UNRELATED`, the share of
queries that say nothing about their product.

"Not in the catalogue" is one more rival. Its odds fall with the best similarity of each modality (a
logistic regression). `scan.calibration_fit` fits all constants.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shelfsight.models.calibration import Evidence

Scores = NDArray[np.float64]

UNRELATED = 0.02
"""The share of queries whose similarity says nothing about their product. It was not tuned."""

ABSENT_PRIOR = 0.1
"""The probability, before a query is looked at, that its product is not in the catalogue.

It cannot be measured in general: it depends on what people scan."""


def log_ratios(
    scores: Scores, evidence: Evidence, rivals: NDArray[np.bool_] | None = None
) -> Scores:
    """Return the log-likelihood ratio of each candidate, of the shape of `scores`.

    `scores` (..., n) are the similarities of n candidates; NaN where one cannot be compared, for
    which the result is 0. A candidate of -inf is not there at all, and its result is -inf.
    `rivals` (..., n) are the candidates that count; without it all do. See `best_of_groups`.
    """
    known = ~np.isnan(scores)
    compared = known & np.isfinite(scores)
    counted = compared if rivals is None else compared & rivals
    count = np.maximum(counted.sum(axis=-1, keepdims=True), 1)
    mixture = np.full(scores.shape, UNRELATED)
    for temperature, share in (
        (evidence.sharp, evidence.clear),
        (evidence.broad, 1 - evidence.clear),
    ):
        logits = np.where(compared, scores / temperature, -np.inf)
        top = logits.max(axis=-1, keepdims=True)
        powers = np.exp(logits - np.where(np.isfinite(top), top, 0.0))
        total = np.where(counted, powers, 0.0).sum(axis=-1, keepdims=True)
        total = np.maximum(total, np.finfo(float).tiny)
        mixture += (1 - UNRELATED) * share * count * powers / total
    return np.where(compared, np.log(mixture), np.where(known, -np.inf, 0.0))


def absent_log_ratio(scores: Scores, evidence: Evidence) -> Scores:
    """Return the log-likelihood ratio of "not in the catalogue", shape (...); 0 without scores."""
    best = np.where(np.isnan(scores), -np.inf, scores).max(axis=-1)
    known = np.isfinite(best)
    return np.where(known, evidence.absent - evidence.absent_slope * np.where(known, best, 0), 0.0)


def best_of_groups(scores: Scores, groups: Sequence[int]) -> NDArray[np.bool_]:
    """Return which of n candidates is the best of its group, bool (n,).

    Candidates with the same number in `groups` are one product, or share a picture. They do not
    compete, so only the best of them counts among the rivals of the others.
    """
    best: dict[int, int] = {}
    for place, (group, score) in enumerate(zip(groups, scores.tolist(), strict=True)):
        if not math.isnan(score) and (group not in best or score > scores[best[group]]):
            best[group] = place
    rivals = np.zeros(len(scores), bool)
    rivals[list(best.values())] = True
    return rivals


def odds_of(
    ratios: Scores, absent: Scores | float, products: int | None = None
) -> tuple[Scores, Scores]:
    """Return the log-odds of each candidate, (..., n), and of "not in the catalogue", (...).

    `ratios` (..., n) and `absent` (...) are the sums of the modalities' log-likelihood ratios. All
    products are equally probable before the query is looked at; there are as many as candidates,
    unless `products` says how many.
    """
    there = np.isfinite(ratios).sum(axis=-1) if products is None else np.array(products)
    odds = ratios + np.log((1 - ABSENT_PRIOR) / np.maximum(there, 1))[..., None]
    return odds, absent + np.log(ABSENT_PRIOR)


def shares(
    odds: Scores | Sequence[float], rival: Scores | float, groups: Sequence[int]
) -> tuple[list[float], float]:
    """Return the probability of each of n candidates, and that of "not in the catalogue".

    `odds` (n,) and `rival` are log-odds; `groups` are those of `best_of_groups`.
    """
    nothing, candidates = float(rival), [float(one) for one in odds]
    top = max([nothing, *candidates])
    masses = [math.exp(one - top) for one in candidates]
    best: dict[int, float] = {}
    for group, mass in zip(groups, masses, strict=True):
        best[group] = max(best.get(group, 0.0), mass)
    total = sum(best.values()) + math.exp(nothing - top)
    return [mass / total for mass in masses], math.exp(nothing - top) / total
