"""Builds ONNX graphs node by node."""

import importlib
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from shelfsight.errors import ModelError, install_command

_OPSET = 18
_IR_VERSION = 10

Dims = Sequence[str | int]
"""The shape of an input or output. Dynamic dimensions are given as names instead of numbers."""


class OnnxGraph:
    """Collects the constants and nodes of an ONNX graph.

    Each node has one output. Its name is a number, unless the caller names it.

    Raises:
        ModelError: the extra `lite` is not installed.
    """

    def __init__(self) -> None:
        self._onnx = import_extra("onnx")
        self._constants: dict[str, object] = {}
        self._nodes: list[object] = []

    def constant(self, name: str, values: NDArray[np.generic] | np.generic) -> str:
        """Add a constant and return its name. A name that is there already keeps its values."""
        if name not in self._constants:
            array = np.asarray(values)
            self._constants[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def add(
        self, kind: str, inputs: Sequence[str], *, output: str | None = None, **attributes: object
    ) -> str:
        """Add a node of an operator and return the name of its output."""
        value = output or f"value_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [value], **attributes))
        return value

    def number(self, dtype: type[np.generic]) -> int:
        """Return ONNX's number of a data type."""
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def declare(self, name: str, dtype: type[np.generic], dims: Dims) -> object:
        """Return the declaration of an input or output."""
        helper = self._onnx.helper
        declared: object = helper.make_tensor_value_info(name, self.number(dtype), dims)
        return declared

    def serialized(self, *, inputs: Sequence[object], outputs: Sequence[object]) -> bytes:
        """Return the graph as the content of an ONNX file."""
        helper = self._onnx.helper
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "lite", inputs, outputs, constants)
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())


def import_extra(name: str) -> ModuleType:
    """Import a module of the extra `lite`, which may not be installed.

    Raises:
        ModelError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"--models lite needs the package {error.name}; {install_command('lite')}"
        ) from None
