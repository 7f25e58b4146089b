"""Reads the tile size of a TIFF, because libtiff decodes whole tiles even of small pictures."""

import math
import struct

from PIL import TiffImagePlugin

_TILE_SIDES = (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)
_LAYOUTS = {42: ("H", "HHL4x"), 43: ("Q", "HHQ8x")}
"""How a directory is packed, by the version of the file (TIFF 6.0 and BigTIFF): the number of its
entries, then for each entry tag, type, count and bytes that are skipped."""


def tile_pixels(image: TiffImagePlugin.TiffImageFile, data: bytes) -> int:
    """Return the number of pixels in one tile of the first picture; 0 if it has no tiles.

    Raises:
        ValueError: a side of the tiles is given twice or is not a plain number, so that Pillow and
            libtiff might read different sizes.
    """
    given = [tag for tag in _tags(data, image.tag_v2.offset) if tag in _TILE_SIDES]
    sides = [side for tag in given if isinstance(side := image.tag_v2.get(tag), int)]
    if len(set(given)) < len(given) or len(sides) < len(given):
        raise ValueError("the size of its tiles is not given once, as a number")
    return math.prod(sides) if sides else 0


def _tags(data: bytes, offset: int) -> list[int]:
    """Return the tags in the directory at `offset`, in the order of the file."""
    order = "<" if data.startswith(b"II") else ">"
    [version] = struct.unpack_from(f"{order}H", data, 2)
    length, entry = (f"{order}{layout}" for layout in _LAYOUTS[version])
    [entries] = struct.unpack_from(length, data, offset)
    start, size = offset + struct.calcsize(length), struct.calcsize(entry)
    return [struct.unpack_from(entry, data, start + n * size)[0] for n in range(entries)]
