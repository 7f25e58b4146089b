"""Inputs that are almost valid: files with bytes flipped, repeated, left out or spliced in."""

import struct
from collections.abc import Sequence

from hypothesis import strategies as st

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_FORMATS = ("B", "<H", ">H", "<I", ">I", "<Q", ">Q")

_Change = tuple[int, int, bytes | int]
"""Where a change is, how many bytes it replaces, and by what: bytes, or copies of the same."""


def mutated(seeds: Sequence[bytes], tokens: Sequence[bytes] = (b"",)) -> st.SearchStrategy[bytes]:
    """Return a strategy for the seeds with changes. `tokens` are bytes to write somewhere."""
    numbers = [
        struct.pack(form, number & (1 << 8 * struct.calcsize(form)) - 1)
        for form in _FORMATS
        for number in _NUMBERS
    ]
    replacement = st.one_of(
        st.just(b""),
        st.binary(max_size=16),
        st.sampled_from(numbers),
        st.sampled_from(tokens),
        st.integers(2, 20),
    )
    change = st.tuples(st.integers(0, 4096), st.integers(0, 64), replacement)
    seed = st.sampled_from(seeds)
    return st.builds(_changed, seed, st.lists(change, max_size=8), st.one_of(st.none(), seed))


def _changed(seed: bytes, changes: list[_Change], other: bytes | None) -> bytes:
    """Return the seed with its changes; with `other`, the end of that follows the first one."""
    data = bytearray(seed)
    for number, (place, length, new) in enumerate(changes):
        start = place % (len(data) + 1)
        end = start + length
        data[start:end] = data[start:end] * new if isinstance(new, int) else new
        if number == 0 and other is not None:
            data[start:] = other[start:]
    return bytes(data)
