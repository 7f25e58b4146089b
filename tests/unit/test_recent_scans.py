"""Which recent scans are remembered, and for whom."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.records import ModelPair
from shelfsight.scan.matching import Candidate, Match, ScanResult
from shelfsight.serving.scan_api.auth import Caller
from shelfsight.serving.scan_api.problems import (
    NotFoundError,
)
from shelfsight.serving.scan_api.recent_scans import RecentScans
from shelfsight.storage.search.feedback import ShownScan
from shelfsight.testing import direction

MODELS = ModelPair(image="a@1", text="b@1")


def match(id_: str, score: float, product_id: str | None = None) -> Match:
    product = Candidate(id=id_, product_id=product_id)
    return Match(product=product, score=score, confidence="medium")


def test_a_scan_is_remembered_for_its_owner() -> None:
    scans = RecentScans()
    first = scans.add("ann", "image", MODELS, [match("a", 0.5)])
    assert scans.get(first, Caller(owner="ann")).matches[0].product.id == "a"
    assert scans.get(first, Caller()).owner == "ann"
    with pytest.raises(NotFoundError):
        scans.get(first, Caller(owner="bob"))


def test_the_vectors_of_photos_are_remembered_with_the_matches_they_found() -> None:
    one, two = direction(b"one", 768), direction(b"two", 768)
    first = match("a", 0.9)._replace(because=("words", "picture"))
    second = match("b", 0.5)._replace(because=("words",))
    results = [
        ScanResult(matches=(first,), confidence="low", action="show_single_match", vectors=(one,)),
        ScanResult(matches=(second,), confidence="low", action="show_single_match", vectors=(two,)),
    ]
    scans = RecentScans()
    kept = scans.get(scans.add(None, "image", MODELS, [second, first], results), Caller())
    assert kept.photos.keys() == {"a", "b"}
    np.testing.assert_allclose(kept.photos["a"], [one], atol=1e-3)
    np.testing.assert_allclose(kept.photos["b"], [two], atol=1e-3)
    assert kept.resembling == {"a"}
    assert scans.get(scans.add(None, "image", MODELS, [second, first]), Caller()).photos == {}


@given(
    st.lists(
        st.builds(
            lambda id_, scores, confidence: Match(
                Candidate(
                    id=id_, image_score=scores[0], text_score=scores[1], word_score=scores[2]
                ),
                score=0.5,
                confidence=confidence,
            ),
            st.text(st.characters(exclude_categories=["Cs"])),
            st.tuples(*[st.none() | st.floats(-1, 1)] * 3),
            st.sampled_from(["high", "medium", "low"]),
        )
    ),
    st.none() | st.text(st.characters(exclude_categories=["Cs"])),
)
def test_ids_and_scores_come_back_as_they_were(matches: list[Match], owner: str | None) -> None:
    scans = RecentScans()
    id_ = scans.add(owner, "combined", MODELS, matches)
    assert scans.get(id_, Caller()) == ShownScan(
        id=id_, owner=owner, query_kind="combined", models=MODELS, matches=tuple(matches)
    )


def test_scans_with_many_long_matches_stay_within_their_bytes_in_truth() -> None:
    limit = 1_000_000
    scans = RecentScans(limit)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1_000):
            last = scans.add("ann", "image", MODELS, [long_match(number, n) for n in range(100)])
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.9 * limit < scans.bytes <= limit
    assert after - before < 1.2 * limit
    assert len(scans.get(last, Caller()).matches) == 100


def test_many_scans_without_matches_stay_within_their_bytes_too() -> None:
    scans = RecentScans(100_000)
    ids = [scans.add(None, "text", MODELS, []) for _ in range(1_000)]
    assert scans.bytes <= 100_000
    with pytest.raises(NotFoundError):
        scans.get(ids[0], Caller())


def long_match(scan: int, number: int) -> Match:
    product = Candidate(
        id=f"{scan:018}{number:018}", description=f"{scan} {number} " * 200, image_score=0.25
    )
    return Match(product=product, score=0.5, confidence="medium")
