"""Makes the picture file that is sent to an embedding server that resizes pictures itself."""

from io import BytesIO

from PIL import Image

from shelfsight.images.decode import DecodedPicture

MAX_SENT_BYTES = 2_000_000
"""The largest file that is sent."""

MAX_SENT_SIDE = 2_000
"""The longest side of a picture that is sent, in pixels. No model takes as many."""

_SIDES_AND_QUALITIES = ((MAX_SENT_SIDE, 95), (MAX_SENT_SIDE, 85), (1_400, 85), (800, 85))
"""What is tried in turn until a file is small enough. Even noise is with the last."""


def sent_file(data: bytes, picture: DecodedPicture) -> bytes:
    """Return the file to send for a picture: `data` itself if that may be, or else a JPEG.

    It may be if it is small enough and every reader sees the same picture in it. A JPEG keeps the
    aspect ratio; it is upright, opaque and in sRGB.
    """
    is_small = len(data) <= MAX_SENT_BYTES and picture.stored_side <= MAX_SENT_SIDE
    return data if picture.is_plain and is_small else _encoded(picture.in_srgb())


def _encoded(image: Image.Image) -> bytes:
    encoded = b""
    for side, quality in _SIDES_AND_QUALITIES:
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        file = BytesIO()
        image.save(file, "JPEG", quality=quality, subsampling=0)
        encoded = file.getvalue()
        if len(encoded) <= MAX_SENT_BYTES:
            break
    return encoded
