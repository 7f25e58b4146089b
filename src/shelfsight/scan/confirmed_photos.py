"""Adds the evidence of photos that people have confirmed to that of a product's own picture.

A product with confirmed photos looks like its picture or like one of them: its likelihood is a
mixture over these references. The photos' share of it, n / (n + 2), grows with their number
n. So one photo adds little and four add much, and a wrong one can take little away: the picture
keeps the rest. A photo that does not resemble the product counts as `UNLIKE` photos.

How alike two photos are says as much as how alike a photo and a picture are, in other units. With
two image models these units were the same multiples of the temperature that was fitted for
pictures, so a model needs no constants besides those (docs/figures.md).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from shelfsight.models.calibration import Evidence
from shelfsight.scan.evidence import Scores
from shelfsight.scan.matching import Because, Candidate, Match


class ReferenceMixture(NamedTuple):
    """How much the confirmed photos of a product count beside its own picture.

    Attributes:
        prior: the number of photos whose share is a half.
        temperature: that of the similarity of two photos, in units of `Evidence.broad`.
        neutral: the similarity of two photos that says nothing, in the same units, beyond that of
            all photos.
    """

    prior: float
    temperature: float
    neutral: float


MIXTURE = ReferenceMixture(prior=2.0, temperature=0.875, neutral=5.4)
"""The mixture that scans use; `benchmarks/confirmed_photos.py` fits it."""

UNLIKE = 0.5
"""How many photos one counts as that neither the picture, nor colours, nor a code spoke for."""

RESEMBLING: frozenset[Because] = frozenset({"code", "picture", "color"})
"""The reasons of a match that say that the photo resembles the product."""

_MOST = 60.0
"""Beyond this log-ratio a photo adds nothing, so that no power overflows."""


def with_confirmed(
    own: Scores,
    candidates: Sequence[Candidate],
    evidence: Evidence,
    photo_level: float = 0.0,
    mixture: ReferenceMixture = MIXTURE,
) -> Scores:
    """Return the log-likelihood ratio of n candidates by all their references, (n,).

    `own` (n,) are those of their pictures. `photo_level` is the similarity that two photos of
    different things have because both are photos; it is 0 if the means were subtracted.
    """
    places = [place for place, one in enumerate(candidates) if one.confirmed]
    if not places:
        return own
    counts = [len(candidates[place].confirmed or ()) for place in places]
    pairs = np.array([pair for place in places for pair in candidates[place].confirmed or ()])
    starts = np.cumsum([0, *counts[:-1]])
    neutral = photo_level + mixture.neutral * evidence.broad
    logs = np.minimum((pairs[:, 0] - neutral) / (mixture.temperature * evidence.broad), _MOST)
    weights = np.where(pairs[:, 1] > 0, 1.0, UNLIKE)
    number = np.add.reduceat(weights, starts)
    photos = np.log(np.add.reduceat(weights * np.exp(logs), starts) / number)
    share = number / (number + mixture.prior)
    both = own.copy()
    both[places] = np.logaddexp(np.log1p(-share) + own[places], np.log(share) + photos)
    return both


def resembles(match: Match) -> bool:
    """Return whether the product's own picture, its colours or a code spoke for a match."""
    return not RESEMBLING.isdisjoint(match.because)
