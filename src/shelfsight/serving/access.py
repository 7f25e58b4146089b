"""Who may use the server: whoever has the key, or whoever is on this machine."""

import hmac
from hashlib import sha256
from ipaddress import ip_address

from shelfsight.errors import SettingsError


class Key:
    """An API key, of which only a digest is kept."""

    def __init__(self, key: str) -> None:
        self._digest = _digest(key)

    def opens(self, authorization: str) -> bool:
        """Whether a header `Authorization` holds this key, compared in constant time."""
        scheme, _, sent = authorization.partition(" ")
        same = hmac.compare_digest(_digest(sent.strip()), self._digest)
        return same and scheme.lower() == "bearer"


def check_host(host: str, *, has_key: bool, insecure: bool) -> None:
    """Refuse to serve other machines without a key.

    Raises:
        SettingsError: that was asked for, and not called `insecure`.
    """
    if has_key or insecure or is_loopback(host):
        return
    raise SettingsError(
        f"--host {host} lets other machines use the models: set EMBEDDING_SERVER_API_KEY,"
        " or say --insecure"
    )


def is_loopback(host: str) -> bool:
    """Whether a host, as it is written, is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
