"""Compare the image models of `lite` and `lite0`, and eight bits with float, on one core.

    python -m benchmarks.lite_speed

Prints milliseconds of processor time a picture, in batches of eight, and how many times as fast
each is as `lite0` in float, in turns. On a processor without AVX512-VNNI eight bits gain less.
"""

import statistics
import time

import numpy as np
import onnxruntime

from shelfsight.embedding.local.efficientnet import FloatLayers, Layers
from shelfsight.embedding.local.int8_layers import Int8Layers
from shelfsight.embedding.local.lite_graphs import (
    SIDE,
    feature_graph,
    lite0_network,
    lite1_network,
    lite2_network,
    read_ranges,
)

ROUNDS = 9
BATCH = 8


def main() -> None:
    one, two = lite1_network(), lite2_network()
    graphs = {
        "lite0 in float": feature_graph([lite0_network()], FloatLayers()),
        "lite2 in float": feature_graph([two], FloatLayers()),
        "lite2 in eight bits": feature_graph([two], eight_bits()),
        "lite1 and lite2 in float": feature_graph([one, two], FloatLayers()),
        "lite1 and lite2 in eight bits, as `lite` has them": feature_graph(
            [one, two], eight_bits()
        ),
    }
    sessions = {name: session(graph) for name, graph in graphs.items()}
    pictures = np.random.default_rng(1).integers(0, 256, (BATCH, 3, SIDE, SIDE))
    pixels = ((pictures - 127) / 128).astype(np.float32)
    taken = {name: [] for name in sessions}
    for _ in range(ROUNDS):
        for name, one_session in sessions.items():
            start = time.process_time()
            one_session.run(None, {"pixels": pixels})
            taken[name].append((time.process_time() - start) / BATCH)
    before = taken["lite0 in float"]
    for name, rounds in taken.items():
        ratio = statistics.median(a / b for a, b in zip(before, rounds, strict=True))
        print(f"{name}: {1000 * statistics.median(rounds):.1f} ms, {ratio:.2f} times as fast")


def eight_bits() -> Layers:
    return Int8Layers(read_ranges(), scale=1 / 128, zero=127)


def session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    opened = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    pixels = np.zeros((BATCH, 3, SIDE, SIDE), np.float32)
    opened.run(None, {"pixels": pixels})  # the first run makes room
    return opened


if __name__ == "__main__":
    main()
