"""Ranks candidates by the evidence of their scores, and recommends how to show the matches."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.records import EvidenceKind, Weights
from shelfsight.scan.confidence import LEAST, MEDIUM, confidence
from shelfsight.scan.confirmed_photos import with_confirmed
from shelfsight.scan.evidence import absent_log_ratio, best_of_groups, log_ratios, odds_of, shares
from shelfsight.scan.matching import Action, Because, Candidate, Match, ScanResult

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
    candidates: Sequence[Candidate],
    weights: Weights,
    calibration: Calibration | None,
    photo_level: float = 0.0,
) -> Ranking:
    """Rank candidates by their probability; without a calibration, by their score.

    A product whose SKU or barcode is the query's text always comes first. `photo_level` is that of
    `confirmed_photos.with_confirmed`.
    """
    scores = _fused(candidates, weights)
    groups = _groups(candidates)
    if calibration is None or not (known := _known(candidates, weights, calibration)):
        return _uncalibrated(candidates, scores, groups)
    terms: dict[Because, np.ndarray] = {}
    absent = 0.0
    for kind, (values, factor, evidence) in known.items():
        rivals = best_of_groups(values, groups)
        terms[REASONS[kind]] = factor * log_ratios(values, evidence, rivals)
        absent += factor * float(absent_log_ratio(values, evidence))
    if "image" in calibration.evidence:
        own = terms.get("picture", np.zeros(len(candidates)))
        every = with_confirmed(own, candidates, calibration.evidence["image"], photo_level)
        terms["confirmed_photo"] = every - own
    ratios = sum(terms.values(), np.zeros(len(candidates)))
    parts, nothing = shares(*odds_of(ratios, absent, len(set(groups))), groups)
    if any(one.is_code for one in candidates):
        nothing = 0.0
    reasons = _reasons(candidates, terms)
    matches = [
        Match(one, score, confidence(part), part, because)
        for one, score, part, because in zip(
            candidates, scores, _with_codes(candidates, parts), reasons, strict=True
        )
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


def color_score(candidate: Candidate) -> float | None:
    """Return the similarity of the pictures' colours; None if they were not compared."""
    return candidate.color_score


SCORES: Mapping[EvidenceKind, Callable[[Candidate], float | None]] = {
    "image": image_score,
    "text": text_score,
    "color": color_score,
}
"""How each kind of evidence compares a candidate with the query. A further one is one more row."""

REASONS: Mapping[EvidenceKind, Because] = {"image": "picture", "text": "words", "color": "color"}
"""What a match says of each kind of evidence that speaks for it."""

_WEIGHTED: Mapping[EvidenceKind, str] = {"image": "image", "text": "text", "color": "image"}
"""The weight that scales each kind of evidence."""

COLOR_SHARE = 0.7
"""How much of the evidence of colours counts beside that of the image vector.

The vector has seen the colours, too, so the two are not independent. Of 0.5, 0.7, 0.85 and 1, this
was best on the photos of `choose` (docs/figures.md)."""

_IN_SCORE: tuple[EvidenceKind, ...] = ("image", "text")
"""The kinds whose weighted mean is the score."""


def _reasons(
    candidates: Sequence[Candidate], terms: Mapping[Because, np.ndarray]
) -> list[tuple[Because, ...]]:
    """Return the reasons for each candidate: the terms above 0, the greatest first."""
    rows = [(name, values.tolist()) for name, values in terms.items()]
    reasons: list[tuple[Because, ...]] = []
    for place, one in enumerate(candidates):
        found = [(values[place], name) for name, values in rows if values[place] > 0]
        code: tuple[Because, ...] = ("code",) if one.is_code else ()
        reasons.append((*code, *(name for _, name in sorted(found, reverse=True))))
    return reasons


def _known(
    candidates: Sequence[Candidate], weights: Weights, calibration: Calibration
) -> dict[EvidenceKind, tuple[np.ndarray, float, Evidence]]:
    """Return the scores of each kind of evidence that counts, their factor, and their constants.

    The factor is 1 for the kind whose weight is raised most above its default, so that weights
    only ever take evidence away. It is 1 too for a kind that is alone.
    """
    columns = {
        name: np.array([score(one) for one in candidates], dtype=float)
        for name, score in SCORES.items()
        if name in calibration.evidence
    }
    columns = {name: values for name, values in columns.items() if not np.isnan(values).all()}
    raised = {
        name: getattr(weights, _WEIGHTED[name]) / getattr(DEFAULT_WEIGHTS, _WEIGHTED[name])
        for name in columns
    }
    most = max(raised.values(), default=0.0)
    factors = {name: one / most if most else 1.0 for name, one in raised.items()}
    if "image" in factors and "color" in factors:
        factors["color"] *= COLOR_SHARE
    return {
        name: (values, factors[name], calibration.evidence[name])
        for name, values in columns.items()
    }


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
    """Rank by score. Confidence is medium at most, for a match that clearly stands out.

    What is more alike than the mean of the candidates speaks for a match.
    """
    parts, _ = shares([score / SPREAD for score in scores], 0.0, groups)
    columns = {
        kind: np.array([SCORES[kind](one) for one in candidates], dtype=float) for kind in _IN_SCORE
    }
    terms: dict[Because, np.ndarray] = {
        REASONS[kind]: values - np.nanmean(values)
        for kind, values in columns.items()
        if not np.isnan(values).all()
    }
    matches = [
        Match(
            one,
            score,
            "high" if one.is_code else "medium" if part >= MEDIUM else "low",
            1.0 if one.is_code else None,
            because,
        )
        for one, score, part, because in zip(
            candidates, scores, parts, _reasons(candidates, terms), strict=True
        )
    ]
    return Ranking(sorted(matches, key=best_first), None)


def _fused(candidates: Sequence[Candidate], weights: Weights) -> list[float]:
    """Return the weighted mean of the scores, shown beside the probability."""
    kinds = [
        ([SCORES[name](one) for one in candidates], getattr(weights, name)) for name in _IN_SCORE
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
