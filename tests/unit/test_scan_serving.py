"""The parts of `shelfsight serve` that need no network: merging, base64, limits, memory, access."""

import asyncio
import base64
import threading
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.errors import SettingsError
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure, ModelPair, Stage
from shelfsight.scan.matching import Action, Candidate, Match, ScanResult
from shelfsight.serving.scan_api.auth import Caller
from shelfsight.serving.scan_api.photo_input import decode_base64
from shelfsight.serving.scan_api.problems import (
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    picture_problem,
)
from shelfsight.serving.scan_api.rate_limits import RateLimiter
from shelfsight.serving.scan_api.recent_scans import RecentScans
from shelfsight.serving.scan_api.responses import combine_results, match_responses, merge_matches
from shelfsight.serving.scan_api.thread_pool import ThreadPool
from shelfsight.settings import load

MODELS = ModelPair(image="a@1", text="b@1")


def match(id_: str, score: float, product_id: str | None = None) -> Match:
    product = Candidate(id=id_, product_id=product_id)
    return Match(product=product, score=score, confidence="medium")


def found(*matches: Match, action: Action = "show_multiple_candidates") -> ScanResult:
    return ScanResult(matches=matches, confidence="medium", action=action)


def test_the_best_over_all_photos_has_each_product_once_by_its_best_score() -> None:
    results = [found(match("a", 0.5), match("b", 0.4)), found(match("b", 0.9))]
    assert [(m.product.id, m.score) for m in merge_matches(results, "variant")] == [
        ("b", 0.9),
        ("a", 0.5),
    ]
    assert [m.product.id for m in combine_results(results, 1, "variant").matches] == ["b"]


def test_variants_of_one_product_count_as_one_where_products_are_asked_for() -> None:
    results = [found(match("a", 0.5, "p")), found(match("b", 0.9, "p"), match("c", 0.1))]
    assert [m.product.id for m in merge_matches(results, "product")] == ["b", "c"]
    assert [m.product.id for m in merge_matches(results, "variant")] == ["b", "a", "c"]


def test_one_match_is_recommended_only_where_all_photos_mean_that_one() -> None:
    single = partial(found, action="show_single_match")
    agreed = combine_results(
        [single(match("a", 0.9)), single(match("a", 0.8)), found()], 5, "variant"
    )
    assert agreed.action == "show_single_match"
    divided = combine_results([single(match("a", 0.9)), single(match("b", 0.8))], 5, "variant")
    assert divided.action == "show_multiple_candidates"
    unsure = combine_results([single(match("a", 0.9)), found(match("a", 0.8))], 5, "variant")
    assert unsure.action == "show_multiple_candidates"
    assert combine_results([found(), found()], 5, "variant").action == "fallback_to_manual"
    assert combine_results([], 5, "variant").action == "fallback_to_manual"


def test_a_similarity_that_was_not_compared_is_null() -> None:
    (answer,) = match_responses([match("a", 0.123456)])
    told = answer.model_dump(by_alias=True)
    assert (told["imageSimilarity"], told["textSimilarity"], told["score"]) == (None, None, 0.1235)
    assert told["ProductVariantId"] == "a"


@given(st.binary(min_size=1, max_size=200))
def test_base64_and_data_uris_give_the_bytes_back(data: bytes) -> None:
    sent = base64.b64encode(data).decode()
    assert decode_base64(sent) == data
    assert decode_base64(f"data:image/png;base64,{sent}") == data


@pytest.mark.parametrize("sent", ["é", "AAA", "AA AA", "AAAA\nAAAA", "data:image/png,AAA", "===="])
def test_what_is_not_strict_base64_is_refused(sent: str) -> None:
    with pytest.raises(UnusablePictureError) as refused:
        decode_base64(sent)
    assert picture_problem(refused.value.failure).status == 422


@pytest.mark.parametrize(
    ("stage", "kind", "status"),
    [
        (Stage.FETCH, "http_404", 424),
        (Stage.FETCH, "too_large", 424),
        (Stage.DECODE, "too_large", 413),
        (Stage.DECODE, "too_many_pixels", 413),
        (Stage.DECODE, "not_an_image", 415),
        (Stage.DECODE, "broken_image", 415),
    ],
)
def test_a_picture_that_fails_has_the_status_of_its_kind(
    stage: Stage, kind: str, status: int
) -> None:
    problem = picture_problem(Failure(stage=stage, kind=kind, message="why"))
    assert (problem.status, problem.type) == (status, f"urn:shelfsight:problem:{kind}")
    assert "why" in problem.detail


def test_what_a_private_name_resolves_to_is_not_told() -> None:
    message = "intranet.test is 10.1.2.3, not a public address"
    failure = Failure(stage=Stage.FETCH, kind="forbidden_address", message=message)
    assert "10.1.2.3" not in picture_problem(failure).detail


def test_limits_are_each_callers_own() -> None:
    rate_limiter = RateLimiter(2, 100)
    for caller in ("a", "b"):
        rate_limiter.count_request(caller)
        rate_limiter.count_request(caller)
        with pytest.raises(RateLimitedError) as refused:
            rate_limiter.count_request(caller)
        assert 1 <= int(refused.value.headers["Retry-After"]) <= 60


def test_a_refused_body_does_not_count_and_a_huge_one_takes_all() -> None:
    rate_limiter = RateLimiter(0, 100)
    rate_limiter.count_body("a", 60)
    with pytest.raises(RateLimitedError):
        rate_limiter.count_body("a", 50)
    rate_limiter.count_body("a", 40)
    rate_limiter.count_body("b", 1_000_000)
    with pytest.raises(RateLimitedError):
        rate_limiter.count_body("b", 1)


def test_zero_is_no_limit() -> None:
    rate_limiter = RateLimiter(0, 0)
    for _ in range(1000):
        rate_limiter.count_request("a")
        rate_limiter.count_body("a", 10**9)


def test_an_owner_sees_their_own_products_and_an_admin_those_asked_for() -> None:
    ann, admin = Caller(owner="ann", id="1"), Caller(id="2")
    assert (ann.owner_to_search(None), ann.owner_to_search("ann")) == ("ann", "ann")
    assert (admin.owner_to_search(None), admin.owner_to_search("bob")) == (None, "bob")
    for other in ("bob", "", "ANN"):
        with pytest.raises(ForbiddenError):
            ann.owner_to_search(other)


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


def test_no_more_calls_run_at_once_than_there_are_workers() -> None:
    workers, gate, entered = ThreadPool(2, "test"), threading.Event(), threading.Semaphore(0)
    running: set[int] = set()
    most = 0

    def work() -> None:
        nonlocal most
        running.add(threading.get_ident())
        most = max(most, len(running))
        entered.release()
        gate.wait(10)

    async def all_of_them() -> None:
        calls = [asyncio.create_task(workers.run(work)) for _ in range(6)]
        for _ in range(2):
            await asyncio.to_thread(entered.acquire)
        gate.set()
        await asyncio.gather(*calls)

    asyncio.run(all_of_them())
    workers.close()
    assert most == 2


def test_sites_are_read_from_one_setting_and_a_star_is_none() -> None:
    sites = load({"cors_origins": " https://A.example, http://b.example:8000 ,"}).origins
    assert sites == ("https://a.example", "http://b.example:8000")
    for odd in ("*", "a.example", "https://a.example/", "https://user@a.example"):
        with pytest.raises(SettingsError, match="CORS_ORIGINS"):
            load({"cors_origins": odd})
