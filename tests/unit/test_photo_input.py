"""Photos in base64, and the error for a picture that fails."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure, Stage
from shelfsight.serving.scan_api.photo_input import decode_base64
from shelfsight.serving.scan_api.problems import (
    picture_problem,
)


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
        (Stage.DECODE, "too_slow_to_decode", 413),
        (Stage.DECODE, "too_much_memory", 413),
        (Stage.DECODE, "decode_timeout", 503),
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
