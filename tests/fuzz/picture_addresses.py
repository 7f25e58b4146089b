"""Fuzzes the rules that keep addresses of pictures out of private networks."""

import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from hypothesis import strategies as st
from yarl import URL

from shelfsight.images.addresses import ALLOWED_PORTS, check_url, host_of, is_public
from shelfsight.images.unusable import UnusablePictureError

_NOBODY: frozenset[str] = frozenset()
_BASE = URL("https://shop.example/pictures/1.jpg")

_HOSTS = st.one_of(
    st.sampled_from(
        [
            *("shop.example", "localhost", "127.0.0.1", "169.254.169.254", "10.0.0.1", "0"),
            *("[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[fe80::1%25eth0]", "[::]"),
            *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "1.1.1.1", "%31"),
            *("１２７.0.0.1", "①②⑦.0.0.1", "127。0。0。1", "127.0.0.1%00", "ⓛocalhost", "xn--a"),
        ]
    ),
    st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip)),
    st.integers(0, 2**33).map(str),
    st.integers(0, 2**33).map(hex),
    st.lists(
        st.one_of(st.integers(0, 300).map(str), st.integers(0, 300).map(oct), st.just("0x7f")),
        min_size=1,
        max_size=5,
    ).map(".".join),
    st.text(max_size=12),
    st.from_regex(r"[a-z0-9_.%@:\[\]\\/#?-]{0,20}", fullmatch=True),
)
_TEXTS = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(
        ["http://", "https://", "HTTP://", "http:", "//", "http:\\\\", "ftp://", "", "\t"]
    ),
    st.sampled_from(["", "", "user@", "user:pass@", "shop.example@", "@", "%40", "\\"]),
    _HOSTS,
    st.sampled_from(["", "", ":80", ":443", ":22", ":080", ":", ":99999", ":-1", ":８0", ":80:80"]),
    st.sampled_from(["/", "", "?", "#", "\\", "/../", "/%2e%2e/", ";", "/a b"]),
    st.text(max_size=8),
)
INPUTS = st.tuples(st.one_of(_TEXTS, st.text(max_size=40)), st.booleans())


@contextmanager
def checker() -> Iterator[Callable[[tuple[str, bool]], None]]:
    """Yield a function that checks an address: refused in words, or public to every parser."""

    def check(case: tuple[str, bool]) -> None:
        text, is_relative = case
        host_of(text)
        try:
            url = check_url(text, _NOBODY, _BASE if is_relative else None)
        except UnusablePictureError as error:
            assert error.failure.kind in {"bad_address", "forbidden_address"}
            assert error.failure.message.isprintable()
            return
        _is_harmless(url)
        again = check_url(str(url), _NOBODY)
        assert (again.host, again.port, again.raw_path_qs) == (url.host, url.port, url.raw_path_qs)

    yield check


def _is_harmless(url: URL) -> None:
    assert url.scheme in {"http", "https"}
    assert url.port in ALLOWED_PORTS
    assert url.raw_user is None
    host = (url.raw_host or "").lower()
    other = urlsplit(str(url))
    assert (other.hostname or "").rstrip(".") == host.rstrip(".")
    assert other.username is None
    assert "%" not in host
    try:
        literal = ipaddress.ip_address(host.rstrip("."))
    except ValueError:
        assert not _is_number(host), "a resolver takes this name for an address"
    else:
        assert is_public(str(literal))
        assert not literal.is_loopback
        assert not literal.is_link_local
        assert not literal.is_multicast


def _is_number(host: str) -> bool:
    """Return whether the C library reads a name as an IPv4 address, such as `127.1` or `0x7f.1`."""
    try:
        socket.inet_aton(host.rstrip("."))
    except OSError:
        return False
    return True
