"""How sure a match makes us: by how far it stands out, and by how good its score is.

A score alone tells little: of the 20 first matches with the best scores, of 310 photos of groceries
(`benchmarks/scan_quality.py`), six were wrong. What tells more is a product's share: with
`exp(score / spread)` as its weight, its part of the weights of all products that compete with it
and of one more that stands for "not in the catalogue" (the softmax of temperature scaling; Guo and
others 2017, arXiv 1706.04599). Fitted, a share is about how often such a match is right.
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
    """The share of each score, in [0, 1]. Scores of one product, its variants, do not compete."""
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
    """How sure a match is; None means no match."""
    if score < limits.low:
        return None
    if share >= limits.high:
        return "high"
    return "medium" if share >= limits.medium else "low"
