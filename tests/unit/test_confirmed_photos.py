"""Photos that people confirmed are references of a product: one says little, several say much."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.records import Weights
from shelfsight.scan.confirmed_photos import MIXTURE, UNLIKE, with_confirmed
from shelfsight.scan.matching import Candidate
from shelfsight.scan.ranking import Ranking, rank

PICTURES = Evidence(sharp=0.02, broad=0.07, clear=0.5)
KNOWN = Calibration(evidence={"image": PICTURES}, source="made up")
PAIR = st.tuples(st.floats(-1, 1), st.sampled_from([0.0, 1.0]))
PHOTOS = st.none() | st.lists(PAIR, min_size=1, max_size=16)


def ratio(own: float, *photos: tuple[float, float], level: float = 0.0) -> float:
    candidate = Candidate(id="a", confirmed=photos or None)
    return float(with_confirmed(np.array([own]), [candidate], PICTURES, level)[0])


def ranked(*candidates: Candidate) -> Ranking:
    return rank(candidates, Weights(), KNOWN)


@given(st.lists(st.tuples(st.floats(-20, 20), PHOTOS), max_size=10))
def test_each_product_has_the_evidence_of_its_own_photos_alone(
    rows: list[tuple[float, list[tuple[float, float]] | None]],
) -> None:
    candidates = [Candidate(id=str(n), confirmed=photos) for n, (_, photos) in enumerate(rows)]
    own = np.array([value for value, _ in rows])
    expected = [ratio(value, *(photos or ())) for value, photos in rows]
    assert with_confirmed(own, candidates, PICTURES, 0.0) == pytest.approx(expected)


@given(st.floats(-20, 20), st.lists(PAIR, min_size=1, max_size=16))
def test_photos_take_no_more_than_their_share_from_the_picture(
    own: float, photos: list[tuple[float, float]]
) -> None:
    number = sum(like or UNLIKE for _, like in photos)
    least = own + np.log(MIXTURE.prior / (number + MIXTURE.prior))
    assert ratio(own, *photos) >= least - 1e-9


@given(st.floats(-20, 20), st.floats(-1, 1), st.integers(1, 15))
def test_more_photos_say_more(own: float, score: float, number: int) -> None:
    few = ratio(own, *[(score, 1.0)] * number)
    many = ratio(own, *[(score, 1.0)] * (number + 1))
    towards = ratio(own, *[(score, 1.0)] * 10_000)
    assert abs(many - own) >= abs(few - own) - 1e-9
    assert min(own, towards) - 1e-9 <= few <= max(own, towards) + 1e-9


@given(st.floats(-5, 5), st.floats(-1, 1))
def test_a_photo_unlike_the_product_counts_less(own: float, score: float) -> None:
    assert abs(ratio(own, (score, 0.0)) - own) <= abs(ratio(own, (score, 1.0)) - own) + 1e-9


def test_a_likeness_of_all_photos_says_nothing() -> None:
    assert ratio(0.0, (0.9, 1.0), level=0.5) == pytest.approx(ratio(0.0, (0.4, 1.0)))


def test_a_product_is_found_by_its_photo_and_says_so() -> None:
    pictured = Candidate(id="pictured", image_score=0.4)
    others = [Candidate(id=str(n), image_score=0.1) for n in range(20)]
    without = Candidate(id="without", confirmed=[(0.9, 1.0)])
    matches = {one.product.id: one for one in ranked(pictured, without, *others).matches}
    assert matches["without"].because == ("confirmed_photo",)
    assert matches["pictured"].because == ("picture",)
    assert matches["without"].probability > matches["0"].probability


def test_a_wrong_photo_hides_no_product_that_its_picture_finds() -> None:
    right = Candidate(id="right", image_score=0.7, confirmed=[(-0.2, 0.0)])
    others = [Candidate(id=str(n), image_score=0.1) for n in range(20)]
    (first, *_) = ranked(right, *others).matches
    assert first.product.id == "right"
    assert first.because == ("picture",)
