"""Reads JPEG files without their last bytes, as browsers do, and finds how much is missing."""

import re
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

MAX_MISSING = 0.02
"""The largest share of a file that may be missing."""

_START = b"\xff\xd8\xff"
_END = b"\xff\xd9"
_SCAN = 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of frames; the three others are tables, and one that is not used."""
_SEGMENT = re.compile(rb"\xff([^\x00\x01\xd0-\xd9\xff])")
"""A marker that is followed by its length; the others stand alone, or are coded pixels."""

_MAX_SEGMENTS = 10_000
"""The number of segments that are looked at; a photo has a few dozen."""

_BLOCK_ROWS = 16
"""The largest number of pixel rows that are coded together."""

Decode = Callable[[bytes], NDArray[np.uint8]]
"""Returns the uint8 pixels of a file as it is stored, of shape (height, width, ...)."""


def is_truncated(data: bytes) -> bool:
    """Return whether a file is a JPEG without its end-of-image marker."""
    if data.endswith(_END) or not data.startswith(_START):
        return False
    return data.find(_END, next(_scans(data), 0)) < 0


def completed(data: bytes, decode: Decode) -> bytes | None:
    """Return a truncated JPEG with an end; None if more than `MAX_MISSING` of it is missing.

    It is decoded twice, with different endings: the pixels that differ depend on what is missing.
    """
    scans = list(_scans(data))
    if not scans or not _has_all_scans(data, scans):
        return None
    start = data.rstrip(b"\xff")  # half a marker, or half an escaped byte
    whole = start + _END
    other = start + b"\x5a" * (len(data) // 8 + 4096) + _END
    missing = _missing_share(decode(whole), decode(other), _height(data))
    if missing == 1:
        return None
    lost = (len(data) - scans[-1]) * missing / (1 - missing)
    return whole if lost <= MAX_MISSING * (len(data) + lost) else None


def _missing_share(pixels: NDArray[np.uint8], others: NDArray[np.uint8], file_height: int) -> float:
    """Return the share of the pixels that depend on the ending of the file.

    `pixels` may have fewer rows than the file, if it was decoded at a reduced size.
    """
    differs = (pixels != others).reshape(*pixels.shape[:2], -1).any(axis=-1)
    rows = np.flatnonzero(differs.any(axis=1))
    if not rows.size:
        return 0.0
    height, width = differs.shape
    block = max(1, -(-_BLOCK_ROWS * height // max(file_height, 1)))
    end = min(int(rows[0]) + block, height)  # below the first block row, all are missing
    count = int(differs[rows[0] : end].sum()) + (height - end) * width
    return float(count / (height * width))


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker of each segment, and the position after it; coded pixels are passed over."""
    at = 0
    for _ in range(_MAX_SEGMENTS):
        found = _SEGMENT.search(data, at)
        if found is None or found.end() + 2 > len(data):
            return
        at = found.end()
        yield data[at - 1], at
        at += int.from_bytes(data[at : at + 2], "big")


def _scans(data: bytes) -> Iterator[int]:
    """Yield where each scan's header begins, after its marker."""
    return (at for marker, at in _segments(data) if marker == _SCAN)


def _has_all_scans(data: bytes, scans: list[int]) -> bool:
    """Return whether each coefficient of each component is coded to its last bit in some scan.

    A progressive file has up to ten scans; without the last of them the picture is not complete.
    """
    done: dict[int, set[int]] = {}
    for at in scans:
        count = data[at + 2]
        tail = data[at + 3 + 2 * count : at + 6 + 2 * count]
        if len(tail) < 3:
            return False
        first, last, bits = tail
        for component in data[at + 3 : at + 3 + 2 * count : 2]:
            covered = done.setdefault(component, set())
            if bits & 0x0F == 0:
                covered.update(range(first, last + 1))
    return len(done) >= _components(data) and all(len(covered) == 64 for covered in done.values())


def _frame(data: bytes) -> bytes:
    """Return the header of the frame: length, precision, height, width, number of components."""
    at = next((at for marker, at in _segments(data) if marker in _FRAMES), len(data))
    return data[at : at + 8].ljust(8, b"\0")


def _height(data: bytes) -> int:
    return int.from_bytes(_frame(data)[3:5], "big")


def _components(data: bytes) -> int:
    return _frame(data)[7]
