"""A fit makes probabilities true, whatever the similarities of a pair of models are like."""

from dataclasses import replace

import numpy as np
import pytest

from shelfsight.models.calibration import Evidence
from shelfsight.scan.calibration_fit import ScoredQueries, fit, log_loss
from shelfsight.scan.evaluation import calibration_error
from shelfsight.scan.evidence import ABSENT_PRIOR, absent_log_ratio, log_ratios, odds_of

GUESS = Evidence(sharp=0.02, broad=0.07, clear=0.4)


def queries(seed: int, *, scale: float, shift: float, count: int = 300) -> ScoredQueries:
    """Similarities of 40 candidates; the right one is nearer, in clear photos by much."""
    chance = np.random.default_rng(seed)
    scores = chance.normal(0.3, 0.1, (count, 40))
    places = chance.integers(40, size=count)
    right = np.arange(40) == places[:, None]
    lead = np.where(chance.random(count) < 0.5, 0.35, 0.1)[:, None]
    return ScoredQueries(scores=(scores + right * lead) * scale + shift, right=right)


def sure(of: ScoredQueries, evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    odds, rival = odds_of(log_ratios(of.scores, evidence), absent_log_ratio(of.scores, evidence))
    total = np.logaddexp(np.logaddexp.reduce(odds, axis=-1), rival)
    first = odds.argmax(axis=-1)
    return np.exp(odds.max(axis=-1) - total), of.right[np.arange(len(first)), first]


def test_probabilities_are_true_on_other_queries_than_those_of_the_fit() -> None:
    evidence = fit(queries(1, scale=1, shift=0))
    others = queries(2, scale=1, shift=0, count=2_000)
    absent = replace(others, scores=np.where(others.right, -np.inf, others.scores))
    probability, right = (
        np.concatenate(both)
        for both in zip(sure(others, evidence), sure(absent, evidence), strict=True)
    )
    right[len(others.right) :] = False
    weights = np.repeat([1 - ABSENT_PRIOR, ABSENT_PRIOR], len(others.right))
    assert calibration_error(probability, right, weights) < 0.1
    assert log_loss(others, evidence) < log_loss(others, GUESS)


@pytest.mark.parametrize(("scale", "shift"), [(0.2, 0.7), (3, -1)])
def test_models_with_other_similarities_for_the_same_things_get_the_same_probabilities(
    scale: float, shift: float
) -> None:
    here, there = (
        queries(1, scale=one, shift=by, count=40) for one, by in ((1, 0), (scale, shift))
    )
    assert sure(there, fit(there))[0] == pytest.approx(sure(here, fit(here))[0], rel=1e-3)


def test_a_candidate_that_cannot_be_compared_or_is_not_there_does_not_stop_a_fit() -> None:
    whole = queries(1, scale=1, shift=0, count=60)
    holes = whole.scores.copy()
    holes[~whole.right & (np.arange(40) % 5 == 0)] = np.nan
    holes[~whole.right & (np.arange(40) % 5 == 1)] = -np.inf
    evidence = fit(ScoredQueries(scores=holes, right=whole.right))
    assert np.isfinite(log_loss(ScoredQueries(scores=holes, right=whole.right), evidence))
