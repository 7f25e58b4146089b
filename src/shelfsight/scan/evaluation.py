"""Measures scans whose right product is known: recall, and whether probabilities are true.

The expected calibration error (ECE) is the mean distance between how sure the first matches were
and how many were right, over ten bins of probability (Guo and others 2017, arXiv 1706.04599). Even
a perfect calibration has an ECE above 0 on few photos; `chance` says how much.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shelfsight.scan.evidence import ABSENT_PRIOR
from shelfsight.scan.matching import Confidence, ScanResult

DEPTHS = (1, 5, 10)
COVERAGE = 0.7
BINS = 10

_ROUNDS = 1000
_SEED = 7

Floats = NDArray[np.float64]


class Outcome(NamedTuple):
    """What the scan of one photo or text gave.

    Attributes:
        right: what is right, in words that name the product.
        rank: the place of the right product, from 1; None if it was not found.
        probability: that of the first match; 0.0 if there is none.
        level: the confidence of the first match; None if a scan without a threshold shows none.
        absent: the probability of the first match if the right products are left out.
        absent_level: the same for its confidence.
    """

    right: str
    rank: int | None
    probability: float
    level: Confidence | None
    absent: float
    absent_level: Confidence | None


class Range(NamedTuple):
    """A share, and its range: 95 of 100 samples of as many products give a share within."""

    value: float
    low: float
    high: float


class Bin(NamedTuple):
    """The first matches whose probability lies in one tenth: how many, how sure, how many right."""

    scans: int
    probability: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of some scans.

    Attributes:
        scans: how many there are.
        recall: at each depth, the share of scans whose right product is that far up.
        ece: the expected calibration error of scans of things that are in the catalogue.
        ece_mixed: the same if one scan in ten is of something else.
        chance: the ECE of a perfect calibration on as many scans, from things in the catalogue.
        bins: the reliability of probabilities, by tenths.
        right_at_coverage: of the 70% of scans that are surest, how many are right.
        absent_at_coverage: how many scans of absent things are as sure as those.
        levels: for each level, how many first matches had it, and how many of these were right.
        absent_levels: for each level, how many scans of absent things had it.
    """

    scans: int
    recall: dict[int, Range]
    ece: float
    ece_mixed: float
    chance: float
    bins: list[Bin]
    right_at_coverage: float
    absent_at_coverage: float
    levels: dict[str, tuple[int, int]]
    absent_levels: dict[str, int]

    def as_json(self) -> dict[str, object]:
        """Return the figures as JSON."""
        shown = asdict(self)
        shown["recall"] = {str(depth): one._asdict() for depth, one in self.recall.items()}
        shown["bins"] = [one._asdict() for one in self.bins]
        return shown


def outcome(found: ScanResult, absent: ScanResult, right: frozenset[str], name: str) -> Outcome:
    """Return what two scans gave: one as users scan, and one with the right products left out.

    Both were made with a threshold of -1, so that they show every match.
    """
    ranks = [n for n, match in enumerate(found.matches, 1) if match.product.sku in right]
    return Outcome(
        right=name,
        rank=min(ranks, default=None),
        probability=_first(found),
        level=_level(found),
        absent=_first(absent),
        absent_level=_level(absent),
    )


def figures(outcomes: Sequence[Outcome]) -> Figures:
    """Return the figures of at least one scan."""
    sure = np.array([one.probability for one in outcomes])
    right = np.array([one.rank == 1 for one in outcomes])
    absent = np.array([one.absent for one in outcomes])
    cut = np.quantile(sure, 1 - COVERAGE)
    weights = np.r_[np.full(len(sure), 1 - ABSENT_PRIOR), np.full(len(sure), ABSENT_PRIOR)]
    return Figures(
        scans=len(outcomes),
        recall={depth: _recall(outcomes, depth) for depth in DEPTHS},
        ece=calibration_error(sure, right),
        ece_mixed=calibration_error(
            np.r_[sure, absent], np.r_[right, np.zeros(len(absent), bool)], weights
        ),
        chance=_chance(sure),
        bins=_reliability(sure, right),
        right_at_coverage=float(right[sure >= cut].mean()),
        absent_at_coverage=float((absent >= cut).mean()),
        levels={
            _word(level): (
                sum(one.level == level for one in outcomes),
                sum(one.level == level and one.rank == 1 for one in outcomes),
            )
            for level in ("high", "medium", "low", None)
        },
        absent_levels={
            _word(level): sum(one.absent_level == level for one in outcomes)
            for level in ("high", "medium", "low", None)
        },
    )


def calibration_error(
    sure: Floats, right: NDArray[np.bool_], weights: Floats | None = None
) -> float:
    """Return the expected calibration error of probabilities (n,), in [0, 1]."""
    weights = np.ones(len(sure)) if weights is None else weights
    gaps = np.bincount(_bins(sure), weights=weights * (sure - right), minlength=BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def lines(name: str, of: Figures) -> list[str]:
    """Return the figures as lines for people."""
    recall = ", ".join(
        f"@{depth} {one.value:.3f} ({one.low:.2f} to {one.high:.2f})"
        for depth, one in of.recall.items()
    )
    shown = [
        f"{name}: {of.scans} scans",
        f"  recall {recall}",
        f"  ECE {of.ece:.3f}, with one scan in ten of an absent thing {of.ece_mixed:.3f}"
        f" (by chance alone {of.chance:.3f})",
        f"  the {COVERAGE:.0%} that are surest: {of.right_at_coverage:.3f} right;"
        f" {of.absent_at_coverage:.3f} of absent things are as sure",
        f"  {'first match':<12} {'scans':>6} {'right':>6}   of absent things",
    ]
    for word, (scans, right) in of.levels.items():
        share = f"{right / scans:>6.2f}" if scans and word != "no match" else f"{'':>6}"
        shown.append(f"  {word:<12} {scans:>6} {share} {of.absent_levels[word]:>8}")
    shown.append(f"  {'probability':<12} {'scans':>6} {'sure':>6} {'right':>6}")
    for tenth, one in enumerate(of.bins):
        if one.scans:
            interval = f"{tenth / BINS:.1f} to {(tenth + 1) / BINS:.1f}"
            shown.append(
                f"  {interval:<12} {one.scans:>6} {one.probability:>6.2f} {one.right:>6.2f}"
            )
    return shown


def _first(found: ScanResult) -> float:
    return found.matches[0].probability or 0.0 if found.matches else 0.0


def _level(found: ScanResult) -> Confidence | None:
    if not found.matches or (found.not_in_catalog or 0.0) > _first(found):
        return None
    return found.confidence


def _word(level: Confidence | None) -> str:
    return level or "no match"


def _recall(outcomes: Sequence[Outcome], depth: int) -> Range:
    """Return a recall, with a bootstrap over products: photos of one product are alike."""
    products = sorted({one.right for one in outcomes})
    numbers = {product: n for n, product in enumerate(products)}
    owner = [numbers[one.right] for one in outcomes]
    hits = np.array([one.rank is not None and one.rank <= depth for one in outcomes], float)
    right = np.bincount(owner, weights=hits, minlength=len(products))
    scans = np.bincount(owner, minlength=len(products))
    drawn = np.random.default_rng(_SEED).integers(len(products), size=(_ROUNDS, len(products)))
    low, high = np.quantile(right[drawn].sum(axis=1) / scans[drawn].sum(axis=1), (0.025, 0.975))
    return Range(float(hits.mean()), float(low), float(high))


def _chance(sure: Floats) -> float:
    """Return the mean ECE of scans that are right exactly as often as their probability says."""
    drawn = np.random.default_rng(_SEED).random((200, len(sure))) < sure
    return float(np.mean([calibration_error(sure, right) for right in drawn]))


def _reliability(sure: Floats, right: NDArray[np.bool_]) -> list[Bin]:
    places = _bins(sure)
    return [
        Bin(
            int(inside.sum()),
            float(sure[inside].mean()) if inside.any() else 0.0,
            float(right[inside].mean()) if inside.any() else 0.0,
        )
        for inside in (places == tenth for tenth in range(BINS))
    ]


def _bins(sure: Floats) -> NDArray[np.int64]:
    return np.minimum((sure * BINS).astype(np.int64), BINS - 1)
