"""Where a picture is, by what the catalogue has of its address."""

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shelfsight.backfill.picture_identity import MAX_ADDRESS_LENGTH
from shelfsight.images.data_url import read_data_url
from shelfsight.images.location import is_local, location
from shelfsight.images.unusable import UnusablePictureError

CDN = "https://cdn.test/media"
SEGMENTS = st.lists(st.text("abc é%.-_", min_size=1, max_size=5).map(str.strip), min_size=1).map(
    "/".join
)


@pytest.mark.parametrize(
    ("address", "base_url", "whole"),
    [
        ("mugs/red mug.jpg", CDN, f"{CDN}/mugs/red mug.jpg"),
        ("/m/u/mug.jpg", CDN, f"{CDN}/m/u/mug.jpg"),
        ("/m/u/mug.jpg", f"{CDN}/", f"{CDN}/m/u/mug.jpg"),
        ("mug.jpg?v=1", CDN, f"{CDN}/mug.jpg?v=1"),
        ("mugs/red.jpg", None, "mugs/red.jpg"),
        ("//img.test/a.jpg", None, "https://img.test/a.jpg"),
        ("//img.test/a.jpg", CDN, "https://img.test/a.jpg"),
        ("http://img.test/a.jpg", CDN, "http://img.test/a.jpg"),
        ("HTTPS://img.test/a.jpg", CDN, "HTTPS://img.test/a.jpg"),
        ("file:mugs/red.jpg", CDN, "file:mugs/red.jpg"),
        ("data:image/png;base64,AA==", CDN, "data:image/png;base64,AA=="),
        ("ftp://img.test/a.jpg", CDN, "ftp://img.test/a.jpg"),
    ],
)
def test_relative_addresses_follow_the_base(address: str, base_url: str | None, whole: str) -> None:
    assert location(address, base_url) == whole


@given(SEGMENTS, st.sampled_from([CDN, f"{CDN}/", "http://10.0.0.1:8080", "https://a.test/b/c"]))
def test_a_path_stays_below_the_base_and_a_whole_address_is_left_alone(
    path: str, base_url: str
) -> None:
    assume(path.strip())  # a catalogue reads no empty address
    whole = location(path, base_url)
    assert location(whole, "https://other.test") == whole
    if not path.strip().startswith("//"):
        assert whole.startswith(f"{base_url.rstrip('/')}/")
        assert whole.endswith(path.strip().lstrip("/"))
        assert not is_local(whole)


@given(st.binary(min_size=1, max_size=300), st.sampled_from(["", "image/png", "image/svg+xml"]))
def test_the_bytes_of_a_data_address_are_read(content: bytes, media_type: str) -> None:
    lines = base64.encodebytes(content).decode()  # with line breaks, as Postgres' encode() has them
    assert read_data_url(f"data:{media_type};base64,{lines}") == content


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("data:image/png,%89PNG", "bad_address"),
        ("data:image/png;base64,@@@@", "bad_address"),
        ("data:image/png;base64,AAAAA", "bad_address"),
        ("data:", "bad_address"),
        ("data:image/png;base64," + "A" * MAX_ADDRESS_LENGTH, "too_large"),
    ],
)
def test_a_broken_or_huge_data_address_is_a_failure(address: str, kind: str) -> None:
    with pytest.raises(UnusablePictureError) as caught:
        read_data_url(address)
    assert caught.value.failure.kind == kind
