"""Converts pictures of any mode to 8-bit RGB; Pillow alone would clip or drop alpha."""

import numpy as np
from PIL import BmpImagePlugin, Image, ImageFile, PngImagePlugin, TiffImagePlugin

from shelfsight.images.unusable import undecodable

_PNG_KEY_BITS = {"L;2": 2, "L;4": 4, "RGB;16B": 16}
"""Bits per channel of the raw modes whose transparent colour Pillow leaves in the file's depth."""

NEARLY_WHITE = 240
"""On white, pixels of this luminance and more are hardly seen."""

_SEEN_SHARE = 0.05
"""If less of what is not transparent is darker than nearly white, the ground is grey."""

_GREY = (128, 128, 128)

_LEAST_ALPHA = 8
"""Below this opacity, of 255, nothing is seen."""

_SEEN = [255 * (alpha >= _LEAST_ALPHA) for alpha in range(256)]


def scale_png_key(image: ImageFile.ImageFile) -> None:
    """Scale the transparent colour of a PNG to 8 bits; call it before `load()`.

    Pillow compares this colour with 8-bit pixels.
    """
    key = image.info.get("transparency")
    if key is None or image.format != PngImagePlugin.PngImageFile.format or not image.tile:
        return
    depth = _PNG_KEY_BITS.get(str(image.tile[0].args))
    if depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif depth is not None:
        image.info["transparency"] = key * 255 // (2**depth - 1)


def rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded picture of any mode to RGB, with transparency flattened.

    The ground is white, or grey if what is seen is nearly white itself.

    Raises:
        UnusablePictureError: `blank`, if all is transparent.
    """
    if image.mode.startswith("I;16"):
        image = _from_16_bits(image)
    elif image.mode in {"I", "F"}:
        image = _from_open_range(image)
    elif image.mode == "La":
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    return _flatten(image.convert("RGBA"), is_bmp=isinstance(image, BmpImagePlugin.BmpImageFile))


def _flatten(rgba: Image.Image, *, is_bmp: bool) -> Image.Image:
    alpha = rgba.getchannel("A")
    opacities = np.flatnonzero(alpha.histogram())
    least, most = int(opacities[0]), int(opacities[-1])
    if least == 255 or (is_bmp and most == 0):  # many programs leave the alpha of a BMP at 0
        return rgba.convert("RGB")
    if most < _LEAST_ALPHA:
        raise undecodable("blank", "the picture is blank: all of it is transparent")
    flat = _on_ground(rgba, alpha, (255, 255, 255))
    counts = np.array(flat.convert("L").histogram(alpha.point(_SEEN)))
    if counts[:NEARLY_WHITE].sum() < _SEEN_SHARE * counts.sum():
        flat = _on_ground(rgba, alpha, _GREY)
    return flat


def _on_ground(rgba: Image.Image, alpha: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    flat = Image.new("RGB", rgba.size, ground)
    flat.paste(rgba, mask=alpha)
    return flat


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Convert 16-bit grey to 8 bits by taking the upper byte, as Pillow does for colour.

    TIFF files may have 12 bits; then the upper 8 bits are taken.
    """
    grey = np.asarray(image)
    twelve = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(258) == (12,)
    flat = Image.fromarray((grey >> (4 if twelve else 8)).astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        flat.putalpha(Image.fromarray(np.where(grey == clear, 0, 255).astype(np.uint8)))
    return flat


def _from_open_range(image: Image.Image) -> Image.Image:
    """Convert grey values of unknown range to 8 bits.

    White is the smallest usual maximum that no pixel exceeds. If there is none, white is the
    brightest pixel.
    """
    grey = np.array(image, dtype=np.float32)
    np.nan_to_num(grey, copy=False, posinf=0, neginf=0)
    peak = float(grey.max())
    usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    white = next((top for top in usual if peak <= top), peak)
    grey.clip(0, white, out=grey)
    grey *= 255 / white
    return Image.fromarray(np.rint(grey, out=grey).astype(np.uint8))
