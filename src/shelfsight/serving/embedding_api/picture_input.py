"""Decodes the pictures of a request from base64 to pixels."""

import pybase64

from shelfsight.images.decode import decode
from shelfsight.images.resize import resize
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure, PictureFormat, Pixels, Stage


def read_picture(encoded: str, picture_format: PictureFormat) -> Pixels | Failure:
    """Decode a file in base64 or a data URI to pixels: uint8 of shape (side, side, 3).

    If the picture cannot be used, the failure is returned. A URL is not fetched.
    """
    if encoded[:8].lower().startswith(("http://", "https://")):
        return _failure("url_not_fetched", "nothing is fetched: send the picture itself in base64")
    try:
        data = pybase64.b64decode(_content(encoded), validate=True)
    except ValueError:
        return _failure("bad_base64", "this is not base64")
    try:
        return resize(decode(data), picture_format)
    except UnusablePictureError as error:
        return error.failure


def _content(encoded: str) -> str:
    """Return the base64 part of a data URI (RFC 2397); any other text is returned unchanged."""
    return encoded.partition(",")[2] if encoded[:5].lower() == "data:" else encoded


def _failure(kind: str, message: str) -> Failure:
    return Failure(stage=Stage.DECODE, kind=kind, message=message)
