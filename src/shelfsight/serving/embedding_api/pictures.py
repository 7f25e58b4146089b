"""From a picture as it is sent, in base64, to pixels."""

import pybase64

from shelfsight.images.decode import decode
from shelfsight.images.resize import resize
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import Failure, PictureFormat, Pixels, Stage


def prepare(sent: str, picture_format: PictureFormat) -> Pixels | Failure:
    """Read base64, or a data URI, into uint8 (side, side, 3)."""
    if sent[:8].lower().startswith(("http://", "https://")):
        return _failure("url_not_fetched", "nothing is fetched: send the picture itself in base64")
    try:
        data = pybase64.b64decode(_content(sent), validate=True)
    except ValueError:
        return _failure("bad_base64", "this is not base64")
    try:
        return resize(decode(data), picture_format)
    except UnusablePictureError as error:
        return error.failure


def _content(sent: str) -> str:
    """What follows the comma of a data URI (RFC 2397)."""
    return sent.partition(",")[2] if sent[:5].lower() == "data:" else sent


def _failure(kind: str, message: str) -> Failure:
    return Failure(stage=Stage.DECODE, kind=kind, message=message)
