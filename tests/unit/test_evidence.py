"""Evidence: what similarities say adds up, and what is missing says nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.models.table import PAIRS, SIGLIP
from shelfsight.records import ModelPair, Weights
from shelfsight.scan.confidence import built_in
from shelfsight.scan.evidence import absent_log_ratio, log_ratios, odds_of, shares
from shelfsight.scan.matching import Candidate
from shelfsight.scan.ranking import Ranking, is_absent, merged, rank

LITE = PAIRS["lite"]
KNOWN = LITE.calibration
SCORE = st.floats(-1, 1)
EVIDENCE = st.builds(
    Evidence,
    sharp=st.floats(0.005, 0.5),
    broad=st.floats(0.005, 0.5),
    clear=st.floats(0, 1),
    absent=st.floats(-5, 5),
    absent_slope=st.floats(-5, 5),
)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        id=st.just(""),
        product_id=st.none() | st.sampled_from("abc"),
        image_url=st.none() | st.sampled_from(["one.png", "two.png"]),
        image_score=st.none() | SCORE,
        text_score=st.none() | SCORE,
        word_score=st.none() | st.floats(0, 1),
        color_score=st.none() | SCORE,
        confirmed=st.none()
        | st.lists(st.tuples(SCORE, st.sampled_from([0.0, 1.0])), min_size=1, max_size=3),
        title=st.just(""),
        description=st.just(""),
        sku=st.none(),
        price=st.none(),
        is_code=st.just(False),
    ),
    min_size=1,
    max_size=20,
).map(lambda some: [one._replace(id=str(n)) for n, one in enumerate(some)])


def sure(*candidates: Candidate, weights: Weights = Weights()) -> dict[str, float]:  # noqa: B008
    ranking = rank(candidates, weights, KNOWN)
    return {match.product.id: match.probability or 0.0 for match in ranking.matches}


@given(st.lists(SCORE, min_size=1, max_size=50), EVIDENCE)
def test_the_ratios_of_all_candidates_are_1_on_average(scores, evidence: Evidence) -> None:
    assert np.exp(log_ratios(np.array(scores), evidence)).mean() == pytest.approx(1)


@given(st.lists(SCORE | st.just(np.nan), min_size=1, max_size=50), EVIDENCE)
def test_what_is_missing_says_nothing_and_changes_nothing(scores, evidence: Evidence) -> None:
    values = np.array(scores)
    ratios, known = log_ratios(values, evidence), ~np.isnan(values)
    assert (ratios[~known] == 0).all()
    absent = float(absent_log_ratio(values, evidence))
    if known.any():
        assert ratios[known] == pytest.approx(log_ratios(values[known], evidence))
        assert absent == pytest.approx(float(absent_log_ratio(values[known], evidence)))
    else:
        assert absent == 0


@given(CANDIDATES)
def test_probabilities_are_probabilities_and_fall_with_the_rank(candidates) -> None:
    matches, absent = rank(candidates, Weights(), KNOWN)
    found = [match.probability for match in matches]
    if absent is None:  # nothing could be compared
        assert found == [None] * len(candidates)
        return
    assert all(0 <= one <= 1 for one in (*found, absent))
    assert found == sorted(found, reverse=True)
    by_product = {match.product.product_id or match.product.id: 0.0 for match in matches}
    for match in reversed(matches):
        by_product[match.product.product_id or match.product.id] = match.probability
    shared = {match.product.image_url for match in matches} - {None}
    if not shared:
        assert sum(by_product.values()) + absent == pytest.approx(1)


@given(CANDIDATES, st.data())
def test_the_order_of_candidates_does_not_matter(candidates, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(candidates))
    one, other = sure(*candidates), sure(*shuffled)
    assert {id_: pytest.approx(value) for id_, value in one.items()} == other


@given(CANDIDATES, CANDIDATES)
def test_photos_of_one_thing_give_probabilities_too(one, other) -> None:
    both = merged([rank(one, Weights(), KNOWN), rank(other, Weights(), KNOWN)])
    assert isinstance(both, Ranking)
    assert len({match.product.id for match in both.matches}) == len(both.matches)
    if both.not_in_catalog is not None:
        assert all(0 <= match.probability <= 1 for match in both.matches)


def test_a_photo_and_words_that_agree_make_it_surer_than_either() -> None:
    others = [Candidate(id=str(n), image_score=0.2, text_score=0.2) for n in range(9)]
    right = Candidate(id="right", image_score=0.4, text_score=0.45)
    photo = sure(*(one._replace(text_score=None) for one in (right, *others)))
    words = sure(*(one._replace(image_score=None) for one in (right, *others)))
    assert sure(right, *others)["right"] > max(photo["right"], words["right"])


def test_variants_of_one_product_do_not_compete_and_neither_do_owners_of_one_picture() -> None:
    one = Candidate(id="one", image_score=0.9)
    twin, other = one._replace(id="twin"), Candidate(id="other", image_score=0.5)
    alone = sure(one, other)["one"]
    assert sure(one, twin, other)["one"] < 0.6 < alone
    variants = [each._replace(product_id="p") for each in (one, twin)]
    assert sure(*variants, other)["twin"] == pytest.approx(alone)
    pictured = [each._replace(image_url="same.png") for each in (one, twin)]
    assert sure(*pictured, other)["twin"] == pytest.approx(alone)


def test_a_picture_of_two_products_is_one_rival_also_where_its_similarity_is_0() -> None:
    other = Candidate(id="other", image_url="o.jpg", image_score=-0.5)
    alone = sure(Candidate(id="a", image_url="one.jpg", image_score=0.0), other)
    twins = sure(*(Candidate(id=i, image_url="one.jpg", image_score=0.0) for i in "ab"), other)
    assert twins["a"] == twins["b"] == pytest.approx(alone["a"])


def test_weights_scale_the_evidence() -> None:
    pictured = Candidate(id="pictured", image_score=0.6, text_score=0.2)
    described = Candidate(id="described", image_score=0.2, text_score=0.6)
    others = [Candidate(id=str(n), image_score=0.2, text_score=0.2) for n in range(9)]
    for weights, first in (
        (Weights(image=1, text=0), "pictured"),
        (Weights(image=0, text=1), "described"),
    ):
        found = sure(pictured, described, *others, weights=weights)
        assert max(found, key=found.__getitem__) == first
    even = sure(pictured, *others, weights=Weights(image=7, text=3))
    assert even == sure(pictured, *others)


def test_the_more_similar_the_best_candidate_the_less_it_is_absent() -> None:
    far, near = (
        rank([Candidate(id=str(n), text_score=n * top / 9) for n in range(10)], Weights(), KNOWN)
        for top in (0.2, 0.8)
    )
    assert near.not_in_catalog < far.not_in_catalog
    assert is_absent(*far)
    assert not is_absent(*near)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30), st.floats(-50, 50))
def test_one_more_rival_makes_nothing_surer(odds: list[float], rival: float) -> None:
    alone, _ = shares(odds, 0.0, range(len(odds)))
    beside, _ = shares([*odds, rival], 0.0, range(len(odds) + 1))
    assert all(b <= a * (1 + 1e-9) for a, b in zip(alone, beside, strict=False))


def test_all_candidates_are_equally_probable_before_the_query_is_looked_at() -> None:
    parts, absent = shares(*odds_of(np.zeros(9), 0.0), range(9))
    assert parts == pytest.approx([0.1] * 9)
    assert absent == pytest.approx(0.1)


def test_the_lite_pair_comes_with_a_calibration_and_others_are_never_highly_sure() -> None:
    assert built_in(LITE.identities) == LITE.calibration
    unknown = ModelPair(image=SIGLIP.identity, text="qwen3-embedding-0.6b@main")
    assert built_in(unknown) is None
    assert (
        built_in(ModelPair(image="efficientnet-lite1-lite2-int8@9", text=LITE.text.identity))
        is None
    )
    candidates = [Candidate(id=str(n), image_score=score) for n, score in enumerate((1, 0.2, -0.1))]
    matches, absent = rank(candidates, Weights(), None)
    assert [match.confidence for match in matches] == ["medium", "low", "low"]
    assert ([match.probability for match in matches], absent) == ([None] * 3, None)


def test_a_calibration_survives_being_stored() -> None:
    assert Calibration.from_json(KNOWN.as_json()) == KNOWN


@pytest.mark.parametrize(
    "stored",
    [None, [], {}, {"evidence": {}}, {"evidence": {"image": {"sharp": 0}}, "source": ""}],
)
def test_what_is_no_calibration_is_refused(stored: object) -> None:
    with pytest.raises(ValueError, match="not a calibration"):
        Calibration.from_json(stored)
