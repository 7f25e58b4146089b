"""How much a TIFF in tiles unpacks to: libtiff unpacks a tile whole, however small the picture."""

import math
import struct

from PIL import TiffImagePlugin

_TILE_SIDES = (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)
_LAYOUTS = {42: ("H", "HHL4x"), 43: ("Q", "HHQ8x")}
"""By the version of the file: how the number of entries and an entry are written (TIFF 6.0 and
BigTIFF), as tag, type, count and what is not looked at."""


def tile_pixels(image: TiffImagePlugin.TiffImageFile, data: bytes) -> int:
    """Pixels of one tile of the first picture; 0 without tiles.

    Raises:
        ValueError: a side of the tiles is told twice, or as something that is no plain number, so
            that Pillow and libtiff might see different ones.

    """
    told = [tag for tag in _tags(data, image.tag_v2.offset) if tag in _TILE_SIDES]
    sides = [side for tag in told if isinstance(side := image.tag_v2.get(tag), int)]
    if len(set(told)) < len(told) or len(sides) < len(told):
        raise ValueError("the size of its tiles is not told once, as a number")
    return math.prod(sides) if sides else 0


def _tags(data: bytes, offset: int) -> list[int]:
    order = "<" if data.startswith(b"II") else ">"
    [version] = struct.unpack_from(f"{order}H", data, 2)
    length, entry = (f"{order}{layout}" for layout in _LAYOUTS[version])
    [entries] = struct.unpack_from(length, data, offset)
    start, size = offset + struct.calcsize(length), struct.calcsize(entry)
    return [struct.unpack_from(entry, data, start + n * size)[0] for n in range(entries)]
