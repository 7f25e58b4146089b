"""Converts pictures of any mode to 8-bit RGB on white; Pillow alone would clip or drop alpha."""

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

_PNG_KEY_BITS = {"L;2": 2, "L;4": 4, "RGB;16B": 16}
"""Bits per channel of the raw modes whose transparent colour Pillow leaves in the file's depth."""


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
    """Convert a loaded picture of any mode to RGB, with transparency flattened on white."""
    if image.mode.startswith("I;16"):
        image = _from_16_bits(image)
    elif image.mode in {"I", "F"}:
        image = _from_open_range(image)
    elif image.mode == "La":
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba = image.convert("RGBA")
    flat = Image.new("RGB", image.size, "white")
    flat.paste(rgba, mask=rgba.getchannel("A"))
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
