"""How sure a match makes us: by how far it stands out, and by how good its score is.

A score alone tells little: of the 20 first matches with the best scores, of 310 photos of groceries
(`benchmarks/scan_quality.py`), six were wrong. What tells more is a product's share: with
`exp(score / spread)` as its weight, its part of the weights of all products that compete with it
and of one more that stands for "not in the catalogue" (the softmax of temperature scaling; Guo and
others 2017, arXiv 1706.04599). Fitted, a share is about how often such a match is right.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shelfsight.records import Modality, ModelPair
from shelfsight.scan.matching import Confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What makes a match sure.

    `high` and `medium` are the least shares, in [0, 1]; below the score `low` there is no match.
    A product whose score is better by `spread` weighs e times as much; `absent` is the score of
    the rival that stands for "not in the catalogue".
    """

    high: float
    medium: float
    low: float
    spread: float
    absent: float


def _measured(*, low: float, spread: float, absent: float) -> Thresholds:
    """With shares that are as often right as they say, high and medium need no fitting."""
    return Thresholds(high=0.8, medium=0.5, low=low, spread=spread, absent=absent)


LITE = ModelPair(image="efficientnet-lite0@0.1.0", text="wordllama-l2-supercat-256@0.4.0.post1")

MEASURED: dict[tuple[ModelPair, Modality], Thresholds] = {
    (LITE, "image"): _measured(low=0.23, spread=0.065, absent=0.38),
    (LITE, "combined"): _measured(low=0.32, spread=0.05, absent=0.42),
    (LITE, "text"): _measured(low=0.42, spread=0.055, absent=0.46),
}
"""Fitted by `benchmarks/scan_quality.py --fit` on one half of 620 photos of 81 groceries, as if one
scan in five were of something else. The text row rests on 21 words of categories and is weak.
Weights other than the usual 70/30 in a combined query were not measured."""

UNMEASURED = Thresholds(high=math.inf, medium=0.5, low=0.0, spread=0.05, absent=0.0)
"""For models nobody measured, SigLIP and Qwen3 among them: never high, medium for what stands out
clearly, and no match only for what has nothing in common with the query."""


def thresholds(models: ModelPair, kind: Modality) -> Thresholds:
    """The thresholds of a pair of models for a kind of query; `UNMEASURED` for any other pair."""
    return MEASURED.get((models, kind), UNMEASURED)


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
