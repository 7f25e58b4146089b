"""Who sent the request in progress, for everything that callers share fairly."""

from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import Request

CALLER: ContextVar[str] = ContextVar("caller", default="")
"""The caller of the request in progress: an API key's id or, without a key, a client address."""


def address_of(request: Request) -> str:
    """Return the client address of a request, as a caller; see `address_group`."""
    return address_group(request.client.host if request.client else "")


@lru_cache(4096)
def address_group(host: str) -> str:
    """Return the address that counts as one caller: of IPv6 the /64 network, which is one site."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(ip_network((address, 64), strict=False))
    return str(address)
