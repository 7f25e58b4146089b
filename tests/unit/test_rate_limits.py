"""Rate limits per caller."""

import pytest

from shelfsight.serving.scan_api import rate_limits
from shelfsight.serving.scan_api.problems import RateLimitedError
from shelfsight.serving.scan_api.rate_limits import RateLimiter


def test_limits_are_each_callers_own() -> None:
    rate_limiter = RateLimiter(2, 100)
    for caller in ("a", "b"):
        rate_limiter.count_request(caller)
        rate_limiter.count_request(caller)
        with pytest.raises(RateLimitedError) as refused:
            rate_limiter.count_request(caller)
        assert 1 <= int(refused.value.headers["Retry-After"]) <= 60


def test_an_announced_body_does_not_count_and_a_huge_one_takes_all() -> None:
    rate_limiter = RateLimiter(0, 100)
    rate_limiter.check_body("a", 1_000_000)
    rate_limiter.count_body("a", 60)
    with pytest.raises(RateLimitedError):
        rate_limiter.check_body("a", 50)
    rate_limiter.count_body("a", 40)
    with pytest.raises(RateLimitedError):
        rate_limiter.count_body("a", 1)
    rate_limiter.count_body("b", 1_000_000)
    with pytest.raises(RateLimitedError):
        rate_limiter.count_body("b", 1)


def test_zero_is_no_limit() -> None:
    rate_limiter = RateLimiter(0, 0)
    for _ in range(1000):
        rate_limiter.count_request("a")
        rate_limiter.count_body("a", 10**9)


def test_callers_beyond_the_number_of_counters_are_counted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_COUNTERS", 10)
    rate_limiter = RateLimiter(3, 0)
    for number in range(10):
        rate_limiter.count_request(f"early {number}")
    for number in range(3):
        rate_limiter.count_request(f"late {number}")
    with pytest.raises(RateLimitedError):
        rate_limiter.count_request("late 3")
    rate_limiter.count_request("early 1")
    assert len(rate_limiter) == 11
