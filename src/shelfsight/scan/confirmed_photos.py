"""Adds the evidence of photos that people have confirmed to that of a product's own picture.

A product with confirmed photos looks like its picture or like one of them: its likelihood is a
mixture over these references. The photos' share of it, n / (n + `PRIOR`), grows with their number
n. So one photo adds little and four add much, and a wrong one can take little away: the picture
keeps the rest. A photo that does not resemble the product counts as `UNLIKE` photos.

How alike two photos are says as much as how alike a photo and a picture are, in other units. With
two image models these units were the same multiples of the temperature that was fitted for
pictures, so a model needs no constants besides those (docs/figures.md).
"""

from collections.abc import Sequence

import numpy as np

from shelfsight.models.calibration import Evidence
from shelfsight.scan.evidence import Scores
from shelfsight.scan.matching import Because, Candidate, Match

PRIOR = 2.0
"""The number of photos whose share is a half."""

UNLIKE = 0.5
"""How many photos one counts as that neither the picture, nor colours, nor a code spoke for."""

TEMPERATURE = 0.875
"""The temperature of the similarity of two photos, in units of `Evidence.broad`."""

NEUTRAL = 5.4
"""The similarity of two photos that says nothing, in the same units, beyond that of all photos."""

RESEMBLING: frozenset[Because] = frozenset({"code", "picture", "color"})
"""The reasons of a match that say that the photo resembles the product."""

_MOST = 60.0
"""Beyond this log-ratio a photo adds nothing, so that no power overflows."""


def with_confirmed(
    own: Scores, candidates: Sequence[Candidate], evidence: Evidence, photo_level: float
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
    neutral = photo_level + NEUTRAL * evidence.broad
    logs = np.minimum((pairs[:, 0] - neutral) / (TEMPERATURE * evidence.broad), _MOST)
    weights = np.where(pairs[:, 1] > 0, 1.0, UNLIKE)
    number = np.add.reduceat(weights, starts)
    photos = np.log(np.add.reduceat(weights * np.exp(logs), starts) / number)
    share = number / (number + PRIOR)
    both = own.copy()
    both[places] = np.logaddexp(np.log1p(-share) + own[places], np.log(share) + photos)
    return both


def resembles(match: Match) -> bool:
    """Return whether the product's own picture, its colours or a code spoke for a match."""
    return not RESEMBLING.isdisjoint(match.because)
