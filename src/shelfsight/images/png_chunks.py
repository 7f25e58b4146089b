"""Leaves the metadata out of a PNG file, so that a fault in it does not cost the picture."""

import struct
import zlib
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_USED = frozenset({b"tRNS", b"eXIf", b"iCCP"})
"""Chunks beside the critical ones that change how the picture looks: transparency, orientation and
colours."""

_COLOR_TYPE_AT = 25
"""Where the header has the colour type."""

_TRANSPARENCY_LENGTHS = {0: range(2, 3), 2: range(6, 7), 3: range(1, 257)}
"""How long `tRNS` may be, by the colour type: grey, RGB and indexed. The others have alpha."""

MAX_PROFILE_BYTES = 1_000_000
"""A colour profile that unpacks to more is left out: Pillow refuses a PNG that has one."""


def without_metadata(data: bytes) -> bytes | None:
    """Return the PNG with only the chunks that change how it looks; None if nothing is left out.

    Of these, `tRNS`, `eXIf` and `iCCP` are left out as well if their checksum is wrong, if they are
    malformed, or if the profile is larger than `MAX_PROFILE_BYTES`. Other files are returned as
    None.
    """
    if not data.startswith(_SIGNATURE) or len(data) <= _COLOR_TYPE_AT:
        return None
    lengths = _TRANSPARENCY_LENGTHS.get(data[_COLOR_TYPE_AT], range(0))
    kept = b"".join((_SIGNATURE, *(chunk for chunk in _chunks(data) if _is_kept(chunk, lengths))))
    return kept if len(kept) < len(data) else None


def _chunks(data: bytes) -> Iterator[bytes]:
    """Yield each chunk: length, name, body and checksum; what follows the last whole one, too."""
    at = len(_SIGNATURE)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at:end]
        at = end


def _is_kept(chunk: bytes, transparency_lengths: range) -> bool:
    name, body = chunk[4:8], chunk[8:-4]
    if name in _CRITICAL:
        return True
    checksum = struct.pack(">I", zlib.crc32(chunk[4:-4]))
    if name not in _USED or chunk[-4:] != checksum:
        return False
    if name == b"tRNS":
        return len(body) in transparency_lengths
    return name != b"iCCP" or _is_small_profile(body)


def _is_small_profile(body: bytes) -> bool:
    """Return whether a profile (its name, two zeros, packed bytes) unpacks, and to little."""
    name, _, rest = body.partition(b"\0")
    method, packed = rest[:1], rest[1:]
    if not name or method != b"\0":
        return False
    try:
        return len(zlib.decompressobj().decompress(packed, MAX_PROFILE_BYTES + 1)) <= (
            MAX_PROFILE_BYTES
        )
    except zlib.error:
        return False
