"""The SSRF rules: every address that is not clearly public is refused."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from shelfsight.backfill.picture_address import shown
from shelfsight.images.addresses import (
    check_url,
    host_of,
    is_public,
    public_socket,
)
from shelfsight.images.unusable import UnusablePictureError

NOBODY: frozenset[str] = frozenset()


def refusal(text: str, hosts: frozenset[str] = NOBODY, base: URL | None = None) -> str | None:
    try:
        check_url(text, hosts, base)
    except UnusablePictureError as error:
        assert "\n" not in error.failure.message
        return error.failure.kind
    return None


@pytest.mark.parametrize(
    "text",
    [
        "http://shop.example/mug.jpg",
        "HTTPS://Shop.Example:443/mug.jpg?size=big",
        "https://shop.example:80/mug.jpg",
        "  https://cdn.shop.example/a%20b.jpg\n",
        "https://bücher.example/tasse grün.jpg",
        "https://my_bucket.example/mug.jpg",
        "https://shop.example./mug.jpg",
        "http://93.184.215.14/mug.jpg",
        "http://[2606:4700::6810:84e5]/mug.jpg",
        "http://[64:ff9b::5db8:d70e]/mug.jpg",
    ],
)
def test_a_public_address_is_fetched(text: str) -> None:
    assert refusal(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "ftp://shop.example/mug.jpg",
        "data:image/png;base64,iVBORw0KGgo=",
        "gopher://shop.example/",
        "javascript:alert(1)",
        "//shop.example:99999/mug.jpg",
        "http:mug.jpg",
        "http:///mug.jpg",
        "http://:80/mug.jpg",
        "http://user:secret@shop.example/",
        "http://shop.example@127.0.0.1/",
        "http://@shop.example/",
        "http://shop.example:99999/",
        "http://shop.example:port/",
        "http://shop.example\\@127.0.0.1/",
        "http://shop..example/",
        "http://shop example/",
        "http://shop%2eexample/",
        "http://shop.example/\r\nHost: other",
        "http://sh\top.example/",
        f"http://{'a' * 64}.example/",
        f"http://{'a.' * 130}example/",
        "http://[::1/",
    ],
)
def test_an_address_that_makes_no_sense_is_refused(text: str) -> None:
    assert refusal(text) == "bad_address"


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.0x1", "1.2.3.4.5", "256.1.1.1"],
)
def test_a_number_that_some_resolvers_take_for_an_address_is_refused(host: str) -> None:
    assert refusal(f"http://{host}/") == "bad_address"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.7",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::5db8:d70e]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[2001:db8::1]",
        "[2002:7f00:1::]",
        "[2002:5db8:d70e::]",
        "[3fff::1]",
        "[100::1]",
        "[5f00::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[2606:4700::1%25eth0]",
        "[fec0::1]",
        "[ff02::1]",
    ],
)
def test_an_address_that_is_not_public_is_refused(host: str) -> None:
    assert refusal(f"http://{host}/") == "forbidden_address"


@pytest.mark.parametrize("port", [0, 22, 8080, 5432])
def test_other_ports_than_80_and_443_are_refused(port: int) -> None:
    assert refusal(f"http://shop.example:{port}/") == "forbidden_address"


def test_a_listed_host_may_be_private_and_use_any_port() -> None:
    hosts = frozenset({"127.0.0.1", "::1", "nas.local"})
    for text in ("http://127.0.0.1:8000/", "https://[::1]:9/", "http://NAS.local./mug.jpg"):
        assert refusal(text, hosts) is None
    assert refusal("http://127.0.0.2/", hosts) == "forbidden_address"
    assert refusal("http://a.nas.local:8000/", hosts) == "forbidden_address"
    assert refusal("http://me@127.0.0.1/", hosts) == "bad_address"


def test_a_host_listed_with_a_port_is_allowed_with_that_port_only() -> None:
    hosts = frozenset({"127.0.0.1:8000", "[::1]:8000", "localhost:443"})
    assert refusal("http://127.0.0.1:8000/", hosts) is None
    assert refusal("http://[::1]:8000/", hosts) is None
    assert refusal("https://localhost/", hosts) is None
    assert refusal("http://127.0.0.1:8001/", hosts) == "forbidden_address"
    assert refusal("http://127.0.0.1/", hosts) == "forbidden_address"


def test_the_refusal_names_the_setting_that_would_allow_it() -> None:
    with pytest.raises(UnusablePictureError, match=r"ALLOW_PRIVATE_IMAGES=10\.0\.0\.9 "):
        check_url("http://10.0.0.9/mug.jpg", NOBODY)
    with pytest.raises(UnusablePictureError, match=r"ALLOW_PRIVATE_IMAGES=shop\.example:81 "):
        check_url("http://shop.example:81/mug.jpg", NOBODY)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/other.jpg", None),
        ("//cdn.example/mug.jpg", None),
        ("http://10.0.0.1/", "forbidden_address"),
        ("//127.0.0.1/", "forbidden_address"),
        ("file:///etc/passwd", "bad_address"),
        ("https://user@shop.example/", "bad_address"),
    ],
)
def test_a_redirect_is_judged_where_it_leads(target: str, kind: str | None) -> None:
    assert refusal(target, base=URL("https://shop.example/a/b.jpg")) == kind


def test_an_address_without_a_scheme_is_https() -> None:
    assert str(check_url("//cdn.shop.example/a.jpg?v=1", frozenset())) == (
        "https://cdn.shop.example/a.jpg?v=1"
    )
    assert refusal("//169.254.169.254/a.jpg") == "forbidden_address"


def test_a_signed_query_is_sent_as_it_stands() -> None:
    text = "https://shop.example/a%2Fb.jpg?sign=a%2Fb%3D%7E+c"
    assert str(check_url(text, NOBODY)) == text


@given(st.text())
def test_any_text_is_either_an_address_or_refused(text: str) -> None:
    for address in (text, f"http://{text}/", f"http://h:{text}/", f"http://h/{text}"):
        assert refusal(address) in {None, "bad_address", "forbidden_address"}


@given(st.ip_addresses(v=4, network="127.0.0.0/8") | st.ip_addresses(v=4, network="10.0.0.0/8"))
def test_a_private_address_stays_private_in_every_wrapping(address: object) -> None:
    assert not is_public(str(address))
    assert not is_public(f"::ffff:{address}")
    assert not is_public(f"64:ff9b::{address}")
    assert not is_public(f"::{address}")


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(address: object) -> None:
    wrapped = getattr(address, "ipv4_mapped", None) or address
    if wrapped.is_private or wrapped.is_multicast or wrapped.is_unspecified:
        assert not is_public(str(address))


def test_a_name_is_no_public_address() -> None:
    assert not is_public("shop.example")
    assert not is_public("fe80::1%eth0")


def test_no_socket_is_made_for_an_address_that_is_not_public() -> None:
    with pytest.raises(UnusablePictureError):
        public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 80))).close()


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("https://shop.example/mug.jpg?token=secret#x", "https://shop.example/mug.jpg"),
        ("https://me:secret@shop.example/mug.jpg", "https://shop.example/mug.jpg"),
        ("//me:secret@shop.example/mug.jpg", "//shop.example/mug.jpg"),
        ("data:image/png;base64,secret", "data:image/png;base64"),
        (" mugs/@blue.jpg ", "mugs/@blue.jpg"),
        ("a\nb\x1b[31m.jpg", "a?b?[31m.jpg"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, line: str) -> None:
    assert shown(address) == line


@given(st.text())
def test_what_is_shown_is_one_short_line(text: str) -> None:
    line = shown(text * 50)
    assert len(line) <= 200
    assert line.isprintable()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://CDN.Example.com./a.png?token=x", "cdn.example.com"),
        ("https://cdn.example.com:443/a.png", "cdn.example.com"),
        ("http://cdn.example.com:443/a.png", "cdn.example.com:443"),
        ("http://user:secret@cdn.example.com/", "cdn.example.com"),
        ("http://[2001:DB8::1]:8080/", "[2001:db8::1]:8080"),
        ("ftp://cdn.example.com/a.png", None),
        ("pictures/a.png", None),
        ("http:///a.png", None),
        ("http://cdn.example.com:99999/", None),
    ],
)
def test_the_host_of_an_address_is_told_where_it_has_one(address: str, host: str | None) -> None:
    assert host_of(address) == host
