"""The network of EfficientNet-Lite, layer by layer, and its layers in float.

EfficientNet is by Tan & Le (ICML 2019). The Lite variant is that of TensorFlow's TPU repository:
without squeeze-and-excite, with ReLU6 in place of swish, padding "SAME", and batch norm with
epsilon 1e-3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shelfsight.embedding.local.lite_weights import Arrays
from shelfsight.embedding.local.onnx_graph import OnnxGraph

_FIRST_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EPSILON = np.float32(1e-3)

Kernel = NDArray[np.float32]
"""The weights of a convolution (out, in, height, width)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """The weights of a convolution, in which its batch norm is folded.

    Attributes:
        name: the name of the layer, such as `lite1._blocks.3._expand_conv`.
        kernel: (out, in, height, width); a depthwise convolution has one input per output.
        bias: (out,).
        means: (out,), of each output before ReLU6, over the pictures of the training.
        deviations: (out,), of the same.
        stride: the step in both directions, in pixels.
        is_active: whether ReLU6 follows.
    """

    name: str
    kernel: Kernel
    bias: NDArray[np.float32]
    means: NDArray[np.float32]
    deviations: NDArray[np.float32]
    stride: int = 1
    is_active: bool = True

    @property
    def is_depthwise(self) -> bool:
        """Whether each output has an input of its own."""
        return bool(self.kernel.shape[1] == 1)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of ONNX's operator `Conv`."""
        return {
            "auto_pad": "SAME_UPPER",
            "strides": [self.stride] * 2,
            "group": len(self.kernel) if self.is_depthwise else 1,
        }


class Layers(Protocol):
    """Adds the layers of a network to a graph; `FloatLayers` and `Int8Layers` implement it."""

    graph: OnnxGraph

    def entry(self, pixels: str) -> str:
        """Return the value that the first convolution takes for the graph's input."""
        ...

    def convolution(self, value: str, layer: Convolution) -> str:
        """Add a convolution and its ReLU6; return the output."""
        ...

    def residual(self, value: str, shortcut: str, name: str) -> str:
        """Add the input of a block to its output; `name` is that of the sum."""
        ...


class FloatLayers:
    """Layers that compute in float32.

    `values` maps the name of each layer to that of its output.
    """

    def __init__(self) -> None:
        self.graph = OnnxGraph()
        self.values: dict[str, str] = {}
        self._bounds = [
            self.graph.constant("zero", np.float32(0)),
            self.graph.constant("six", np.float32(6)),
        ]

    def entry(self, pixels: str) -> str:
        """Return the graph's input; see `Layers`."""
        return pixels

    def convolution(self, value: str, layer: Convolution) -> str:
        """Add a convolution and its ReLU6; see `Layers`."""
        kernel = self.graph.constant(f"{layer.name}.kernel", layer.kernel)
        bias = self.graph.constant(f"{layer.name}.bias", layer.bias)
        result = self.graph.add("Conv", [value, kernel, bias], **layer.attributes)
        if layer.is_active:
            result = self.graph.add("Clip", [result, *self._bounds])
        self.values[layer.name] = result
        return result

    def residual(self, value: str, shortcut: str, name: str) -> str:
        """Add a sum; see `Layers`."""
        self.values[name] = self.graph.add("Add", [value, shortcut])
        return self.values[name]


class EfficientNet:
    """The weights of an EfficientNet-Lite, and how its layers are connected.

    `repeats` is the number of blocks of each of the seven stages. The names of all layers start
    with `name`, so that a graph may have several networks.
    """

    def __init__(self, name: str, weights: Arrays, repeats: Sequence[int]) -> None:
        self.name = name
        self._weights = weights
        self._repeats = repeats

    def feature_map(self, layers: Layers, pixels: str) -> str:
        """Add all layers up to the last convolution; return its output (n, 1280, rows, columns)."""
        value = layers.entry(pixels)
        value = layers.convolution(value, self._folded("_conv_stem", "_bn0", stride=2))
        for number, stride in enumerate(self._strides()):
            value = self._block(layers, value, f"_blocks.{number}.", stride)
        return layers.convolution(value, self.head)

    @property
    def head(self) -> Convolution:
        """The last convolution, from 320 channels to 1280."""
        return self._folded("_conv_head", "_bn1")

    def _strides(self) -> Iterator[int]:
        for first, count in zip(_FIRST_STRIDES, self._repeats, strict=True):
            yield from (first, *[1] * (count - 1))

    def _block(self, layers: Layers, value: str, name: str, stride: int) -> str:
        """Add an MBConv block: expansion, depthwise convolution, projection.

        If the shapes match, the input of the block is added to its output (a residual).
        """
        inner = value
        expands = f"{name}_expand_conv.weight" in self._weights
        if expands:
            inner = layers.convolution(inner, self._folded(f"{name}_expand_conv", f"{name}_bn0"))
        spread = self._folded(f"{name}_depthwise_conv", f"{name}_bn1", stride=stride)
        inner = layers.convolution(inner, spread)
        narrow = self._folded(f"{name}_project_conv", f"{name}_bn2", is_active=False)
        inner = layers.convolution(inner, narrow)
        if not expands or stride > 1:
            return inner
        if self._weights[f"{name}_expand_conv.weight"].shape[1] != len(narrow.kernel):
            return inner
        return layers.residual(inner, value, f"{self.name}.{name}sum")

    def _folded(
        self, name: str, norm: str, *, stride: int = 1, is_active: bool = True
    ) -> Convolution:
        """Return a convolution whose kernel and bias include its batch norm."""
        variance = self._weights[f"{norm}.running_var"]
        scale = self._weights[f"{norm}.weight"] / np.sqrt(variance + _EPSILON)
        shift = self._weights[f"{norm}.bias"] - self._weights[f"{norm}.running_mean"] * scale
        kernel = self._weights[f"{name}.weight"] * scale[:, None, None, None]
        return Convolution(
            name=f"{self.name}.{name}",
            kernel=kernel.astype(np.float32),
            bias=shift.astype(np.float32),
            means=self._weights[f"{norm}.bias"],
            deviations=np.abs(self._weights[f"{norm}.weight"]),
            stride=stride,
            is_active=is_active,
        )
