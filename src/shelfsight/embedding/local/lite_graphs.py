"""Builds the models of the pair `lite` from weights in installed packages: no download, no torch.

EfficientNet-Lite0 is by Tan & Le, "EfficientNet" (ICML 2019), in the Lite variant of TensorFlow's
TPU repository: without squeeze-and-excite, with ReLU6 in place of swish, padding "SAME", and batch
norm with epsilon 1e-3. WordLlama is the mean of a text's token vectors.
"""

import importlib
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from shelfsight.embedding.local import lite_weights
from shelfsight.embedding.width import projection
from shelfsight.errors import ModelError
from shelfsight.records import IMAGE_WIDTH

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
_EPSILON = np.float32(1e-3)
_OPSET = 18
_IR_VERSION = 10


def efficientnet_lite0() -> bytes:
    """Build the graph `pixels` (n, 3, 224, 224) float32 -> `features` (n, 768) float32.

    The last feature map before the classifier has 1280 channels. Their means are projected to 768
    features. The projection keeps the 320 directions that the last convolution can write to.

    Raises:
        ModelError: a package of the extra `lite` is missing or has other content.

    """
    content = lite_weights.read_packaged(lite_weights.EFFICIENTNET_WEIGHTS)
    net = _EfficientNet(lite_weights.read_legacy_torch(content))
    value = net.active("pixels", "_conv_stem", "_bn0", stride=2)
    for number, stride in enumerate(_STRIDES):
        value = net.block(value, f"_blocks.{number}.", stride)
    value = net.active(value, "_conv_head", "_bn1")
    graph = net.graph
    means = graph.add("Flatten", [graph.add("GlobalAveragePool", [value])])
    kernel, _shift = net.folded("_conv_head", "_bn1")
    narrow = graph.constant("narrow", projection(kernel[:, :, 0, 0], IMAGE_WIDTH))
    graph.add("MatMul", [means, narrow], output="features")
    return graph.serialized(
        inputs=[graph.declare("pixels", np.float32, ["n", 3, 224, 224])],
        outputs=[graph.declare("features", np.float32, ["n", IMAGE_WIDTH])],
    )


def wordllama() -> bytes:
    """Build the graph that `token_means` makes of WordLlama's 32,000 token vectors of width 256.

    Raises:
        ModelError: a package of the extra `lite` is missing or has other content.

    """
    content = lite_weights.read_packaged(lite_weights.WORDLLAMA_WEIGHTS)
    return token_means(_module("safetensors.numpy").load(content)["embedding.weight"])


def token_means(table: NDArray[np.floating]) -> bytes:
    """Build `input_ids`, `attention_mask` (n, length) int64 -> `means` (n, width) float32.

    Each mean is that of the rows of `table` (vocabulary, width) for the tokens of a text.

    Raises:
        ModelError: the extra `lite` is not installed.

    """
    graph = _Graph()
    axis = graph.constant("axis", np.array([1], dtype=np.int64))
    rows = graph.add("Gather", [graph.constant("table", table), "input_ids"])
    rows = graph.add("Cast", [rows], to=graph.number(np.float32))
    mask = graph.add("Cast", ["attention_mask"], to=graph.number(np.float32))
    sums = graph.add("MatMul", [graph.add("Unsqueeze", [mask, axis]), rows])
    sums = graph.add("Squeeze", [sums, axis])
    graph.add("Div", [sums, graph.add("ReduceSum", [mask, axis])], output="means")
    return graph.serialized(
        inputs=[
            graph.declare(name, np.int64, ["n", "length"])
            for name in ("input_ids", "attention_mask")
        ],
        outputs=[graph.declare("means", np.float32, ["n", table.shape[1]])],
    )


class _EfficientNet:
    """Adds the layers of EfficientNet to a graph, by the names of their weights.

    Batch norm is folded into the convolutions.
    """

    def __init__(self, weights: lite_weights.Arrays) -> None:
        self.weights = weights
        self.graph = _Graph()
        self.bounds = [
            self.graph.constant("zero", np.array(0, dtype=np.float32)),
            self.graph.constant("six", np.array(6, dtype=np.float32)),
        ]

    def block(self, value: str, name: str, stride: int) -> str:
        """Add an MBConv block: expansion, depthwise convolution, projection.

        If the shapes match, the input of the block is added to its output (a residual).
        """
        inner = value
        if f"{name}_expand_conv.weight" in self.weights:
            inner = self.active(inner, f"{name}_expand_conv", f"{name}_bn0")
        inner = self.active(inner, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride)
        inner = self.linear(inner, f"{name}_project_conv", f"{name}_bn2")
        return self.graph.add("Add", [inner, value]) if self._has_residual(name, stride) else inner

    def active(self, value: str, name: str, norm: str, *, stride: int = 1) -> str:
        """Add a convolution with batch norm and ReLU6."""
        return self.graph.add("Clip", [self.linear(value, name, norm, stride=stride), *self.bounds])

    def linear(self, value: str, name: str, norm: str, *, stride: int = 1) -> str:
        """Add a convolution with batch norm."""
        kernel, shift = self.folded(name, norm)
        return self.graph.add(
            "Conv",
            [
                value,
                self.graph.constant(f"{name}.kernel", kernel),
                self.graph.constant(f"{name}.shift", shift),
            ],
            auto_pad="SAME_UPPER",
            strides=[stride, stride],
            group=len(kernel) if kernel.shape[1] == 1 else 1,
        )

    def folded(self, name: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return a kernel (out, in, height, width) and a bias (out,) that include batch norm."""
        variance = self.weights[f"{norm}.running_var"]
        scale = self.weights[f"{norm}.weight"] / np.sqrt(variance + _EPSILON)
        shift = self.weights[f"{norm}.bias"] - self.weights[f"{norm}.running_mean"] * scale
        kernel = self.weights[f"{name}.weight"] * scale[:, None, None, None]
        return kernel.astype(np.float32), shift.astype(np.float32)

    def _has_residual(self, name: str, stride: int) -> bool:
        first = self.weights.get(f"{name}_expand_conv.weight")
        if stride > 1 or first is None:
            return False
        return bool(first.shape[1] == len(self.weights[f"{name}_project_conv.weight"]))


class _Graph:
    """Collects the constants and nodes of an ONNX graph.

    Each node has one output. Its name is a number, unless the caller names it.
    """

    def __init__(self) -> None:
        self.onnx = _module("onnx")
        self.constants: list[object] = []
        self.nodes: list[object] = []

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(values, name))
        return name

    def add(
        self, kind: str, inputs: Sequence[str], *, output: str | None = None, **attributes: object
    ) -> str:
        value = output or f"value_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [value], **attributes))
        return value

    def number(self, dtype: type[np.generic]) -> int:
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def declare(self, name: str, dtype: type[np.generic], dims: Sequence[str | int]) -> object:
        declared: object = self.onnx.helper.make_tensor_value_info(name, self.number(dtype), dims)
        return declared

    def serialized(self, *, inputs: Sequence[object], outputs: Sequence[object]) -> bytes:
        helper = self.onnx.helper
        graph = helper.make_graph(self.nodes, "lite", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())


def _module(name: str) -> ModuleType:
    """Import a module of the extra `lite`, which may not be installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"--models lite needs the package {error.name}; {lite_weights.INSTALL}"
        ) from None
