"""Fuzzes the reader of packaged weights (`.pth`), which contain pickles."""

import pickle
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from shelfsight.embedding.local.lite_weights import read_legacy_torch
from shelfsight.errors import ModelError
from tests.fuzz.mutations import mutated

_HEADER = b"".join(
    pickle.dumps(part, protocol=2)
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
)
_STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04NtQ"
_TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + _STORAGE + b"K\0(K\x02K\x02t(K\x02K\x01ttR"
_PLAIN = b"\x80\x02}X\x01\0\0\0x" + _TENSOR + b"s."
_ORDERED = (
    b"\x80\x02ccollections\nOrderedDict\n)Rq\x01(X\x01\0\0\0x"
    + _TENSOR
    + b"u}X\x01\0\0\0mKs"
    + b"\x01b."
)
_KEYS = pickle.dumps(["0"], protocol=2)
_VALUES = np.int64(4).tobytes() + np.zeros(4, "<f4").tobytes()
_SEEDS = [_HEADER + tensors + _KEYS + _VALUES for tensors in (_PLAIN, _ORDERED)] + [
    pickle.dumps([(1,), {"a": b"b"}, {3}, 1.5, 2**70, "x"], protocol=protocol)
    for protocol in range(6)
]
_OPCODES = [bytes([code]) for code in range(256)]
_TOKENS = [
    *_OPCODES,
    *(b"cos\nsystem\n", b"cbuiltins\neval\n", b"ctorch\nLongStorage\n", b"c__main__\nx\n"),
    *(b"r\xff\xff\xff\x7f", b"j\xff\xff\xff\xff", b"\x8d" + b"\xff" * 8, b"\x95" + b"\xff" * 8),
    *(
        b"\x8b\xff\xff\xff\x7f",
        b"\x85" * 200,
        b"}" * 200,
        b"2" * 50,
        b"(" * 200,
        b"X\xff\xff\xff\xff",
    ),
]
INPUTS = st.one_of(
    mutated(_SEEDS, _TOKENS),
    st.builds(
        lambda ops: _HEADER + b"\x80\x02" + b"".join(ops) + b"." + _KEYS + _VALUES,
        st.lists(st.sampled_from([*_TOKENS, b"K\x01", b"]", b"}", b")", _TENSOR, _STORAGE])),
    ),
)

MEMORY = 1 << 30
"""Bytes of memory that reading a small file may take beyond what the process has."""


@contextmanager
def checker() -> Iterator[Callable[[bytes], None]]:
    """Yield a function that reads weights: arrays by name, or an error in words."""

    def check(content: bytes) -> None:
        try:
            with _limited_memory():
                weights = read_legacy_torch(content)
        except ModelError as error:
            assert str(error).isprintable()
            return
        assert all(isinstance(values, np.ndarray) for values in weights.values())
        assert all(values.nbytes <= len(content) for values in weights.values())

    yield check


@contextmanager
def _limited_memory() -> Iterator[None]:
    """Let an allocation fail that is much larger than the file."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
