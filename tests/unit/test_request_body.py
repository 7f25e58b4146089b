"""Bodies of requests: JSON is validated, unpaired surrogates are repaired."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.embedding.wire import TextRequest
from shelfsight.serving.refusals import RequestRefusedError
from shelfsight.serving.request_body import parse

ANY_TEXT = st.text(st.characters(exclude_characters="\ufffd"))
"""Half pairs of surrogates included."""


@given(st.lists(ANY_TEXT, min_size=1))
def test_texts_arrive_as_they_were_and_half_a_pair_as_a_question_mark(texts: list[str]) -> None:
    got = parse(json.dumps({"texts": texts}).encode(), TextRequest).texts
    whole = [t.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for t in texts]
    assert got == [text.replace("\ufffd", "?") for text in whole]


def test_an_escaped_backslash_before_a_u_is_no_surrogate() -> None:
    body = rb'{"texts": ["\\ud800", "\ud800"]}'
    assert parse(body, TextRequest).texts == ["\\ud800", "?"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"texts": ["\xed\xa0\x80"]}', 400),
        (b'{"texts": ["\\u12"]}', 400),
        (b"[" * 100_000, 422),
        (b'{"x": ' + b"[" * 100_000, 400),
        (b"[]", 422),
        (b'{"texts": "a"}', 422),
        (b'{"texts": [1]}', 422),
        (b'{"texts": ["a"], "encoding_format": "hex"}', 422),
    ],
)
def test_what_is_not_json_of_the_shape_is_refused_in_words(body: bytes, status: int) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        parse(body, TextRequest)
    assert refused.value.status == status
    assert 0 < len(str(refused.value)) < 200
