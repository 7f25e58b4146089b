"""Ranks candidates by late fusion of their scores, and recommends how to show the matches."""

import math
from collections.abc import Sequence

from shelfsight.models.specs import Thresholds
from shelfsight.records import Weights
from shelfsight.scan.confidence import confidence, shares
from shelfsight.scan.matching import Action, Candidate, Match, ScanResult

WORDS = 0.3
"""The weight of word matches in the text score; the cosine has the weight 0.7.

A weighted mean needs few labels for tuning, or none (Bruch and others 2022, arXiv 2210.11934).
This weight was not tuned."""


def rank(candidates: Sequence[Candidate], weights: Weights, limits: Thresholds) -> list[Match]:
    """Rank candidates by late fusion: the weighted mean of the image score and the text score.

    The text score combines the cosine of the text vectors with the share of matching words. A score
    that a product lacks says nothing for it and nothing against it; see `_completed`. A kind of
    score that all candidates lack has no weight. A product whose SKU or barcode is the query's text
    always comes first.
    """
    scores = _fused(candidates, weights, limits.spread)
    parts = shares(scores, [one.product_id or one.id for one in candidates], limits)
    matches = [
        Match(one, score, "high" if one.is_code else confidence(score, part, limits) or "low")
        for one, score, part in zip(candidates, scores, parts, strict=True)
    ]
    return sorted(matches, key=by_score)


def found(matches: Sequence[Match]) -> ScanResult:
    """Recommend how to show the matches: one that stands out, several candidates, or none."""
    if not matches:
        return ScanResult(matches=(), confidence="low", action="fallback_to_manual")
    first = matches[0].confidence
    sure = sum(match.confidence == "high" for match in matches)
    coded = sum(match.product.is_code for match in matches)
    action: Action = "show_multiple_candidates"
    if first == "high" and (sure == 1 or coded == 1):
        action = "show_single_match"
    return ScanResult(matches=tuple(matches), confidence=first, action=action)


def _fused(candidates: Sequence[Candidate], weights: Weights, spread: float) -> list[float]:
    kinds = [
        ([one.image_score for one in candidates], weights.image),
        ([_text_score(one) for one in candidates], weights.text),
    ]
    known = [(scores, weight) for scores, weight in kinds if any(s is not None for s in scores)]
    if not sum(weight for _, weight in known):
        known = [(scores, 1.0) for scores, _ in known]
    total = sum(weight for _, weight in known)
    columns = [
        [weight / total * score for score in _completed(scores, spread * total / weight)]
        for scores, weight in known
        if weight
    ]
    fused = [sum(row) for row in zip(*columns, strict=True)] or [-1.0] * len(candidates)
    return [1.0 if one.is_code else score for one, score in zip(candidates, fused, strict=True)]


def _completed(scores: Sequence[float | None], spread: float) -> list[float]:
    """Replace each missing score by the soft mean of the others, `spread` ln(mean(e^(s / spread))).

    The softmax of `scan.confidence` takes e^(score / spread), up to a factor, as the likelihood
    ratio of "it is this product" against "it is not". Over products that it is not, this ratio is 1
    on average, so a product about which nothing is known gets 1. Leaving the score out of the mean
    instead would judge the product by the easier half of the query alone.
    """
    present = [score for score in scores if score is not None]
    if len(present) == len(scores):
        return present
    top = max(present)
    mean = sum(math.exp((score - top) / spread) for score in present) / len(present)
    typical = top + spread * math.log(mean)
    return [typical if score is None else score for score in scores]


def _text_score(candidate: Candidate) -> float | None:
    text = candidate.text_score
    if text is None or candidate.word_score is None:
        return text
    return (1 - WORDS) * text + WORDS * candidate.word_score


def by_score(match: Match) -> tuple[bool, float]:
    """Sort key: an exact SKU or barcode comes first, then the highest score."""
    return not match.product.is_code, -match.score


def best_of_each_product(matches: Sequence[Match]) -> list[Match]:
    """Keep the first match of each product; the order of matches stays."""
    first: dict[str, Match] = {}
    for match in matches:
        first.setdefault(match.product.product_id or match.product.id, match)
    return list(first.values())
