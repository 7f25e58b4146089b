"""The formats of picture files that are read, and clear words for those that are not."""

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from shelfsight.images import heif
from shelfsight.images.unusable import UnusablePictureError, broken, undecodable

PILLOW_FORMATS = tuple(
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
"""The formats that Pillow reads, if it was built with them."""

FORMATS = (*PILLOW_FORMATS, heif.FORMAT)
"""The formats that are read."""

ACCEPT = (
    "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/tiff,"
    "image/avif;q=0.8,image/heic;q=0.5,image/heif;q=0.5,*/*;q=0.1"
)
"""The HTTP header that names what is read, the formats that are decoded fastest first."""

_OTHER_FORMATS = (
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "SVG or other XML"),
    (4, b"ftypav", "AVIF"),
    (4, b"ftyp", "video"),
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

_LOOKED_AT = 4096
"""The number of bytes in which the beginning of an SVG or of a web page is looked for."""


def unidentified(data: bytes) -> UnusablePictureError:
    """Return the error of a file that no decoder takes; its message says what it seems to be."""
    if any(_is_claimed(data, name) for name in PILLOW_FORMATS):
        return broken("its header cannot be read")
    text = data[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip()
    for offset, signature, name in _OTHER_FORMATS:
        if text.startswith(signature, offset) or data.startswith(signature, offset):
            return _unsupported(name)
    if text.lower().startswith((b"<!doctype html", b"<html")):
        return undecodable("not_an_image", "this is a web page, not a picture")
    if text.startswith(b"<!") and b"<svg" in text:
        return _unsupported("SVG")
    return undecodable("not_an_image", "this is not a picture")


def _unsupported(name: str) -> UnusablePictureError:
    return undecodable(
        "unsupported_format", f"{name} is not read; supported are {', '.join(FORMATS)}"
    )


def _is_claimed(start: bytes, name: str) -> bool:
    """Return whether the file's first bytes are those of this format, according to Pillow."""
    accept = Image.OPEN[name][1]
    return accept is not None and accept(start[:16]) is True
