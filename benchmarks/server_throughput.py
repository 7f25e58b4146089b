"""Compare the embedding server with the same model called in a bare loop, alternating in one run.

    python benchmarks/server_throughput.py [--models lite] [--model-dir FOLDER] [--rounds 5]
    ... --models siglip-qwen3 --model-dir FOLDER --clients 64 --items 1 --seconds 24 --rounds 3
    ... --clients 64 --seconds 4

A round should be several times as long as the server needs for one request of each client.
Server, clients and bare loop share this machine's cores. Each figure is the median over the rounds
with the minimum and maximum; a round is compared with the bare loops before and after it.

The bare loop gets decoded pictures; the server decodes what our client sends. Requests with one
item are also compared with `GET /ready` from the same clients: it does nothing, so no request to
this server can be faster.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import aiohttp
import numpy as np
from PIL import Image

from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.embedding.remote.picture_files import encode_bmp

CLIENTS = (1, 8, 64)
ITEMS = (1, 16)
"""Items per request: of a scan, and of a backfill."""

JSON = {"Content-Type": "application/json"}

WORDS = ("red", "blue", "mug", "shoe", "linen", "handmade", "large", "with", "a", "of", "the")


@dataclass(frozen=True)
class Load:
    """One kind of input: `items` as the model takes them, `sent` as a client sends them."""

    name: str
    path: str
    field: str
    items: Sequence[object]
    sent: Sequence[str]
    embed: Callable[[Sequence[object]], list]
    batch: int

    def bodies(self, items: int) -> list[bytes]:
        parts = [self.sent[start : start + items] for start in range(0, len(self.sent), items)]
        return [
            json.dumps({self.field: part, "encoding_format": "base64"}).encode() for part in parts
        ]


@dataclass(frozen=True)
class Round:
    """The result of one round.

    `rate` is in items (or requests) per second, `p50` the median seconds of a request (or item).
    """

    rate: float
    p50: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", default="lite", help="the pair of models (default: lite)")
    parser.add_argument("--model-dir", type=Path, help="the folder with the model files")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--items", type=int, nargs="+", default=ITEMS, help="items per request")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="length of a round (default: 2)")
    arguments = parser.parse_args()
    kinds = loads(arguments.models, arguments.model_dir)
    print(
        f"{'':<5} {'clients':>7} {'items each':>10} {'items/s':>8} {'of bare':>18}"
        f" {'p50 ms':>8} {'beyond bare, ms':>18} {'of GET /ready':>18}"
    )
    with served(arguments.models, arguments.model_dir) as url:
        for load, items, clients in product(kinds, arguments.items, arguments.clients):
            compare(url, load, (clients, items), arguments)


def compare(url: str, load: Load, shape: tuple[int, int], arguments: argparse.Namespace) -> None:
    """Measure and print one line."""
    clients, items = shape
    seconds = arguments.seconds
    bare, through, empty = [bare_loop(load, seconds)], [], []
    for _ in range(arguments.rounds):
        measured = load_test(url + load.path, load.bodies(items), clients, seconds)
        through.append(Round(items * measured.rate, measured.p50))
        if items == 1:
            empty.append(load_test(f"{url}/ready", None, clients, seconds))
        bare.append(bare_loop(load, seconds))
    around = list(zip(through, bare, bare[1:], strict=False))
    ratios = [t.rate / mean((before.rate, after.rate)) for t, before, after in around]
    beyond = [1000 * (t.p50 - mean((before.p50, after.p50))) for t, before, after in around]
    of_empty = [t.rate / e.rate for t, e in zip(through, empty, strict=False)]
    print(
        f"{load.name:<5} {clients:>7} {items:>10} {median(t.rate for t in through):>8.1f}"
        f" {spread(ratios):>18} {1000 * median(t.p50 for t in through):>8.2f}"
        f" {spread(beyond if shape == (1, 1) else []):>18} {spread(of_empty):>18}",
        flush=True,
    )


def spread(values: Sequence[float]) -> str:
    """Format median, minimum and maximum."""
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})" if values else ""


def loads(models: str, model_dir: Path | None) -> list[Load]:
    """Return the inputs: noisy patches of colour, and texts of 3 to 200 words."""
    embedder = open_pair(models, model_dir=model_dir)
    side = embedder.picture_format.side
    rng = np.random.default_rng(1)
    small = rng.integers(0, 252, (64, 8, 8, 3), np.uint8)
    pictures = [np.array(Image.fromarray(one).resize((side, side))) for one in small]
    pictures = [one // 2 + rng.integers(0, 5, one.shape, np.uint8) for one in pictures]
    sent = [encode_bmp(one) for one in pictures]
    words = texts()
    return [
        Load("image", "/embed/image", "images", pictures, sent, embedder.embed_images, 8),
        Load("text", "/embed/text", "texts", words, words, embedder.embed_texts, 64),
    ]


def texts() -> list[str]:
    words = random.Random(1)
    return [" ".join(words.choices(WORDS, k=words.choice((3, 10, 40, 200)))) for _ in range(256)]


def bare_loop(load: Load, seconds: float) -> Round:
    """Call the model directly: half of the time in batches, half of it item by item."""
    load.embed(load.items[: load.batch])
    began = perf_counter()
    done = 0
    while perf_counter() - began < seconds / 2:
        start = done % len(load.items)
        done += len(load.embed(load.items[start : start + load.batch]))
    rate = done / (perf_counter() - began)
    began = perf_counter()
    times: list[float] = []
    while perf_counter() - began < seconds / 2:
        start_time = perf_counter()
        load.embed([load.items[len(times) % len(load.items)]])
        times.append(perf_counter() - start_time)
    return Round(rate, median(times))


def load_test(url: str, bodies: list[bytes] | None, clients: int, seconds: float) -> Round:
    """Let clients send requests one after another for `seconds`; without bodies they GET."""
    return asyncio.run(_load_test(url, bodies, clients, seconds))


async def _load_test(url: str, bodies: list[bytes] | None, clients: int, seconds: float) -> Round:
    times: list[float] = []
    began = perf_counter()

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        while perf_counter() - began < seconds:
            start_time = perf_counter()
            body = BytesIO(bodies[number % len(bodies)]) if bodies else None
            async with session.request("POST" if body else "GET", url, data=body) as response:
                await response.read()
                if response.status == 429:
                    await asyncio.sleep(float(response.headers["Retry-After"]))
                    continue
                response.raise_for_status()
            times.append(perf_counter() - start_time)
            number += clients

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, headers=JSON) as session,
        asyncio.TaskGroup() as group,
    ):
        for number in range(clients):
            group.create_task(client(session, number))
    return Round(len(times) / (perf_counter() - began), median(times))


@contextmanager
def served(models: str, model_dir: Path | None) -> Iterator[str]:
    """Start the server in its own process; yield its URL once it is ready."""
    command = [sys.executable, "-m", "shelfsight", "serve-models", "--port=0", "--models", models]
    command += [] if model_dir is None else ["--model-dir", str(model_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            url = line.split(" at ")[1].split(";")[0]
            asyncio.run(until_ready(f"{url}/ready"))
            yield url
        finally:
            server.terminate()


async def until_ready(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(3000):
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.1)
    sys.exit("the server does not respond")


if __name__ == "__main__":
    main()
