"""Decides whether two addresses are of the same picture, though parts of them may differ.

Postgres applies the same regular expressions as Python, so both agree.
"""

import re
from collections.abc import Sequence
from hashlib import sha256

MAX_ADDRESS_LENGTH = 200_000
"""The largest number of characters of an address: a picture of 150 kB in a `data:` URL.

The addresses of some 2,000 products are in memory at once."""

LAST_SEPARATOR = r"[?&](?=#|\Z)"
"""Matches the `?` or `&` that is left at the end of a query if its last parameters are removed."""

_NOTHING = r"(?=a)b"


def parameters_pattern(names: Sequence[str]) -> str:
    """Return a regular expression for the query parameters of an address that have these names.

    A name that ends in `*` stands for all names that begin so. Case makes no difference. The
    expression is for `re` (with the flags of `without_parameters`) and for Postgres (with `i`).
    """
    if not names:
        return _NOTHING
    options = "|".join(
        f"{re.escape(name[:-1])}[^=&#]*" if name.endswith("*") else re.escape(name)
        for name in names
    )
    return rf"(?<=[?&])(?:{options})(?:=[^&#]*)?(?:&|(?=#)|\Z)"


def without_parameters(address: str, pattern: str) -> str:
    """Return an address without the query parameters that match; unchanged if none does.

    Everything after the first `?` counts as the query.
    """
    path, mark, query = address.partition("?")
    shorter = re.sub(pattern, "", f"{mark}{query}", flags=re.IGNORECASE | re.ASCII)
    if shorter == f"{mark}{query}":
        return address
    return path + re.sub(LAST_SEPARATOR, "", shorter)


def is_data(address: str) -> bool:
    """Return whether an address is a `data:` URL, so that it holds the picture itself."""
    return address[:5].lower() == "data:"


def stored_address(address: str) -> str:
    """Return an address as it is stored: of a `data:` URL only the media type and its SHA-256."""
    if not is_data(address):
        return address
    media_type = address[5 : 5 + 100].partition(",")[0].partition(";")[0]
    return f"data:{media_type};sha256,{sha256(address.encode()).hexdigest()}"
