"""Decodes picture files to pixels: unusual files correctly, malicious files not at all.

Colour profiles are ignored, because the preprocessors of the models ignore them too. No call
changes global state of Pillow or Python, so any thread may decode.
"""

import struct
import warnings
import zlib
from io import BytesIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from shelfsight.images.resize import resize
from shelfsight.images.rgb import rgb, scale_png_key
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import PictureFormat, Pixels, Stage

MAX_BYTES = 20_000_000
MAX_PIXELS = 25_000_000
"""The most pixels that are decoded. A JPEG that has more is decoded at a reduced size."""

FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile,
        TiffImagePlugin.TiffImageFile,
        AvifImagePlugin.AvifImageFile,
    )
    if plugin.format in Image.OPEN
)
"""The formats that are read, if this Pillow was built with them."""

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

_OTHER_FORMATS = (
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "SVG or other XML"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypav", "AVIF"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
)
"""Offset, signature and name of formats that are not supported, for the error message."""

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


def decode(data: bytes, *, min_side: int | None = None) -> Image.Image:
    """Decode the first frame of a file to an upright 8-bit RGB picture, transparency on white.

    With `min_side`, a JPEG may be decoded at a half, a quarter or an eighth of its size, if each
    side keeps at least that many pixels. This saves most of the time, because libjpeg does not
    compute pixels that resizing would average. A JPEG with more than `MAX_PIXELS` is always decoded
    at such a size.

    This has no limit on time and memory: `images.decoder` has.

    Raises:
        UnusablePictureError: `empty`, `too_large`, `too_many_pixels`, `not_an_image`,
            `unsupported_format` or `broken_image`.
        MemoryError: there is not enough memory.
    """
    if not data:
        raise _unusable("empty", "the picture is empty")
    if len(data) > MAX_BYTES:
        raise _unusable("too_large", f"the picture is larger than {MAX_BYTES:,} bytes")
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _reduce(image, min_side)
            if image.width * image.height > MAX_PIXELS:
                raise _too_many_pixels()
            scale_png_key(image)
            image.load()
            return _upright(image, rgb(image))
    except _BOMB_ERRORS:
        raise _too_many_pixels() from None
    except UnidentifiedImageError:
        raise _unidentified(data[:64]) from None
    except _PILLOW_ERRORS as error:
        raise _broken(str(error)) from None


def pixels(data: bytes, picture_format: PictureFormat) -> Pixels:
    """Decode a file and resize the picture to uint8 (side, side, 3), as the model takes it.

    Large JPEGs are decoded at a reduced size first.

    Raises:
        UnusablePictureError: as in `decode`.
    """
    return resize(decode(data, min_side=DRAFT_RATIO * picture_format.side), picture_format)


def _reduce(image: Image.Image, min_side: int | None) -> None:
    """Prepare a JPEG to be decoded at a reduced size; other formats stay as they are."""
    factors = (f for f in (1, 2, 4) if image.width * image.height <= MAX_PIXELS * f**2)
    factor = next(factors, 8)
    sides = (image.width // factor, image.height // factor)
    if min_side is not None or factor > 1:
        width, height = (max(1, min(side, min_side or side)) for side in sides)
        image.draft(None, (width, height))


def _upright(image: Image.Image, pixels: Image.Image) -> Image.Image:
    try:
        turned = _UNDO_ORIENTATION.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _PILLOW_ERRORS:  # the picture is used even if its EXIF data is damaged
        return pixels
    return pixels if turned is None else pixels.transpose(turned)


def _unidentified(start: bytes) -> UnusablePictureError:
    if any(_is_claimed(start, name) for name in FORMATS):
        return _broken("its header cannot be read")
    text = start.lstrip()
    for offset, signature, name in _OTHER_FORMATS:
        if text.startswith(signature, offset):
            return _unusable(
                "unsupported_format", f"{name} is not read; supported are {', '.join(FORMATS)}"
            )
    if text.lower().startswith((b"<!doctype", b"<html")):
        return _unusable("not_an_image", "this is a web page, not a picture")
    return _unusable("not_an_image", "this is not a picture")


def _is_claimed(start: bytes, name: str) -> bool:
    """Return whether the file's first bytes are those of this format, according to Pillow."""
    accept = Image.OPEN[name][1]
    return accept is not None and accept(start[:16]) is True


def _broken(reason: str) -> UnusablePictureError:
    line = "".join(char if char.isprintable() else " " for char in reason[:100])
    return _unusable("broken_image", f"the picture is broken: {line}")


def _too_many_pixels() -> UnusablePictureError:
    return _unusable("too_many_pixels", f"the picture has more than {MAX_PIXELS:,} pixels")


def _unusable(kind: str, message: str) -> UnusablePictureError:
    return UnusablePictureError(kind, message, stage=Stage.DECODE)
