"""What the embedding server lets in, and how it reads it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.embedding.model_specs import QWEN3, SIGLIP, WORDLLAMA
from shelfsight.embedding.remote.remote_embedder import sendable
from shelfsight.embedding.wire import QUERY_INSTRUCTION, TextRequest
from shelfsight.errors import SettingsError
from shelfsight.serving.access import ServerKey, check_host
from shelfsight.serving.embedding_api.model_batchers import allowed_dimensions, instruction_prefix
from shelfsight.serving.embedding_api.picture_input import read_picture
from shelfsight.serving.limits import CapacityLimit, FullError
from shelfsight.serving.refusals import BusyError, RequestRefusedError
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
        (b"[" * 100_000, 400),
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


@pytest.mark.parametrize(
    ("sent", "opens"),
    [
        ("Bearer secret", True),
        ("bearer  secret ", True),
        ("Bearer secre", False),
        ("Basic secret", False),
        ("secret", False),
        ("Bearer ", False),
        ("", False),
        ("Bearer \udcff", False),
    ],
)
def test_only_the_key_opens(sent: str, opens: bool) -> None:
    key = ServerKey("secret")
    assert key.matches(sent) is opens
    assert "secret" not in repr(vars(key))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_may_be_served_without_a_key(host: str) -> None:
    check_host(host, has_key=False, insecure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_other_machines_are_served_with_a_key_or_when_told_so(host: str) -> None:
    check_host(host, has_key=True, insecure=False)
    check_host(host, has_key=False, insecure=True)
    with pytest.raises(SettingsError, match="EMBEDDING_SERVER_API_KEY"):
        check_host(host, has_key=False, insecure=False)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("colours", [1, 8, 256])
def test_the_server_sees_the_very_pixels_that_our_client_sends(
    colours: int, compressed: bool
) -> None:
    side = SIGLIP.picture.side
    pixels = np.random.default_rng(1).integers(0, colours, (side, side, 3), np.uint8)
    assert np.array_equal(
        read_picture(sendable(pixels, compressed=compressed), SIGLIP.picture), pixels
    )


def test_a_room_lets_in_what_fits_and_one_giant_alone() -> None:
    room = CapacityLimit(10)
    with room.reserve(25):
        pass
    with room.reserve(6), room.reserve(4), pytest.raises(FullError), room.reserve(1):
        pass
    with room.reserve(10):
        pass


@pytest.mark.parametrize(("ahead", "told"), [(0, 1), (0.2, 1), (2.1, 3), (1000, 60)])
def test_when_to_come_again_is_in_whole_seconds(ahead: float, told: int) -> None:
    assert BusyError(ahead).headers == {"Retry-After": str(told)}


def test_the_usual_instruction_reads_as_the_model_does_in_process() -> None:
    assert instruction_prefix(QWEN3, QUERY_INSTRUCTION) + "mugs" == QWEN3.query.format(text="mugs")


def test_another_instruction_takes_its_place() -> None:
    assert instruction_prefix(QWEN3, "Find {text}") == "Instruct: Find {text}\nQuery:"
    assert instruction_prefix(QWEN3, None) == instruction_prefix(WORDLLAMA, "Find it") == ""


def test_only_models_trained_for_it_are_cut_short() -> None:
    assert list(allowed_dimensions(SIGLIP)) == [768]
    assert 32 in allowed_dimensions(QWEN3)
    assert 31 not in allowed_dimensions(QWEN3)
    assert 1024 in allowed_dimensions(WORDLLAMA)
    assert 1025 not in allowed_dimensions(WORDLLAMA)
