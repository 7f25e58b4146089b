"""Reads the pictures of a request, which are sent in base64."""

import pybase64

from shelfsight.embedding import plain_bmp
from shelfsight.records import Failure, Pixels, Stage


def read_picture(encoded: str, side: int) -> bytes | Pixels | Failure:
    """Return the file that is given in base64 or as a data URI; a URL is a failure.

    An uncompressed picture of the model's own size is returned as uint8 pixels (side, side, 3).
    """
    if encoded[:8].lower().startswith(("http://", "https://")):
        return _failure("url_not_fetched", "nothing is fetched: send the picture itself in base64")
    try:
        file = pybase64.b64decode(_content(encoded), validate=True)
    except ValueError:
        return _failure("bad_base64", "this is not base64")
    pixels = plain_bmp.read(file, side)
    return file if pixels is None else pixels


def _content(encoded: str) -> str:
    """Return the base64 part of a data URI (RFC 2397); any other text is returned unchanged."""
    return encoded.partition(",")[2] if encoded[:5].lower() == "data:" else encoded


def _failure(kind: str, message: str) -> Failure:
    return Failure(stage=Stage.DECODE, kind=kind, message=message)
