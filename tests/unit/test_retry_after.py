"""`Retry-After` as servers send it, valid or not."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.retry_after import retry_after


@pytest.mark.parametrize(("sent", "seconds"), [("0", 0), (" 120 ", 120), ("9" * 400, float("inf"))])
def test_seconds_are_read(sent: str, seconds: float) -> None:
    assert retry_after({"Retry-After": sent}) == seconds


def test_a_date_is_read_as_seconds_from_now_and_one_that_has_passed_as_none_left() -> None:
    now = datetime.now(UTC)
    ahead = retry_after({"Retry-After": format_datetime(now + timedelta(hours=1), usegmt=True)})
    assert ahead == pytest.approx(3600, abs=60)
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 -0000"}) == 0


def test_without_the_header_there_is_no_pause() -> None:
    assert retry_after({}) is None


@given(st.text() | st.just(f"Mon, 01 Jan 2020 00:00:00 +{10**14}"))
def test_nonsense_is_no_pause_and_no_error(sent: str) -> None:
    seconds = retry_after({"Retry-After": sent})
    assert seconds is None or seconds >= 0
