"""Ranks candidates by late fusion of their scores, and recommends how to show the matches."""

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

    A score counts only if both the query and the product have that vector. The text score combines
    the cosine of the text vectors with the share of matching words. A product whose SKU or barcode
    is the query's text always comes first.
    """
    scores = [_score(candidate, weights) for candidate in candidates]
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


def _score(candidate: Candidate, weights: Weights) -> float:
    if candidate.is_code:
        return 1.0
    text = candidate.text_score
    if text is not None and candidate.word_score is not None:
        text = (1 - WORDS) * text + WORDS * candidate.word_score
    scores = [(candidate.image_score, weights.image), (text, weights.text)]
    shared = [(score, weight) for score, weight in scores if score is not None]
    total = sum(weight for _, weight in shared)
    if total == 0:
        return max((score for score, _ in shared), default=-1.0)
    return sum(score * weight for score, weight in shared) / total


def by_score(match: Match) -> tuple[bool, float]:
    """Sort key: an exact SKU or barcode comes first, then the highest score."""
    return not match.product.is_code, -match.score


def best_of_each_product(matches: Sequence[Match]) -> list[Match]:
    """Keep the first match of each product; the order of matches stays."""
    first: dict[str, Match] = {}
    for match in matches:
        first.setdefault(match.product.product_id or match.product.id, match)
    return list(first.values())
