"""Computes the confidence of a match from its score and from its share.

A score alone says little. Of 310 photos of groceries (`benchmarks/scan_quality.py`), 6 of the 20
best-scored first matches were wrong. The share of a product shows how far it stands out. It is the
softmax over the scores of all competing products and of one extra rival that stands for "not in the
catalogue". The threshold `spread` is the temperature of the softmax (temperature scaling: Guo and
others 2017, arXiv 1706.04599). With fitted thresholds, a share is about the probability that the
match is right.
"""

import math
from collections.abc import Sequence

from shelfsight.models.specs import UNMEASURED, Thresholds
from shelfsight.models.table import PAIRS
from shelfsight.records import Modality, ModelPair
from shelfsight.scan.matching import Confidence


def thresholds(models: ModelPair, kind: Modality) -> Thresholds:
    """Return the thresholds of these models for a kind of query; `UNMEASURED` if there are none."""
    known = (pair.thresholds for pair in PAIRS.values() if models.accepts(pair.identities))
    return next(known, {}).get(kind, UNMEASURED)


def shares(scores: Sequence[float], products: Sequence[str], limits: Thresholds) -> list[float]:
    """Return the share of each score, in [0, 1]; variants of the same product do not compete."""
    top = max([*scores, limits.absent])
    weights = [math.exp((score - top) / limits.spread) for score in scores]
    best = dict.fromkeys(products, 0.0)
    for product, weight in zip(products, weights, strict=True):
        best[product] = max(best[product], weight)
    rivals = sum(best.values()) + math.exp((limits.absent - top) / limits.spread)
    return [
        weight / (rivals - best[product] + weight)
        for product, weight in zip(products, weights, strict=True)
    ]


def confidence(score: float, share: float, limits: Thresholds) -> Confidence | None:
    """Return the confidence of a product with this score and share; None if it is no match."""
    if score < limits.low:
        return None
    if share >= limits.high:
        return "high"
    return "medium" if share >= limits.medium else "low"
