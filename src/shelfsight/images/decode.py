"""Decodes picture files to pixels in sRGB: unusual files correctly, malicious files not at all.

No call changes global state of Pillow or Python, so any thread may decode.
"""

import struct
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    ExifTags,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from shelfsight.images.color_profile import ColorTransform, transform_of
from shelfsight.images.file_formats import PILLOW_FORMATS, unidentified
from shelfsight.images.heif import is_heif, open_heif
from shelfsight.images.png_chunks import without_metadata
from shelfsight.images.resize import resize
from shelfsight.images.rgb import rgb, scale_png_key
from shelfsight.images.truncated_jpeg import completed, is_truncated
from shelfsight.images.unusable import UnusablePictureError, broken, undecodable
from shelfsight.records import PictureFormat, Pixels

MAX_BYTES = 20_000_000
MAX_PIXELS = 25_000_000
"""The most pixels that are decoded. A JPEG that has more is decoded at a reduced size."""

MAX_STORED_PIXELS = 200_000_000
"""The most pixels that a JPEG may have, however few of them are decoded."""

WHITE_FROM = 250
"""A picture is blank if all its channels have at least this value everywhere."""

DRAFT_RATIO = 3
"""A JPEG that is decoded at a reduced size still has this many times the pixels per side that the
model takes. Of 20 real photos of 1,000 to 1,350 pixels, the lowest cosine to a full decode was
0.9997; it was 0.9991 with 2.5, and 0.9990 with 2."""

# Set at import, because warning filters are global: threads must not change them later.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

# Errors that Pillow's own open() catches, and that its decoders raised for damaged files.
_PILLOW_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
)
_BOMB_ERRORS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

_UNDO_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that undoes each EXIF orientation (Exif 2.3, tag 0x0112)."""


_PLAIN_FORMATS = frozenset(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedPicture:
    """An upright 8-bit RGB picture, and the transform that brings its colours to sRGB, if any.

    `is_plain` is true if every reader sees this picture in its file: JPEG, PNG or WebP, with one
    frame, upright, opaque, in sRGB and undamaged. `stored_side` is the longest side in the file.
    """

    image: Image.Image
    transform: ColorTransform | None
    is_plain: bool = False
    stored_side: int = 0

    def in_srgb(self) -> Image.Image:
        """Return the picture in sRGB."""
        return self.image if self.transform is None else self.transform.apply(self.image)

    def pixels_in_srgb(self, pixels: Pixels) -> Pixels:
        """Return pixels of this picture, uint8 (height, width, 3), in sRGB."""
        return pixels if self.transform is None else self.transform.apply_to_pixels(pixels)


def decode(data: bytes, *, min_side: int | None = None) -> Image.Image:
    """Decode the first frame of a file to an upright 8-bit sRGB picture; see `decode_picture`."""
    return decode_picture(data, min_side=min_side).in_srgb()


def decode_picture(data: bytes, *, min_side: int | None = None) -> DecodedPicture:
    """Decode the first frame of a file to an upright 8-bit RGB picture without transparency.

    With `min_side`, a JPEG may be decoded at a half, a quarter or an eighth of its size, if each
    side keeps at least that many pixels. This saves most of the time, because libjpeg does not
    compute pixels that resizing would average. A JPEG with more than `MAX_PIXELS` is always decoded
    at such a size.

    A JPEG without its last bytes is decoded if little is missing, and a PNG whose metadata is
    damaged or too large without them.

    This has no limit on time and memory: `images.decoder` has.

    Raises:
        UnusablePictureError: `empty`, `too_large`, `too_many_pixels`, `not_an_image`,
            `unsupported_format`, `broken_image` or `blank`.
        MemoryError: there is not enough memory.
    """
    if not data:
        raise undecodable("empty", "the picture is empty")
    if len(data) > MAX_BYTES:
        raise undecodable("too_large", f"the picture is larger than {MAX_BYTES:,} bytes")
    try:
        return _decode(data, min_side)
    except UnusablePictureError as error:
        repaired = _repaired(data, min_side) if error.failure.kind == "broken_image" else None
        if repaired is None:
            raise
    return replace(_decode(repaired, min_side), is_plain=False)


def pixels(data: bytes, picture_format: PictureFormat) -> Pixels:
    """Decode a file and resize the picture to uint8 (side, side, 3), as the model takes it.

    Large JPEGs are decoded at a reduced size first.

    Raises:
        UnusablePictureError: as in `decode`, and `blank` for a picture that is all white.
    """
    return resized(decode_picture(data, min_side=DRAFT_RATIO * picture_format.side), picture_format)


def resized(picture: DecodedPicture, picture_format: PictureFormat) -> Pixels:
    """Resize a decoded picture to uint8 (side, side, 3) in sRGB.

    Raises:
        UnusablePictureError: `blank`, if it is all white.
    """
    return seen(picture.pixels_in_srgb(resize(picture.image, picture_format)))


def seen(pixels: Pixels) -> Pixels:
    """Return the uint8 pixels of a picture unless they are all white.

    Raises:
        UnusablePictureError: `blank`.
    """
    if pixels.min() >= WHITE_FROM:
        raise undecodable("blank", "the picture is blank: all of it is white")
    return pixels


def opened_picture(image: Image.Image) -> DecodedPicture:
    """Return a picture that Pillow has opened, of any mode, as `decode_picture` does.

    Raises:
        UnusablePictureError: `blank`, if all of it is transparent.
    """
    transform = transform_of(image)
    if transform is not None and image.mode == "CMYK":
        return DecodedPicture(image=_upright(image, transform.apply(image)), transform=None)
    return DecodedPicture(image=_upright(image, rgb(image)), transform=transform)


def _decode(data: bytes, min_side: int | None) -> DecodedPicture:
    try:
        with _open(data) as image:
            stored_side = max(image.size)
            _reduce(image, min_side)
            if image.width * image.height > MAX_PIXELS:
                raise _too_many_pixels(MAX_PIXELS)
            scale_png_key(image)
            image.load()
            picture = opened_picture(image)
            is_plain = picture.transform is None and _is_plain(image)
            return replace(picture, is_plain=is_plain, stored_side=stored_side)
    except _BOMB_ERRORS:
        raise _too_many_pixels(MAX_PIXELS) from None
    except UnidentifiedImageError:
        raise unidentified(data) from None
    except _PILLOW_ERRORS as error:
        raise broken(str(error)) from None


def _open(data: bytes) -> ImageFile.ImageFile:
    if is_heif(data):
        return open_heif(data)
    return Image.open(BytesIO(data), formats=PILLOW_FORMATS)


def _repaired(data: bytes, min_side: int | None) -> bytes | None:
    """Return a broken file without the damage, if that matters little; None for all others."""
    if not is_truncated(data):
        return without_metadata(data)
    with suppress(*_PILLOW_ERRORS, *_BOMB_ERRORS):
        return completed(data, partial(_stored_pixels, min_side=min_side))
    return None


def _stored_pixels(data: bytes, min_side: int | None) -> NDArray[np.uint8]:
    """Decode a file as it is stored: neither upright nor in another colour space."""
    with _open(data) as image:
        _reduce(image, min_side)
        return np.asarray(image)


def _reduce(image: Image.Image, min_side: int | None) -> None:
    """Prepare a JPEG to be decoded at a reduced size; other formats stay as they are."""
    if image.width * image.height > MAX_STORED_PIXELS:
        raise _too_many_pixels(MAX_STORED_PIXELS)
    factors = (f for f in (1, 2, 4) if image.width * image.height <= MAX_PIXELS * f**2)
    factor = next(factors, 8)
    sides = (image.width // factor, image.height // factor)
    if min_side is not None or factor > 1:
        width, height = (max(1, min(side, min_side or side)) for side in sides)
        image.draft(None, (width, height))


def _is_plain(image: Image.Image) -> bool:
    """Return whether a loaded picture needs no change but to be resized, whoever reads it."""
    return (
        image.format in _PLAIN_FORMATS
        and image.mode in {"RGB", "L", "P"}
        and not image.has_transparency_data
        and getattr(image, "n_frames", 1) == 1
        and _orientation(image) == 1
    )


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 (upright) if there is none, or the EXIF data is damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _PILLOW_ERRORS:  # the picture is used even if its EXIF data is damaged
        return 1
    return orientation if orientation in _UNDO_ORIENTATION else 1


def _upright(image: Image.Image, pixels: Image.Image) -> Image.Image:
    turned = _UNDO_ORIENTATION.get(_orientation(image))
    return pixels if turned is None else pixels.transpose(turned)


def _too_many_pixels(limit: int) -> UnusablePictureError:
    return undecodable("too_many_pixels", f"the picture has more than {limit:,} pixels")
