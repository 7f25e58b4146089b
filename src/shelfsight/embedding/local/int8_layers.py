"""Layers that compute with integers of eight bits, for ONNX Runtime's operator QLinearConv.

Activations are uint8, with the ranges of a table; weights are int8, with a scale per channel. The
graph is in ONNX's form of quantize and dequantize nodes (QDQ), which ONNX Runtime fuses.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shelfsight.embedding.local.bias_correction import (
    Channels,
    output_means,
    shift_by_rounding,
)
from shelfsight.embedding.local.efficientnet import Convolution, Kernel
from shelfsight.embedding.local.onnx_graph import OnnxGraph

Ranges = Mapping[str, tuple[float, float]]
"""The least and the greatest value that the output of each layer takes."""

PAIR_LIMIT = 128
"""The most that two neighbouring weights may add up to.

x86 processors with AVX2 and without VNNI add pairs of products in 16 bits, which saturate at
32,767: two activations of 255 with weights that add up to 128 give 32,640. Within this limit all
processors compute the same.
"""

_PIXEL_MEANS = 255 * np.array([0.485, 0.456, 0.406])
"""The mean red, green and blue of ImageNet's photos."""

_MOST = np.float32(2**30)
"""The greatest bias in 32 bits: so much room is left for the products."""

_TINY = np.float32(1e-12)


class Int8Layers:
    """Implements `efficientnet.Layers` with integers.

    `scale` and `zero` are those of the graph's input: its values are `scale * (0..255 - zero)`.
    """

    def __init__(self, ranges: Ranges, *, scale: float, zero: int) -> None:
        self.graph = OnnxGraph()
        self._ranges = ranges
        self._input = (np.float32(scale), np.uint8(zero))
        self._scales: dict[str, np.float32] = {}
        self._means: dict[str, Channels] = {}

    def entry(self, pixels: str) -> str:
        """Quantize the graph's input, without loss: pixels are integers of eight bits."""
        scale, zero = self._input
        value = self._quantized(pixels, "pixels", scale, zero)
        self._means[value] = float(scale) * (_PIXEL_MEANS - float(zero))
        return value

    def convolution(self, value: str, layer: Convolution) -> str:
        """Add a convolution; see `efficientnet.Layers`.

        It needs no operator for ReLU6: integers saturate at the ends of the range.
        """
        smallest = np.abs(layer.bias) / (self._scales[value] * _MOST)
        scales = np.maximum(weight_scales(layer.kernel), smallest)
        kernel = np.rint(layer.kernel / scales[:, None, None, None]).astype(np.int8)
        sums = scales * self._scales[value]
        rounded: Kernel = kernel.astype(np.float32) * scales[:, None, None, None]
        corrected = layer.bias - shift_by_rounding(layer, rounded, self._means[value])
        bias = np.rint(corrected / sums).astype(np.int32)
        weights = self._dequantized(f"{layer.name}.kernel", kernel, scales)
        shifts = self._dequantized(f"{layer.name}.bias", bias, sums)
        result = self.graph.add("Conv", [value, weights, shifts], **layer.attributes)
        low, high = self._ranges[layer.name]
        low, high = (0.0, min(high, 6.0)) if layer.is_active else (low, high)
        result = self._in_range(result, layer.name, low, high)
        self._means[result] = output_means(layer)
        return result

    def residual(self, value: str, shortcut: str, name: str) -> str:
        """Add a sum; see `efficientnet.Layers`."""
        result = self.graph.add("Add", [value, shortcut])
        result = self._in_range(result, name, *self._ranges[name])
        self._means[result] = self._means[value] + self._means[shortcut]
        return result

    def _in_range(self, value: str, name: str, low: float, high: float) -> str:
        low, high = min(low, 0.0), max(high, 0.0)  # zero has to be one of the 256 values
        scale = np.float32((high - low) / 255)
        return self._quantized(value, name, scale, np.uint8(np.rint(-low / scale)))

    def _quantized(self, value: str, name: str, scale: np.float32, zero: np.uint8) -> str:
        constants = [
            self.graph.constant(f"{name}.scale", scale),
            self.graph.constant(f"{name}.zero", zero),
        ]
        integers = self.graph.add("QuantizeLinear", [value, *constants])
        result = self.graph.add("DequantizeLinear", [integers, *constants])
        self._scales[result] = scale
        return result

    def _dequantized(
        self, name: str, values: NDArray[np.int8] | NDArray[np.int32], scales: NDArray[np.float32]
    ) -> str:
        """Add a constant that is stored as integers, with a scale for each output channel."""
        zeros = np.zeros(len(values), values.dtype)
        inputs = [
            self.graph.constant(name, values),
            self.graph.constant(f"{name}.scales", scales),
            self.graph.constant(f"{name}.zeros", zeros),
        ]
        return self.graph.add("DequantizeLinear", inputs, axis=0)


def weight_scales(kernel: Kernel) -> NDArray[np.float32]:
    """Return the scale of each output channel (out,): as fine as int8 and `PAIR_LIMIT` allow.

    In a pointwise convolution, neighbours are weights of neighbouring input channels. In the first
    one, any two weights may meet. Depthwise ones are computed with 32 bits everywhere.
    """
    rows = kernel.reshape(len(kernel), -1).astype(np.float64)
    steps = np.abs(rows).max(axis=1) / 127
    if kernel.shape[1] > 1:
        is_pointwise = kernel.shape[2:] == (1, 1)
        pairs = _neighbour_sums(rows) if is_pointwise else 2 * np.abs(rows).max(axis=1)
        # Each weight may be rounded up by a half, so a pair by one.
        steps = np.maximum(steps, pairs / (PAIR_LIMIT - 1))
    scales: NDArray[np.float32] = np.maximum(steps, _TINY).astype(np.float32)
    return scales


def _neighbour_sums(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the greatest sum of two neighbours of each row (out,), leaving out their sign."""
    sums: NDArray[np.float64] = np.abs(rows[:, :-1] + rows[:, 1:]).max(axis=1)
    return sums
