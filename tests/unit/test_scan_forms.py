"""A scan's form is read whole or refused: a photo never gets lost."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.serving.refusals import RequestRefusedError
from tests.fuzz.scan_forms import read_form

PHOTO = b"\xff\xd8\xff of a mug\r\n--xy"
FORM = (
    b'--xyz\r\nContent-Disposition: form-data; name="limit"\r\n\r\n3\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    + PHOTO
    + b"\r\n--xyz--\r\n"
)
CONTENT_TYPE = "multipart/form-data; boundary=xyz"


@given(st.integers(1, len(FORM)))
def test_a_whole_form_is_read_in_pieces_of_any_size(step: int) -> None:
    body, files = asyncio.run(read_form(CONTENT_TYPE, FORM, step))
    assert (body.limit, files) == (3, (PHOTO,))


@given(st.integers(0, len(FORM) - len("\r\n") - 1))
def test_a_form_that_was_broken_off_is_refused(length: int) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        asyncio.run(read_form(CONTENT_TYPE, FORM[:length], 100))
    assert refused.value.kind == "bad_form"
