"""Compare the number formats of SigLIP and Qwen3 on a CPU: time, memory, and cosine to fp32.

    pip install -r requirements/parity.txt
    python -m benchmarks.random_models FOLDER [--full]
    python -m benchmarks.precisions FOLDER

The weights of FOLDER are random, so the cosines say nothing of the published models. Files of 8
bits are made by dynamic quantisation, and those of 16 bits by conversion, unless they are there.
With `--full` that takes about 8 GB of memory. Times are of the processor, one thread, in turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from tests.parity.exported import save_smaller

from shelfsight.embedding.local import onnx_model
from shelfsight.models.choice import with_precision
from shelfsight.models.specs import Precision
from shelfsight.models.table import QWEN3, SIGLIP
from shelfsight.records import Vector

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
ROUNDS = 3
PICTURES = 8
TEXTS = 4
TEXT = "A mug of stoneware with a blue glaze, safe in the dishwasher. " * 4
"""About 64 tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="made by benchmarks.random_models")
    parser.add_argument("--one", choices=PRECISIONS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure_here(arguments.folder, arguments.one)
        return
    for spec in (SIGLIP, QWEN3):
        save_smaller(arguments.folder / spec.name, spec)
    found = {precision: [] for precision in PRECISIONS}
    for _ in range(ROUNDS):
        for precision in PRECISIONS:
            command = [sys.executable, "-m", "benchmarks.precisions", str(arguments.folder)]
            out = subprocess.run(
                [*command, "--one", precision], check=True, capture_output=True, text=True
            ).stdout
            found[precision].append(json.loads(out))
    original = found["fp32"]
    for precision, rounds in found.items():
        parts = []
        for kind in ("picture", "text"):
            milliseconds = statistics.median(one[kind]["ms"] for one in rounds)
            ratio = statistics.median(
                one[kind]["ms"] / other[kind]["ms"]
                for one, other in zip(rounds, original, strict=True)
            )
            cosine = min(
                np.sum(np.multiply(one[kind]["vectors"], other[kind]["vectors"]), axis=1).min()
                for one, other in zip(rounds, original, strict=True)
            )
            parts.append(f"{kind} {milliseconds:.0f} ms ({ratio:.2f}), cosine {cosine:.4f}")
        memory = statistics.median(one["memory"] for one in rounds)
        print(f"{precision}: {'; '.join(parts)}; {memory / 1e9:.2f} GB at the most")


def measure_here(folder: Path, precision: Precision) -> None:
    """Print the figures of one format as JSON; a process of its own shows what memory it takes."""
    os.environ["OMP_NUM_THREADS"] = "1"
    chosen = with_precision("siglip-qwen3", precision)
    embedder = onnx_model.open_pair(chosen, model_dir=folder, threads=1)
    rng = np.random.default_rng(1)
    pictures = list(rng.integers(0, 256, (PICTURES, 224, 224, 3), np.uint8))
    result: dict[str, object] = {}
    for kind, embed, items in (
        ("picture", embedder.embed_images, pictures),
        ("text", embedder.embed_texts, [f"{number} {TEXT}" for number in range(TEXTS)]),
    ):
        embed(items[:1])
        before = time.process_time()
        vectors: list[Vector] = [np.asarray(vector) for one in items for vector in embed([one])]
        spent = (time.process_time() - before) / len(items)
        result[kind] = {"ms": 1000 * spent, "vectors": [vector.tolist() for vector in vectors]}
    result["memory"] = peak_bytes()
    print(json.dumps(result))


def peak_bytes() -> int:
    """Return the most memory that this process had, without that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
