"""Which recent scans are remembered, and for whom."""

import pytest

from shelfsight.records import ModelPair
from shelfsight.scan.matching import Candidate, Match
from shelfsight.serving.scan_api.auth import Caller
from shelfsight.serving.scan_api.problems import (
    NotFoundError,
)
from shelfsight.serving.scan_api.recent_scans import RecentScans

MODELS = ModelPair(image="a@1", text="b@1")


def match(id_: str, score: float, product_id: str | None = None) -> Match:
    product = Candidate(id=id_, product_id=product_id)
    return Match(product=product, score=score, confidence="medium")


def test_a_scan_is_remembered_for_its_owner_until_there_are_too_many() -> None:
    scans = RecentScans(size=2)
    first = scans.add("ann", "image", MODELS, [match("a", 0.5)])
    assert scans.get(first, Caller(owner="ann")).matches[0].product.id == "a"
    assert scans.get(first, Caller()).owner == "ann"
    with pytest.raises(NotFoundError):
        scans.get(first, Caller(owner="bob"))
    for _ in range(2):
        scans.add("ann", "image", MODELS, [])
    with pytest.raises(NotFoundError):
        scans.get(first, Caller())
