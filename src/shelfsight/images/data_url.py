"""Reads pictures that are part of their address: `data:` URLs in base64 (RFC 2397)."""

import binascii
import re

import pybase64

from shelfsight.backfill.picture_identity import MAX_ADDRESS_LENGTH
from shelfsight.images.unusable import UnusablePictureError

_BASE64 = re.compile(r"data:[^,]{0,200};\s*base64\s*,", re.IGNORECASE)


def read_data_url(address: str) -> bytes:
    """Return the bytes of the file that a `data:` URL holds.

    Raises:
        UnusablePictureError: `too_large` or `bad_address`.
    """
    address = address.strip()
    if len(address) > MAX_ADDRESS_LENGTH:
        raise UnusablePictureError(
            "too_large", f"a data: address may have at most {MAX_ADDRESS_LENGTH:,} characters"
        )
    start = _BASE64.match(address)
    if start is None:
        raise UnusablePictureError("bad_address", "a data: address must be in base64")
    try:
        # whitespace, as Postgres' own encode() breaks lines with it, is left out
        return pybase64.b64decode("".join(address[start.end() :].split()), validate=True)
    except (binascii.Error, ValueError):
        raise UnusablePictureError("bad_address", "the base64 of the address is broken") from None
