"""The embedding server against the same model called in a bare loop, in one run.

    python benchmarks/server_throughput.py [--models lite] [--model-dir FOLDER] [--seconds 5]

The bare loop is given pictures that are decoded and resized already; the server decodes them.
Server and clients share this machine's cores; see that nothing else does.
"""

import argparse
import asyncio
import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from time import perf_counter

import aiohttp
import numpy as np
from PIL import Image

from shelfsight.embedding.onnx_model import open_pair

CLIENTS = (1, 8, 64)
ITEMS = (1, 16)
"""Items a request: a scan's, and a backfill's."""

WORDS = ("red", "blue", "mug", "shoe", "linen", "handmade", "large", "with", "a", "of", "the")


@dataclass(frozen=True)
class Load:
    """One kind of input: what the model takes, and what is sent for it."""

    name: str
    path: str
    field: str
    items: Sequence[object]
    sent: Sequence[str]
    embed: Callable[[Sequence[object]], list]
    batch: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", default="lite", help="which pair (default: lite)")
    parser.add_argument("--model-dir", type=Path, help="a folder with the models' files")
    parser.add_argument("--seconds", type=float, default=5, help="for each line (default: 5)")
    arguments = parser.parse_args()
    bare = {}
    for load in loads(arguments.models, arguments.model_dir):
        bare[load.name] = (load, *bare_loop(load, arguments.seconds))
    print(f"{'':<8} {'clients':>7} {'items each':>10} {'items/s':>9} {'of bare':>8} {'p50 ms':>8}")
    with served(arguments.models, arguments.model_dir) as url:
        for load, rate, alone in bare.values():
            print(f"{load.name:<8} {'bare':>7} {load.batch:>10} {rate:>9.1f} {'1.00':>8}")
            print(
                f"{load.name:<8} {'bare':>7} {1:>10} {1 / alone:>9.1f} {'':>8} {1000 * alone:>8.2f}"
            )
            for items in ITEMS:
                for clients in CLIENTS:
                    done, p50 = asyncio.run(through(url, load, (clients, items), arguments.seconds))
                    print(
                        f"{load.name:<8} {clients:>7} {items:>10} {done:>9.1f}"
                        f" {done / rate:>8.2f} {1000 * p50:>8.2f}",
                        flush=True,
                    )


def loads(models: str, model_dir: Path | None) -> list[Load]:
    """Pictures as large patches of colour, and texts of 3 to 200 words."""
    embedder = open_pair(models, model_dir=model_dir)
    side = embedder.picture_format.side
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (64, 8, 8, 3), np.uint8)
    pictures = [np.array(Image.fromarray(one).resize((side, side))) for one in small]
    words = random.Random(1)
    texts = [" ".join(words.choices(WORDS, k=words.choice((3, 10, 40, 200)))) for _ in range(256)]
    return [
        Load("image", "/embed/image", "images", pictures, list(map(png, pictures)),
             embedder.embed_images, 8),
        Load("text", "/embed/text", "texts", texts, texts, embedder.embed_texts, 64),
    ]  # fmt: skip


def png(pixels: np.ndarray) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")


def bare_loop(load: Load, seconds: float) -> tuple[float, float]:
    """Items a second in batches, and the median seconds of a lone item."""
    load.embed(load.items[: load.batch])
    began = perf_counter()
    done = 0
    while perf_counter() - began < seconds:
        start = done % len(load.items)
        done += len(load.embed(load.items[start : start + load.batch]))
    rate = done / (perf_counter() - began)
    times = []
    for item in load.items[:64]:
        asked = perf_counter()
        load.embed([item])
        times.append(perf_counter() - asked)
    return rate, median(times)


async def through(
    url: str, load: Load, shape: tuple[int, int], seconds: float
) -> tuple[float, float]:
    """Items a second, and the median seconds of a request, of clients that ask on and on."""
    clients, items = shape
    bodies = [
        json.dumps(
            {load.field: load.sent[start : start + items], "encoding_format": "base64"}
        ).encode()
        for start in range(0, len(load.sent), items)
    ]
    times: list[float] = []
    began = perf_counter()

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        while perf_counter() - began < seconds:
            asked = perf_counter()
            body = BytesIO(bodies[(number + len(times)) % len(bodies)])
            async with session.post(url + load.path, data=body) as response:
                await response.read()
                if response.status == 429:
                    await asyncio.sleep(float(response.headers["Retry-After"]))
                    continue
                response.raise_for_status()
            times.append(perf_counter() - asked)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(session, number))
    return len(times) * items / (perf_counter() - began), median(times)


@contextmanager
def served(models: str, model_dir: Path | None) -> Iterator[str]:
    """A server in a process of its own; gives its address once it answers."""
    command = [sys.executable, "-m", "shelfsight", "serve-models", "--port=0", "--models", models]
    command += [] if model_dir is None else ["--model-dir", str(model_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            url = line.split(" at ")[1].split(";")[0]
            asyncio.run(until_ready(url))
            yield url
        finally:
            server.terminate()


async def until_ready(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(600):
            try:
                async with session.get(f"{url}/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.1)
    sys.exit("the server does not answer")


if __name__ == "__main__":
    main()
