"""Writes ICC profiles (version 2) of displays and cameras, by their primaries and gamma."""

import struct

_WHITE = (0.9642, 1.0, 0.8249)

PRIMARIES = {
    "Display P3": (
        (0.51512, 0.24120, -0.00105),
        (0.29198, 0.69225, 0.04189),
        (0.15710, 0.06657, 0.78407),
    ),
    "Adobe RGB": (
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
    ),
    "Apple RGB": (
        (0.47585, 0.25511, 0.01849),
        (0.33957, 0.67262, 0.11333),
        (0.14878, 0.07227, 0.69309),
    ),
    "sRGB": (
        (0.43607, 0.22249, 0.01392),
        (0.38515, 0.71687, 0.09708),
        (0.14307, 0.06061, 0.71410),
    ),
}
"""XYZ of red, green and blue, adapted to D50."""


def rgb_profile(name: str, gamma: float = 2.2) -> bytes:
    """Return the profile of an RGB space with these primaries and a plain gamma."""
    red, green, blue = PRIMARIES[name]
    curve = _curve(gamma)
    return _profile(
        b"RGB ",
        name,
        {
            b"rXYZ": _xyz(red),
            b"gXYZ": _xyz(green),
            b"bXYZ": _xyz(blue),
            b"rTRC": curve,
            b"gTRC": curve,
            b"bTRC": curve,
        },
    )


def grey_profile(gamma: float) -> bytes:
    """Return the profile of grey with a plain gamma."""
    return _profile(b"GRAY", "grey", {b"kTRC": _curve(gamma)})


def _profile(space: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    text = name.encode() + b"\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + b"public domain\0",
        b"wtpt": _xyz(_WHITE),
        **tags,
    }
    at, table, bodies = 128 + 4 + 12 * len(tags), b"", b""
    for tag, body in tags.items():
        table += tag + struct.pack(">II", at + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    size = struct.pack(">I", at + len(bodies))
    kind = b"test" + struct.pack(">I", 0x02400000) + b"mntr" + space + b"XYZ "
    header = size + kind + bytes(12) + b"acsp" + bytes(28) + _numbers(_WHITE) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + bodies


def _numbers(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + _numbers(values)


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(gamma * 256))
