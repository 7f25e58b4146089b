"""Fits the constants of `scan.evidence` to queries whose right product is known.

The loss is the mean negative log of the probability of what is right: the product, and "not in the
catalogue" when the product is hidden. Each modality is fitted by itself, and the evidence is added.
On photos kept apart, such a sum was better than a joint fit (`docs/figures.md`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shelfsight.models.calibration import Evidence
from shelfsight.scan.evidence import ABSENT_PRIOR, Scores, absent_log_ratio, log_ratios, odds_of

_START = Evidence(sharp=0.15, broad=0.6, clear=0.4, absent=0.0, absent_slope=0.0)
"""Where each fit starts, for scores in standard deviations of a query's candidates. A weak prior
(`_STIFFNESS`) holds a fit on few queries near it."""

_STIFFNESS = 1e-3
_FIRST_STEP, _LAST_STEP = 0.8, 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredQueries:
    """Queries with the similarities of their candidates by one modality.

    Attributes:
        scores: (queries, candidates); NaN where the candidate cannot be compared, -inf where a
            query has fewer candidates than the others.
        right: bool (queries, candidates), whether the candidate is the product that is meant.
    """

    scores: Scores
    right: NDArray[np.bool_]


def fit(queries: ScoredQueries) -> Evidence:
    """Return the evidence that makes the right answers most probable."""
    start = _numbers(_START)
    there = np.where(np.isfinite(queries.scores), queries.scores, np.nan)
    unit = float(np.nanmean(np.nanstd(there, axis=-1))) or 1.0
    middle = float(np.nanmean(np.nanmax(there, axis=-1)))
    scaled = replace(queries, scores=(queries.scores - middle) / unit)

    def loss(numbers: Scores) -> float:
        held = _STIFFNESS * float(((numbers - start) ** 2).sum())
        return log_loss(scaled, _evidence(numbers)) + held

    found = _evidence(_minimise(loss, start))
    slope = found.absent_slope / unit
    return Evidence(
        sharp=found.sharp * unit,
        broad=found.broad * unit,
        clear=found.clear,
        absent=found.absent + slope * middle,
        absent_slope=slope,
    )


def log_loss(queries: ScoredQueries, evidence: Evidence) -> float:
    """Return the mean negative log of the probability of what is right."""
    shown = _log_share(queries, evidence, hidden=False)
    hidden = _log_share(queries, evidence, hidden=True)
    return -(1 - ABSENT_PRIOR) * shown - ABSENT_PRIOR * hidden


def _log_share(queries: ScoredQueries, evidence: Evidence, *, hidden: bool) -> float:
    """Return the mean log probability of the right product, or of "absent" if it is `hidden`."""
    scores = np.where(queries.right, -np.inf, queries.scores) if hidden else queries.scores
    odds, rival = odds_of(log_ratios(scores, evidence), absent_log_ratio(scores, evidence))
    everything = np.logaddexp(np.logaddexp.reduce(odds, axis=-1), rival)
    right = np.where(queries.right, odds, -np.inf)
    truth = rival if hidden else np.logaddexp.reduce(right, axis=-1)
    return float(np.mean(truth - everything))


def _numbers(evidence: Evidence) -> Scores:
    """Return the constants as five numbers without bounds."""
    return np.array(
        [
            np.log(evidence.sharp),
            np.log(evidence.broad),
            np.log(evidence.clear / (1 - evidence.clear)),
            evidence.absent,
            evidence.absent_slope,
        ]
    )


def _evidence(numbers: Scores) -> Evidence:
    sharp, broad, clear, absent, slope = numbers.tolist()
    return Evidence(
        sharp=float(np.exp(sharp)),
        broad=float(np.exp(broad)),
        clear=float(1 / (1 + np.exp(-clear))),
        absent=absent,
        absent_slope=slope,
    )


def _minimise(loss: Callable[[Scores], float], start: Scores) -> Scores:
    """Minimise by pattern search (Hooke and Jeeves 1961): steps that halve when none helps."""
    point, least, step = start.copy(), loss(start), _FIRST_STEP
    while step > _LAST_STEP:
        before, origin = least, point.copy()
        for place in range(len(point)):
            for direction in (step, -step):
                tried = point.copy()
                tried[place] += direction
                value = loss(tried)
                if value < least:
                    point, least = tried, value
                    break
        further = 2 * point - origin
        value = loss(further) if least < before else least
        if value < least:
            point, least = further, value
        step = step if least < before else step / 2
    return point
