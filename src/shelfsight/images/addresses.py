"""Decides which addresses may be fetched; prevents server-side request forgery (SSRF).

The same parser (yarl) reads an address for the check and for the request. The IP addresses of a
host are checked when aiohttp asks for them, and again when aiohttp connects to one of them. So a
name that resolves to another address the second time (DNS rebinding) does not get past the checks.
"""

import ipaddress
import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from shelfsight.images.unusable import UnusablePictureError

ALLOWED_PORTS = frozenset({80, 443})

# Networks that are multicast, reserved, or not globally reachable by IANA's registry.
# They are listed here because `is_global` differs between Python versions.
_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; some clouds have their metadata server here
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent, which only virtual machines of Azure can reach
        "169.254.0.0/16",  # link-local; most clouds have their metadata server here
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments, including Teredo
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
# The last 32 bits are the IPv4 address that is reached; that address is checked instead.
_V4_IN_V6 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


def check_url(text: str, private_hosts: frozenset[str], base: URL | None = None) -> URL:
    """Parse an address, relative to `base` if given, and make all checks that need no DNS.

    Without a base, `//host/a.jpg` begins with `https:`.

    Raises:
        UnusablePictureError: `bad_address` or `forbidden_address`.
    """
    url = _parse(text, base)
    if url.scheme not in {"http", "https"}:
        raise UnusablePictureError("bad_address", "only http and https addresses are fetched")
    if "@" in url.raw_authority:
        raise UnusablePictureError("bad_address", "an address with a login is not fetched")
    host = _host(url)
    if is_listed(url, private_hosts):
        return url
    if url.port not in ALLOWED_PORTS:
        raise _forbidden(f"port {url.port} is not 80 or 443", f"{host}:{url.port}")
    literal = _literal(host)
    if literal is not None and not _is_public(literal):
        raise _forbidden(f"{host} is not a public address", host)
    return url


def is_listed(url: URL, private_hosts: frozenset[str]) -> bool:
    """Return whether `private_hosts` has this host, as `host` (any port) or as `host:port`."""
    host = _host(url)
    names = (host, f"[{host}]") if ":" in host else (host,)
    return any(name in private_hosts or f"{name}:{url.port}" in private_hosts for name in names)


def is_public(address: str) -> bool:
    """Return whether an IPv4 or IPv6 address is globally routable; False for any other text."""
    try:
        return _is_public(ipaddress.ip_address(address))
    except ValueError:
        return False


def host_of(address: str) -> str | None:
    """Return `host` or `host:port` of an HTTP address, in lower case; None for other addresses."""
    try:
        url = _parse(address, None)
        _host(url)
    except UnusablePictureError:
        return None
    name = url.host_port_subcomponent if url.scheme in {"http", "https"} else None
    return name and name.lower()


class PublicResolver(AbstractResolver):
    """Resolves host names by `names`; refuses a name if any of its addresses is not public."""

    def __init__(self, names: AbstractResolver) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve `host`, and return its addresses if all of them are public.

        Raises:
            UnusablePictureError: `forbidden_address`.
            OSError: the name cannot be resolved.
        """
        found = await self._names.resolve(host, port, family)
        for result in found:
            if not is_public(result["host"]):
                raise _forbidden(f"{host} is {result['host']}, not a public address", host)
        return found

    async def close(self) -> None:
        """Do nothing: `names` belongs to the caller."""


def public_socket(info: AddrInfoType) -> socket.socket:
    """Create the socket for a connection to the address in `info`, if that address is public.

    Raises:
        UnusablePictureError: `forbidden_address`.
    """
    family, kind, protocol, _, target = info
    if not is_public(str(target[0])):
        raise _forbidden(f"{target[0]} is not a public address", str(target[0]))
    return socket.socket(family=family, type=kind, proto=protocol)


def _parse(text: str, base: URL | None) -> URL:
    text = text.strip()
    if not text or not text.isprintable():
        raise UnusablePictureError("bad_address", "the address is empty or has odd characters")
    if base is None and text.startswith("//"):
        text = f"https:{text}"
    # An address that needs no quoting is not quoted: that could break a signature in its query.
    clean = text.isascii() and " " not in text
    try:
        url = URL(text, encoded=clean)
        url = url if base is None else base.join(url)
        _ = url.port  # yarl parses the port only when the attribute is read
    except ValueError:
        raise UnusablePictureError("bad_address", "the address makes no sense") from None
    return url


def _host(url: URL) -> str:
    """Return the host in lower case, without a final dot; IPv6 addresses without brackets."""
    host = (url.raw_host or "").lower().removesuffix(".")
    if not (_NAME.fullmatch(host) or _literal(host)):
        raise UnusablePictureError("bad_address", "the address has no host that makes sense")
    return host


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a host consists of; None if the host is a name.

    A host that ends in a number must be in the usual notation of an IP address.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            raise UnusablePictureError(
                "bad_address", "the address has a number for a host that is not a.b.c.d"
            ) from None
        return None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    if address.scope_id is not None:
        return False
    if any(address in network for network in _V4_IN_V6):
        return _is_public(IPv4Address(address.packed[-4:]))
    return address in _GLOBAL_UNICAST_V6 and not any(address in net for net in _NOT_PUBLIC_V6)


def _forbidden(reason: str, name: str) -> UnusablePictureError:
    return UnusablePictureError(
        "forbidden_address", f"{reason}; ALLOW_PRIVATE_IMAGES={name} would allow it"
    )
