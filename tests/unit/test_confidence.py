"""Confidence: how far a match stands out, and how good its score is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.models.specs import UNMEASURED, Thresholds
from shelfsight.models.table import PAIRS, SIGLIP
from shelfsight.records import ModelPair
from shelfsight.scan.confidence import confidence, shares, thresholds

LITE = PAIRS["lite"]
LIMITS = Thresholds(high=0.8, medium=0.5, low=0.2, spread=0.1, absent=0.3)
SCORES = st.lists(st.floats(-1, 1), min_size=1, max_size=300)
ROWS = st.sampled_from([LIMITS, UNMEASURED, *LITE.thresholds.values()])


def sure(*scores: float, products: str | None = None, limits: Thresholds = LIMITS) -> list:
    names = list(products or map(str, range(len(scores))))
    parts = shares(scores, names, limits)
    return [confidence(score, part, limits) for score, part in zip(scores, parts, strict=True)]


def test_a_match_that_stands_out_is_high_and_one_among_its_like_is_not() -> None:
    assert sure(0.9, 0.5, 0.45) == ["high", "low", "low"]
    assert sure(0.9, 0.82, 0.45) == ["medium", "low", "low"]
    assert sure(0.9, 0.89, 0.88, 0.87) == ["low"] * 4


def test_a_poor_score_is_never_sure_though_it_has_no_rival() -> None:
    assert sure(0.9) == ["high"]
    assert sure(0.4) == ["medium"]
    assert sure(0.25) == ["low"]
    assert sure(0.19, -0.5) == [None, None]
    assert sure() == []


def test_variants_of_one_product_do_not_compete() -> None:
    assert sure(0.9, 0.9, 0.5) == ["low", "low", "low"]
    assert sure(0.9, 0.9, 0.5, products="aab") == ["high", "high", "low"]


def test_a_better_score_by_the_spread_weighs_e_times_as_much() -> None:
    rivalless = Thresholds(high=1, medium=1, low=-1, spread=0.1, absent=-10)
    better, worse = shares([0.6, 0.5], ["a", "b"], rivalless)
    assert better / worse == pytest.approx(2.718281828)
    assert better + worse == pytest.approx(1)


@given(SCORES, ROWS)
def test_shares_are_shares_and_follow_the_scores(scores: list[float], limits: Thresholds) -> None:
    parts = shares(scores, [str(n) for n in range(len(scores))], limits)
    assert all(0 <= part <= 1 for part in parts)
    assert sum(parts) <= 1 + 1e-9
    ordered = [part for _, part in sorted(zip(scores, parts, strict=True))]
    assert ordered == sorted(ordered)


@given(SCORES, st.data(), ROWS)
def test_shares_of_variants_are_shares_too(scores, data, limits: Thresholds) -> None:
    count = len(scores)
    products = data.draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count))
    assert all(0 <= part <= 1 for part in shares(scores, products, limits))


@given(SCORES, st.floats(-1, 1))
def test_one_more_rival_makes_nothing_surer(scores: list[float], rival: float) -> None:
    names = [str(n) for n in range(len(scores) + 1)]
    alone = shares(scores, names[:-1], LIMITS)
    beside = shares([*scores, rival], names, LIMITS)
    assert all(b <= a * (1 + 1e-9) for a, b in zip(alone, beside, strict=False))


def test_the_lite_pair_is_measured_for_every_kind_of_query() -> None:
    for kind in ("image", "text", "combined"):
        limits = thresholds(LITE.identities, kind)
        assert limits is not UNMEASURED
        assert limits.medium < limits.high <= 1


def test_models_that_nobody_measured_are_never_highly_sure() -> None:
    pair = ModelPair(image=SIGLIP.identity, text="qwen3-embedding-0.6b@main")
    for kind in ("image", "text", "combined"):
        limits = thresholds(pair, kind)
        assert sure(1.0, 0.2, 0.1, limits=limits) == ["medium", "low", "low"]
        assert sure(-0.1, limits=limits) == [None]
    other = ModelPair(image="efficientnet-lite0@9", text=LITE.text.identity)
    assert thresholds(other, "image") is UNMEASURED
