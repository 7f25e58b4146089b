"""The figures of an evaluation: recall, its range, and whether probabilities are true."""

import numpy as np
import pytest

from shelfsight.scan.evaluation import Outcome, calibration_error, figures, lines, outcome
from shelfsight.scan.matching import Candidate, Match, ScanResult


def seen(rank: int | None, probability: float, name: str = "a", absent: float = 0.1) -> Outcome:
    return Outcome(name, rank, probability, "low", absent, None)


def result(matches: list[Match], not_in_catalog: float) -> ScanResult:
    return ScanResult(
        matches=tuple(matches),
        confidence="medium",
        action="show_multiple_candidates",
        not_in_catalog=not_in_catalog,
    )


def test_recall_counts_the_right_product_at_each_depth() -> None:
    found = figures([seen(1, 0.9), seen(3, 0.5), seen(7, 0.5), seen(None, 0.1)])
    assert {depth: one.value for depth, one in found.recall.items()} == {1: 0.25, 5: 0.5, 10: 0.75}


def test_the_range_is_wider_where_the_photos_show_few_products() -> None:
    hits = [n % 2 for n in range(200)]
    many = figures([seen(1 if hit else 2, 0.5, str(n)) for n, hit in enumerate(hits)])
    few = figures([seen(1 if hit else 2, 0.5, str(n % 10)) for n, hit in enumerate(hits)])
    widths = [one.recall[1].high - one.recall[1].low for one in (many, few)]
    assert widths[0] < widths[1] / 2


def test_the_error_is_the_distance_from_what_was_said_to_what_was_right() -> None:
    right = np.array([True] * 6 + [False] * 4)
    assert calibration_error(np.full(10, 0.65), right) == pytest.approx(0.05)
    assert calibration_error(np.array([1.0] * 6 + [0.0] * 4), right) == 0
    assert calibration_error(np.array([0.0] * 6 + [1.0] * 4), right) == 1


def test_what_is_as_sure_as_the_surest_seven_in_ten_is_counted() -> None:
    rows = [seen(1, n / 10, absent=0.95 if n == 0 else 0.0) for n in range(10)]
    assert figures(rows).absent_at_coverage == 0.1
    assert figures(rows).right_at_coverage == 1


def test_a_scan_gives_the_place_of_the_right_product_and_how_sure_the_first_was() -> None:
    matches = [
        Match(Candidate(id=sku, sku=sku), 0.5, "medium", probability)
        for sku, probability in (("x", 0.6), ("y", 0.3))
    ]
    found = result(matches, 0.1)
    absent = result(matches[:1], 0.7)
    one = outcome(found, absent, frozenset("y"), "y")
    assert one == Outcome("y", 2, 0.6, "medium", 0.6, None)
    nothing = result([], 1.0)
    assert outcome(nothing, nothing, frozenset("y"), "y") == Outcome("y", None, 0, None, 0, None)


def test_the_figures_are_printed_in_lines() -> None:
    text = "\n".join(lines("photo only", figures([seen(1, 0.9), seen(2, 0.3)])))
    assert "photo only: 2 scans" in text
    assert "recall @1 0.500" in text
    assert "0.9 to 1.0" in text
