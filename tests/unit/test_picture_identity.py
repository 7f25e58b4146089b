"""Which parts of a picture's address may change without the picture being another."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shelfsight.backfill.picture_identity import (
    parameters_pattern,
    stored_address,
    without_parameters,
)
from shelfsight.settings import Settings

PATTERN = parameters_pattern(Settings().url_parameters)
BASE = "https://shop.test/mugs/red%20mug.jpg"

NAMES = st.sampled_from(
    ["X-Amz-Signature", "x-goog-date", "Expires", "token", "v", "sig", "Key-Pair-Id", "TOKEN"]
)
OTHER_NAMES = st.sampled_from(["width", "id", "vv", "tokens", "my-token", "x-amz", "q", ""])
VALUES = st.text("aZ0%2F.-_=+~?/", max_size=6)
SIGNED = st.tuples(NAMES, VALUES)
OTHERS = st.tuples(OTHER_NAMES, VALUES)
FRAGMENTS = st.sampled_from(["", "#", "#a?v=1&b"])


def address(parameters: list[tuple[str, str]], fragment: str = "") -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters)
    return f"{BASE}{'?' if parameters else ''}{query}{fragment}"


@pytest.mark.parametrize(
    ("whole", "lasting"),
    [
        (f"{BASE}?v=1712", BASE),
        (f"{BASE}?v", BASE),
        (f"{BASE}?width=300&v=1712", f"{BASE}?width=300"),
        (f"{BASE}?v=1712&width=300#top", f"{BASE}?width=300#top"),
        (f"{BASE}?X-Amz-Date=1&X-Amz-Signature=ab&X-Amz-Expires=9", BASE),
        (f"{BASE}?Policy=e30_&Signature=a~b&Key-Pair-Id=K1", BASE),
        (f"{BASE}?sv=2024&se=2026-01-01T00%3A00Z&sr=b&sp=r&sig=a%2Fb%3D", BASE),
        (f"{BASE}?GoogleAccessId=a@b&Expires=1&Signature=c", BASE),
        (f"{BASE}?vw=1", f"{BASE}?vw=1"),
        (f"{BASE}?", f"{BASE}?"),
        (f"{BASE}?a=1&&b=2&", f"{BASE}?a=1&&b=2&"),
        ("v=1/mug.jpg", "v=1/mug.jpg"),
        ("a&v=1/mug.jpg", "a&v=1/mug.jpg"),
        ("a&v=1/mug.jpg?v=2", "a&v=1/mug.jpg"),
    ],
)
def test_signatures_and_versions_do_not_count(whole: str, lasting: str) -> None:
    assert without_parameters(whole, PATTERN) == lasting


@given(st.lists(OTHERS, max_size=4), FRAGMENTS)
def test_an_address_without_such_parts_is_what_it_was(
    others: list[tuple[str, str]], fragment: str
) -> None:
    whole = address([one for one in others if "?" not in one[1]], fragment.replace("v=", "w="))
    assert without_parameters(whole, PATTERN) == whole


@given(st.lists(SIGNED | OTHERS, max_size=6), st.lists(SIGNED, max_size=3), FRAGMENTS)
@example([("v", "1")], [("v", "2"), ("sig", "")], "")
def test_other_signatures_give_the_same_address_and_other_parameters_do_not(
    parameters: list[tuple[str, str]], new: list[tuple[str, str]], fragment: str
) -> None:
    parameters = [(name, value.replace("?", "")) for name, value in parameters if name]
    signed = [pair for pair in parameters if parameters_of(pair)]
    others = [pair for pair in parameters if not parameters_of(pair)]
    lasting = without_parameters(address(parameters, fragment), PATTERN)
    assert lasting.partition("#")[0] == address(others)
    assert without_parameters(lasting, PATTERN).partition("#")[0] == address(others)
    renewed = [*new, *others, *signed[:1]]
    renewed = [(name, value.replace("?", "")) for name, value in renewed]
    again = without_parameters(address(renewed, fragment), PATTERN)
    assert again.partition("#")[0] == address(others)
    more = without_parameters(address([*others, ("id", "7")]), PATTERN)
    assert more != address(others)
    assert ("id", "7") in parse_qsl(urlsplit(more).query)


def parameters_of(pair: tuple[str, str]) -> bool:
    """Whether a parameter of these tests is a signature."""
    return without_parameters(f"{BASE}?{pair[0]}={pair[1]}", PATTERN) == BASE


def test_no_names_leave_every_address_as_it_is() -> None:
    assert without_parameters(f"{BASE}?v=1", parameters_pattern(())) == f"{BASE}?v=1"


def test_of_a_picture_in_its_address_only_a_hash_is_stored() -> None:
    whole = f"data:image/png;base64,{'A' * 10_000}"
    assert stored_address(whole).startswith("data:image/png;sha256,")
    assert len(stored_address(whole)) < 100
    assert stored_address(f"{whole}A") != stored_address(whole)
    assert stored_address(BASE) == BASE
