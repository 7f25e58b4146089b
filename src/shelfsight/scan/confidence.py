"""The confidence of a match: how far it stands out, and how good its score is.

A score alone says little. Of 310 photos of groceries (`benchmarks/scan_quality.py`), 6 of the 20
first matches with the best scores were wrong. A product's share says more: the softmax over the
scores of all competing products and of one rival that stands for "not in the catalogue", with
`spread` as its temperature (temperature scaling: Guo and others 2017, arXiv 1706.04599). With
fitted thresholds a share is about the probability that such a match is right.
"""

import math
from collections.abc import Sequence

from shelfsight.models.specs import UNMEASURED, Thresholds
from shelfsight.models.table import PAIRS
from shelfsight.records import Modality, ModelPair
from shelfsight.scan.matching import Confidence


def thresholds(models: ModelPair, kind: Modality) -> Thresholds:
    """Look up the thresholds of a pair for a kind of query; `UNMEASURED` if it has none."""
    known = (pair.thresholds for pair in PAIRS.values() if models.accepts(pair.identities))
    return next(known, {}).get(kind, UNMEASURED)


def shares(scores: Sequence[float], products: Sequence[str], limits: Thresholds) -> list[float]:
    """Return the share of each score, in [0, 1]; variants of one product do not compete."""
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
    """Return the confidence of a match; None means it is no match."""
    if score < limits.low:
        return None
    if share >= limits.high:
        return "high"
    return "medium" if share >= limits.medium else "low"
