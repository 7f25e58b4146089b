"""Turns probabilities into levels of confidence, and finds the calibration of a pair of models."""

from shelfsight.models.calibration import Calibration
from shelfsight.models.choice import known_pair
from shelfsight.records import ModelPair
from shelfsight.scan.matching import Confidence

HIGH = 0.95
"""The least probability of a match of high confidence: one in twenty may be wrong."""

MEDIUM = 0.5
"""The least probability of a match of medium confidence: it is more probably right than wrong."""

LEAST = 0.01
"""The least probability of a match that is shown."""


def built_in(models: ModelPair) -> Calibration | None:
    """Return the calibration that comes with these models; None if nobody has measured both."""
    pair = known_pair(models)
    return None if pair is None else pair.calibration


def confidence(probability: float) -> Confidence:
    """Return the level of a match of this probability."""
    if probability >= HIGH:
        return "high"
    return "medium" if probability >= MEDIUM else "low"
