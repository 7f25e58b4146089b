"""Decides who may use a server: clients with the API key, or only clients on this machine."""

import hmac
from collections.abc import Collection
from hashlib import sha256
from ipaddress import ip_address

from starlette.requests import Request

from shelfsight.errors import SettingsError
from shelfsight.serving.refusals import ForbiddenError

_FORWARDING_HEADERS = frozenset(
    {
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip"),
        *(b"x-proxyuser-ip", b"x-original-forwarded-for", b"x-original-host"),
        *(b"x-envoy-external-address", b"client-ip", b"true-client-ip", b"cf-connecting-ip"),
        *(b"cf-ray", b"fastly-client-ip"),
    }
)
_FORWARDING_PREFIX = b"x-forwarded"


class ServerKey:
    """The API key of an embedding server; only its SHA-256 digest is kept in memory."""

    def __init__(self, key: str) -> None:
        self._digest = _digest(key)

    def matches(self, authorization: str) -> bool:
        """Return whether an `Authorization` header contains this key; compared in constant time."""
        scheme, _, sent = authorization.partition(" ")
        same = hmac.compare_digest(_digest(sent.strip()), self._digest)
        return same and scheme.lower() == "bearer"


def check_host(host: str, *, has_key: bool, insecure: bool) -> None:
    """Check that a server open to other machines has a key, or is `insecure` on purpose.

    Raises:
        SettingsError: other machines could use the server without a key.
    """
    if has_key or insecure or is_loopback(host):
        return
    raise SettingsError(
        f"--host {host} lets other machines use the models: set EMBEDDING_SERVER_API_KEY,"
        " or say --insecure"
    )


def check_origin(request: Request, origins: Collection[str] = ()) -> None:
    """Refuse a request without a key that comes from a web page of another site.

    Raises:
        ForbiddenError: the page is neither the server's own nor of one of the `origins`.
    """
    origin = request.headers.get("origin")
    if origin is None or origin in origins:
        return
    if origin != f"{request.url.scheme}://{request.url.netloc}":
        raise ForbiddenError("foreign_origin", "pages of other sites may not ask without a key")


def check_local(request: Request) -> None:
    """Refuse a request without a key unless it was sent on this machine, to this machine.

    A proxy on this machine passes on the requests of others, which its headers show. A foreign name
    that resolves to 127.0.0.1 lets a web page in (DNS rebinding), which the header `Host` shows.

    Raises:
        ForbiddenError: the request was forwarded, or names another host.
    """
    for header, _ in request.headers.raw:
        if header in _FORWARDING_HEADERS or header.startswith(_FORWARDING_PREFIX):
            name = header.decode("latin-1")
            raise ForbiddenError(
                "forwarded", f"a proxy forwarded this ({name}): behind a proxy, a key is needed"
            )
    if not is_loopback(request.url.hostname or ""):
        raise ForbiddenError(
            "foreign_host", "without a key ask by 127.0.0.1 or localhost, or make a key"
        )


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine; names are not resolved."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
