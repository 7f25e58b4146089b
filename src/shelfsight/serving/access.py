"""Decides who may use a server: clients with the API key, or only clients on this machine."""

import hmac
from hashlib import sha256
from ipaddress import ip_address

from shelfsight.errors import SettingsError


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


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine; names are not resolved."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
