"""Compare our embedding server with Infinity on the same text model, alternating within one run.

    python3 -m venv /tmp/infinity && /tmp/infinity/bin/pip install -r requirements/infinity.txt
    python -m benchmarks.random_models FOLDER
    python -m benchmarks.against_infinity FOLDER --infinity /tmp/infinity/bin/infinity_emb

Both serve the Qwen3-like model in FOLDER at `/v1/embeddings`, to the same clients with the same
texts, each with its default use of this machine's cores. Infinity runs its default engine, torch,
with its default batching. Its cache of embeddings is off because the texts repeat. Its ONNX engine
(optimum) is not compared: it pools by the mean or the first token, and this model needs the last.
"""

import argparse
import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

import numpy as np
from benchmarks.server_throughput import (
    JSON,
    load_test,
    served,
    spread,
    texts,
    until_ready,
)

from shelfsight.embedding.wire import decode_vector
from shelfsight.models.table import QWEN3
from shelfsight.serving.listen import bind

PATH = "/v1/embeddings"
COMPARED = 16
CLIENTS = (1, 8, 32)
ITEMS = (1, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "folder", type=Path, help="a MODEL_DIR as created by benchmarks.random_models"
    )
    parser.add_argument(
        "--infinity", type=Path, required=True, help="path of the command infinity_emb"
    )
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--items", type=int, nargs="+", default=ITEMS, help="texts per request")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="length of a round (default: 10)")
    arguments = parser.parse_args()
    print(f"shelfsight {version('shelfsight')}, onnxruntime {version('onnxruntime')}")
    print(f"Infinity: {', '.join(versions(arguments.infinity))}; {os.cpu_count()} cores")
    with (
        served("siglip-qwen3", arguments.folder) as ours,
        infinity(arguments.infinity, arguments.folder / QWEN3.name) as theirs,
    ):
        cosines, apart = agreement(ours, theirs)
        print(f"cosine of the two vectors of a text: at least {cosines.min():.6f}")
        print(f"cosine of two texts' vectors, for comparison: {apart:.3f} in the mean")
        print(f"{'clients':>7} {'items each':>10} {'ours/s':>8} {'Infinity/s':>10} {'ratio':>18}")
        for items, clients in product(arguments.items, arguments.clients):
            compare(ours, theirs, (clients, items), arguments)


def compare(ours: str, theirs: str, shape: tuple[int, int], arguments: argparse.Namespace) -> None:
    """Measure and print one line; the servers alternate in going first."""
    clients, items = shape
    rates: dict[str, list[float]] = {ours: [], theirs: []}
    for number in range(arguments.rounds):
        for url in (ours, theirs) if number % 2 else (theirs, ours):
            measured = load_test(url + PATH, bodies(items), clients, arguments.seconds)
            rates[url].append(items * measured.rate)
    ratios = [our / their for our, their in zip(rates[ours], rates[theirs], strict=True)]
    print(
        f"{clients:>7} {items:>10} {median(rates[ours]):>8.1f} {median(rates[theirs]):>10.1f}"
        f" {spread(ratios):>18}",
        flush=True,
    )


def bodies(items: int) -> list[bytes]:
    sent = texts()
    return [body(sent[start : start + items]) for start in range(0, len(sent), items)]


def body(items: list[str]) -> bytes:
    request = {"model": QWEN3.name, "input": items, "encoding_format": "base64"}
    return json.dumps(request).encode()


def agreement(ours: str, theirs: str) -> tuple[np.ndarray, float]:
    """Return the cosines between both servers' vectors of the same texts.

    The second value is the mean cosine between vectors of different texts, for comparison.
    """
    a, b = (vectors(url) for url in (ours, theirs))
    return (a * b).sum(axis=1), float((a[:-1] * a[1:]).sum(axis=1).mean())


def vectors(url: str) -> np.ndarray:
    with urlopen(Request(url + PATH, body(texts()[:COMPARED]), JSON)) as response:
        data = json.load(response)["data"]
    rows = np.array([decode_vector(item["embedding"]) for item in data])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@contextmanager
def infinity(command: Path, model: Path) -> Iterator[str]:
    """Start Infinity in its own process; yield its URL once it responds."""
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    options = {
        "--model-id": model,
        "--served-model-name": QWEN3.name,
        "--engine": "torch",
        "--host": "127.0.0.1",
        "--port": port,
        "--url-prefix": "/v1",
        "--log-level": "error",
    }
    flags = [str(word) for option in options.items() for word in option]
    arguments = [str(command), "v2", *flags, "--no-vector-disk-cache"]
    offline = {"HF_HUB_OFFLINE": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    with subprocess.Popen(arguments, env={**os.environ, **offline}) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            asyncio.run(until_ready(f"{url}/v1/models"))
            yield url
        finally:
            server.terminate()


def versions(command: Path) -> list[str]:
    """Return the versions of the packages installed next to the command."""
    packages = ("infinity-emb", "torch", "transformers", "sentence-transformers")
    script = (
        "from importlib.metadata import version\n"
        f"print(*(f'{{p}} {{version(p)}}' for p in {packages}), sep=chr(10))"
    )
    script_command = [str(command.with_name("python")), "-c", script]
    return subprocess.run(
        script_command, capture_output=True, check=True, text=True
    ).stdout.splitlines()


if __name__ == "__main__":
    main()
