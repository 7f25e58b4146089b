"""Ranks candidates by the evidence of their scores, and recommends how to show the matches."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.records import Modality, Weights
from shelfsight.scan.confidence import LEAST, MEDIUM, confidence
from shelfsight.scan.evidence import absent_log_ratio, best_of_groups, log_ratios, odds_of, shares
from shelfsight.scan.matching import Action, Candidate, Match, ScanResult

WORDS = 0.3
"""The weight of word matches in the text score; the cosine has the weight 0.7.

A weighted mean needs few labels for tuning, or none (Bruch and others 2022, arXiv 2210.11934).
This weight was not tuned."""

DEFAULT_WEIGHTS = Weights()
"""The weights with which evidence counts as it was measured."""

SPREAD = 0.05
"""The temperature of scores for models that were not calibrated: a guess."""


class Ranking(NamedTuple):
    """Matches, best first, and the probability that the query shows none of the catalogue.

    `not_in_catalog` is None if the models were not calibrated.
    """

    matches: list[Match]
    not_in_catalog: float | None


def rank(
    candidates: Sequence[Candidate], weights: Weights, calibration: Calibration | None
) -> Ranking:
    """Rank candidates by their probability; without a calibration, by their score.

    A product whose SKU or barcode is the query's text always comes first.
    """
    scores = _fused(candidates, weights)
    groups = _groups(candidates)
    if calibration is None or not (known := _known(candidates, weights, calibration)):
        return _uncalibrated(candidates, scores, groups)
    ratios = np.zeros(len(candidates))
    absent = 0.0
    for values, factor, evidence in known:
        rivals = best_of_groups(values, groups)
        ratios = ratios + factor * log_ratios(values, evidence, rivals)
        absent += factor * float(absent_log_ratio(values, evidence))
    parts, nothing = shares(*odds_of(ratios, absent, len(set(groups))), groups)
    if any(one.is_code for one in candidates):
        nothing = 0.0
    matches = [
        Match(one, score, confidence(part), part)
        for one, score, part in zip(candidates, scores, _with_codes(candidates, parts), strict=True)
    ]
    return Ranking(sorted(matches, key=best_first), nothing)


def merged(rankings: Sequence[Ranking]) -> Ranking:
    """Combine the rankings of several photos of one thing: each product's best match counts.

    The probabilities are made smaller if they and `not_in_catalog` add up to more than 1.
    """
    if len(rankings) == 1:
        return rankings[0]
    best: dict[str, Match] = {}
    for match in (match for ranking in rankings for match in ranking.matches):
        known = best.get(match.product.id)
        if known is None or best_first(match) < best_first(known):
            best[match.product.id] = match
    matches = sorted(best.values(), key=best_first)
    absent = [one.not_in_catalog for one in rankings if one.not_in_catalog is not None]
    if not absent:
        return Ranking(matches, None)
    products = best_of_each_product(matches)
    total = max(1.0, min(absent) + sum(match.probability or 0.0 for match in products))
    scaled = [_with_probability(match, (match.probability or 0.0) / total) for match in matches]
    return Ranking(scaled, min(absent) / total)


def _with_probability(match: Match, probability: float) -> Match:
    return match._replace(probability=probability, confidence=confidence(probability))


def is_absent(matches: Sequence[Match], not_in_catalog: float | None) -> bool:
    """Return whether "not in the catalogue" is more probable than each of the matches, best first.

    It is not if the models were not calibrated.
    """
    if not_in_catalog is None or not matches:
        return False
    return not_in_catalog > (matches[0].probability or 0.0)


def is_shown(match: Match, threshold: float | None) -> bool:
    """Return whether a match is good enough to be shown.

    With a threshold its score decides, and else its probability. Models that were not calibrated
    have only the score: one below 0 says that the two have nothing in common.
    """
    if match.product.is_code:
        return True
    if threshold is not None:
        return match.score >= threshold
    return match.score >= 0 if match.probability is None else match.probability >= LEAST


def found(matches: Sequence[Match], not_in_catalog: float | None = None) -> ScanResult:
    """Recommend how to show the matches: one that stands out, several candidates, or none."""
    if not matches:
        return ScanResult(
            matches=(),
            confidence="low",
            action="fallback_to_manual",
            not_in_catalog=not_in_catalog,
        )
    first = matches[0].confidence
    sure = sum(match.confidence == "high" for match in matches)
    coded = sum(match.product.is_code for match in matches)
    action: Action = "show_multiple_candidates"
    if first == "high" and (sure == 1 or coded == 1):
        action = "show_single_match"
    return ScanResult(
        matches=tuple(matches), confidence=first, action=action, not_in_catalog=not_in_catalog
    )


def best_first(match: Match) -> tuple[bool, float, float]:
    """Sort key: an exact SKU or barcode comes first, then probability, then score."""
    return not match.product.is_code, -(match.probability or 0.0), -match.score


def best_of_each_product(matches: Sequence[Match]) -> list[Match]:
    """Keep the first match of each product; the order of matches stays."""
    first: dict[str, Match] = {}
    for match in matches:
        first.setdefault(match.product.product_id or match.product.id, match)
    return list(first.values())


def image_score(candidate: Candidate) -> float | None:
    """Return the similarity of the pictures; None if they were not compared."""
    return candidate.image_score


def text_score(candidate: Candidate) -> float | None:
    """Return the similarity of the texts, in which shared words count too; None without texts."""
    text = candidate.text_score
    if text is None or candidate.word_score is None:
        return text
    return (1 - WORDS) * text + WORDS * candidate.word_score


SCORES: Mapping[Modality, Callable[[Candidate], float | None]] = {
    "image": image_score,
    "text": text_score,
}
"""How each modality compares a candidate with the query. A further one is one more row here."""


def _known(
    candidates: Sequence[Candidate], weights: Weights, calibration: Calibration
) -> list[tuple[np.ndarray, float, Evidence]]:
    """Return the scores of each modality that counts, their factor, and their evidence.

    The factor is 1 for the modality whose weight is raised most above its default, so that weights
    only ever take evidence away. It is 1 too for a modality that is alone.
    """
    columns = {
        name: np.array([score(one) for one in candidates], dtype=float)
        for name, score in SCORES.items()
        if name in calibration.evidence
    }
    columns = {name: values for name, values in columns.items() if not np.isnan(values).all()}
    raised = {name: getattr(weights, name) / getattr(DEFAULT_WEIGHTS, name) for name in columns}
    most = max(raised.values(), default=0.0)
    return [
        (values, raised[name] / most if most else 1.0, calibration.evidence[name])
        for name, values in columns.items()
    ]


def _groups(candidates: Sequence[Candidate]) -> list[int]:
    """Number the candidates so that those of one product, or with one picture, are equal."""
    numbers = list(range(len(candidates)))
    first: dict[tuple[str, str], int] = {}
    for place, one in enumerate(candidates):
        keys = [("product", one.product_id)] if one.product_id else []
        keys += (
            [("picture", one.image_url)] if one.image_url and one.image_score is not None else []
        )
        for key in keys:
            other = numbers[first.setdefault(key, place)]
            mine = numbers[place]
            if other != mine:
                numbers = [other if number == mine else number for number in numbers]
    return numbers


def _with_codes(candidates: Sequence[Candidate], parts: Sequence[float]) -> list[float]:
    """Give a product with the query's very SKU or barcode the probability 1, and the others 0."""
    if not any(one.is_code for one in candidates):
        return list(parts)
    return [float(one.is_code) for one in candidates]


def _uncalibrated(
    candidates: Sequence[Candidate], scores: Sequence[float], groups: Sequence[int]
) -> Ranking:
    """Rank by score. Confidence is medium at most, for a match that clearly stands out."""
    parts, _ = shares([score / SPREAD for score in scores], 0.0, groups)
    matches = [
        Match(
            one,
            score,
            "high" if one.is_code else "medium" if part >= MEDIUM else "low",
            1.0 if one.is_code else None,
        )
        for one, score, part in zip(candidates, scores, parts, strict=True)
    ]
    return Ranking(sorted(matches, key=best_first), None)


def _fused(candidates: Sequence[Candidate], weights: Weights) -> list[float]:
    """Return the weighted mean of the scores, shown beside the probability."""
    kinds = [
        ([score(one) for one in candidates], getattr(weights, name))
        for name, score in SCORES.items()
    ]
    known = [(scores, weight) for scores, weight in kinds if any(s is not None for s in scores)]
    if not sum(weight for _, weight in known):
        known = [(scores, 1.0) for scores, _ in known]
    total = sum(weight for _, weight in known)
    columns = [
        [weight / total * score for score in _completed(scores, SPREAD * total / weight)]
        for scores, weight in known
        if weight
    ]
    fused = [sum(row) for row in zip(*columns, strict=True)] or [-1.0] * len(candidates)
    return [1.0 if one.is_code else score for one, score in zip(candidates, fused, strict=True)]


def _completed(scores: Sequence[float | None], spread: float) -> list[float]:
    """Replace each missing score by the soft mean of the others, `spread` ln(mean(e^(s / spread))).

    A product about which nothing is known then counts as an average one, as a likelihood ratio of 1
    does. Leaving the score out of the mean instead would judge the product by the easier half of
    the query alone.
    """
    present = [score for score in scores if score is not None]
    if len(present) == len(scores):
        return present
    top = max(present)
    mean = sum(math.exp((score - top) / spread) for score in present) / len(present)
    typical = top + spread * math.log(mean)
    return [typical if score is None else score for score in scores]
