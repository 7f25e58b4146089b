"""Corrects the biases of rounded weights, without pictures.

Rounding changes the sum of a convolution's products by the errors of its weights times what its
inputs are on average. This part of the error is the same for all pictures, so the bias can take it
back. The averages follow from batch norm: before ReLU6 a channel has its shift as mean and its
scale as deviation, and about the form of a bell (Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction", 2019).

On 161 photos and catalogue pictures of groceries, the vectors of EfficientNet-Lite1 in eight bits
had a median cosine of 0.9974 to those in float; without the correction 0.9924.
"""

import math

import numpy as np
from numpy.typing import NDArray

from shelfsight.embedding.local.efficientnet import Convolution, Kernel

Channels = NDArray[np.float64]
"""A number for each channel (channels,)."""

_SMALLEST_DEVIATION = 1e-6

_erf = np.vectorize(math.erf, otypes=[np.float64])


def shift_by_rounding(layer: Convolution, rounded: Kernel, input_means: Channels) -> Channels:
    """Return what rounding the kernel adds to each output channel (out,), on average."""
    errors = (rounded.astype(np.float64) - layer.kernel).sum(axis=(2, 3))
    shift: Channels = errors[:, 0] * input_means if layer.is_depthwise else errors @ input_means
    return shift


def output_means(layer: Convolution) -> Channels:
    """Return the mean of each output channel (out,), after ReLU6 if the layer has one."""
    means = layer.means.astype(np.float64)
    return relu6_means(means, layer.deviations) if layer.is_active else means


def relu6_means(means: Channels, deviations: NDArray[np.floating]) -> Channels:
    """Return the mean of normally distributed numbers (channels,) that are clipped to 0..6."""
    spread = np.maximum(np.abs(deviations), _SMALLEST_DEVIATION)
    low, high = -means / spread, (6 - means) / spread
    inside = means * (_below(high) - _below(low)) + spread * (_density(low) - _density(high))
    clipped: Channels = inside + 6 * (1 - _below(high))
    return clipped


def _below(values: Channels) -> Channels:
    share: Channels = 0.5 * (1 + _erf(values / math.sqrt(2)))
    return share


def _density(values: Channels) -> Channels:
    density: Channels = np.exp(-(values**2) / 2) / math.sqrt(2 * math.pi)
    return density
