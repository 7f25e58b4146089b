"""Uncompressed BMP files of RGB pixels, as a client and server of one machine exchange them.

Reading one is a copy, so it needs no decoder process and takes no more time than the file is long.
"""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image

from shelfsight.records import Pixels

_HEADER = 54
"""Bytes before the pixels: BITMAPFILEHEADER and BITMAPINFOHEADER."""


def encode(pixels: Pixels) -> bytes:
    """Return the BMP file of uint8 pixels of shape (height, width, 3)."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()


def read(file: bytes, side: int) -> Pixels | None:
    """Return the uint8 pixels (side, side, 3) of a file that `encode` made; None for other files.

    A file counts only if its header has exactly the bytes that `encode` writes for this size.
    """
    stride = (3 * side + 3) // 4 * 4  # a row takes a multiple of four bytes
    if len(file) != _HEADER + stride * side or not file.startswith(_header(side)):
        return None
    rows = np.frombuffer(file, np.uint8, offset=_HEADER).reshape(side, stride)
    bottom_up_bgr = rows[:, : 3 * side].reshape(side, side, 3)
    return np.ascontiguousarray(bottom_up_bgr[::-1, :, ::-1])


@lru_cache(8)
def _header(side: int) -> bytes:
    return encode(np.zeros((side, side, 3), np.uint8))[:_HEADER]
