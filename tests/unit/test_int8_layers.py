"""The image model of `lite`: as good as in float, and the same on every processor."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from shelfsight.demo.shop.drawing import draw
from shelfsight.demo.shop.products import make_shop
from shelfsight.embedding.local import lite_graphs
from shelfsight.embedding.local.bias_correction import output_means, relu6_means, shift_by_rounding
from shelfsight.embedding.local.efficientnet import Convolution, FloatLayers
from shelfsight.embedding.local.graph_cache import built_graph
from shelfsight.embedding.local.int8_layers import PAIR_LIMIT, Int8Layers, weight_scales
from shelfsight.images.resize import pillow_resizer
from shelfsight.images.synthetic_photo import synthetic_photo
from shelfsight.models.table import EFFICIENTNET_LITE1_LITE2

LARGEST_SUM = 2**15 - 1
"""Two products of an activation and a weight are added in 16 bits by AVX2."""


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """Draw products that the ranges were not measured on, with photos of them; as pixels."""
    chance = np.random.default_rng(1)
    drawn = [draw(one.design) for one in make_shop(seed=1) if one.design][:6]
    images = [*drawn, *(synthetic_photo(one, chance) for one in drawn)]
    pictures = np.stack([pixels(image.convert("RGB")) for image in images])
    return ((pictures.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)


@pytest.fixture(scope="module")
def graph() -> bytes:
    return built_graph("efficientnet_lite1_lite2_int8")


def pixels(image: Image.Image) -> np.ndarray:
    return pillow_resizer(image, EFFICIENTNET_LITE1_LITE2.picture)((0, 0, *image.size))


def vectors(graph: bytes, photos: np.ndarray, **options: object) -> np.ndarray:
    chosen = onnxruntime.SessionOptions()
    for name, value in options.items():
        setattr(chosen, name, value)
    session = onnxruntime.InferenceSession(graph, chosen, providers=["CPUExecutionProvider"])
    found = session.run(None, {"pixels": np.ascontiguousarray(photos)})[0]
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_the_vectors_are_about_those_in_float(graph: bytes, photos: np.ndarray):
    networks = [lite_graphs.lite1_network(), lite_graphs.lite2_network()]
    in_float = lite_graphs.feature_graph(networks, FloatLayers())
    cosines = (vectors(in_float, photos) * vectors(graph, photos)).sum(axis=1)
    assert np.median(cosines) >= 0.99
    assert cosines.min() >= 0.97


def test_integers_give_what_exact_arithmetic_gives(graph: bytes, photos: np.ndarray):
    """Without its optimizers ONNX Runtime computes the same steps in float, which never saturates.

    So this fails on a processor whose integers saturate.
    """
    unfused = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    exact = vectors(graph, photos[:3], graph_optimization_level=unfused)
    assert (vectors(graph, photos[:3]) * exact).sum(axis=1).min() >= 0.999


def test_the_number_of_threads_changes_nothing(graph: bytes, photos: np.ndarray):
    one, two = (vectors(graph, photos[:3], intra_op_num_threads=count) for count in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-6)


WEIGHTS = st.floats(-100, 100, width=32)


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=WEIGHTS))
def test_no_two_neighbours_of_a_pointwise_kernel_saturate_16_bits(rows: np.ndarray):
    kernel = rows[:, :, None, None]
    weights = np.rint(kernel / weight_scales(kernel)[:, None, None, None])[:, :, 0, 0]
    assert np.abs(weights).max() <= 127
    if rows.shape[1] > 1:
        sums = 255 * np.abs(weights[:, :-1] + weights[:, 1:])
        assert sums.max() <= 255 * PAIR_LIMIT <= LARGEST_SUM


@given(arrays(np.float32, (3, 3, 3, 3), elements=WEIGHTS))
def test_no_two_weights_of_the_first_kernel_saturate_16_bits(kernel: np.ndarray):
    weights = np.rint(kernel / weight_scales(kernel)[:, None, None, None])
    assert 2 * 255 * np.abs(weights).max() <= LARGEST_SUM


def test_a_depthwise_kernel_has_all_eight_bits():
    kernel = np.array([1, -2, 0.5], np.float32).repeat(9).reshape(3, 1, 3, 3)
    weights = np.rint(kernel / weight_scales(kernel)[:, None, None, None])
    assert weights[:, 0, 0, 0].tolist() == [127, -127, 127]


def layer(kernel: np.ndarray, bias: np.ndarray, **changes: object) -> Convolution:
    about = np.zeros(len(kernel), np.float32)
    return Convolution(
        name="layer", kernel=kernel, bias=bias, means=about, deviations=about + 1, **changes
    )


def test_a_channel_without_weights_keeps_its_bias():
    """Such channels exist in EfficientNet: their scale must leave room for the bias."""
    kernel, bias = np.zeros((2, 3, 1, 1), np.float32), np.array([0.5, -2.5], np.float32)
    layers = Int8Layers({"layer": (-3.0, 3.0)}, scale=1 / 128, zero=127)
    out = layers.convolution(layers.entry("pixels"), layer(kernel, bias, is_active=False))
    graph = layers.graph.serialized(
        inputs=[layers.graph.declare("pixels", np.float32, ["n", 3, 2, 2])],
        outputs=[layers.graph.declare(out, np.float32, None)],
    )
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = session.run(None, {"pixels": np.zeros((1, 3, 2, 2), np.float32)})[0]
    np.testing.assert_allclose(found[0, :, 0, 0], bias, atol=6 / 255)


def test_the_mean_after_relu6_is_that_of_many_numbers():
    means, deviations = np.array([0.0, -1, 5, 3, 9]), np.array([1.0, 2, 3, 0, 1])
    numbers = np.random.default_rng(0).normal(means, deviations, (400_000, 5))
    np.testing.assert_allclose(
        relu6_means(means, deviations), numbers.clip(0, 6).mean(axis=0), atol=0.02
    )


def test_the_mean_shift_by_rounding_is_that_of_many_inputs():
    chance = np.random.default_rng(0)
    kernel = chance.normal(size=(4, 5, 1, 1)).astype(np.float32)
    rounded = np.round(kernel, 1)
    means = chance.uniform(0, 3, 5)
    inputs = chance.normal(means, 1, (400_000, 5))
    added = (inputs @ (rounded - kernel)[:, :, 0, 0].T).mean(axis=0)
    shift = shift_by_rounding(layer(kernel, np.zeros(4, np.float32)), rounded, means)
    np.testing.assert_allclose(shift, added, atol=0.001)


def test_the_mean_of_a_layer_without_relu6_is_that_of_its_batch_norm():
    linear = layer(np.ones((3, 2, 1, 1), np.float32), np.ones(3, np.float32), is_active=False)
    assert output_means(linear).tolist() == [0, 0, 0]
