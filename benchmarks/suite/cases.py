"""The cases: each gives its figures, ratios of things measured in turn within this run."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path
from urllib.request import urlopen

from benchmarks.backfill_overhead import fill
from benchmarks.suite.bench import Bench
from benchmarks.suite.figure import Figure
from benchmarks.suite.plain_way import plain_way
from benchmarks.suite.shop import (
    backfill_seconds,
    draw_pictures,
    empty,
    served,
    settings_for,
    texts_of,
)

from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.images.decode import pixels
from shelfsight.wiring.embedder import open_embedder
from shelfsight.wiring.engine import sharing

LATENCY = 0.2
RATE = 500_000


def model_bound(bench: Bench) -> Iterator[Figure]:
    """Lite models, pictures over loopback, against the bare loop over decoded pictures."""
    products = bench.size(450, 60)
    settings = sharing(settings_for())
    with (
        pictures(bench, products) as (files, host),
        closing(open_pair("lite", model_dir=None)) as embedder,
        open_embedder(settings, StringIO().write) as shared,
    ):
        bench.database.run(lambda c: fill(c, products, host))
        start = time.process_time()
        decoded = [pixels(file, embedder.picture_format) for file in files]
        decoding = time.process_time() - start
        backfill_seconds(bench.database, settings, shared, expected=products)
        texts = texts_of(bench.database)
        ratios, shares = [], []
        for _ in range(bench.rounds):
            start, began = time.perf_counter(), time.process_time()
            for at in range(0, products, 64):
                embedder.embed_images(decoded[at : at + 64])
                embedder.embed_texts(texts[at : at + 64])
            bare, models = time.perf_counter() - start, time.process_time() - began
            bench.database.run(empty)
            began = time.process_time()
            ours = backfill_seconds(bench.database, settings, shared, expected=products)
            shares.append((models + decoding) / (time.process_time() - began))
            ratios.append(bare / ours)
    yield Figure(
        name="model-bound",
        rounds=tuple(ratios),
        aim=0.95,
        detail=f"of the bare loop of `lite` over decoded pictures; {products} JPEGs of 600x600",
    )
    yield Figure(
        name="processor",
        rounds=tuple(shares),
        detail=(
            "what models and decoding take of its processor time, if each is run alone; decoding"
            f" {1000 * decoding / products:.1f}, the last models' loop"
            f" {1000 * models / products:.1f} ms a picture"
        ),
    )


def server_bound(bench: Bench) -> Iterator[Figure]:
    """A stand-in for a GPU: how long it is at work, and how much faster than the plain way."""
    products = bench.size(1_200, 300)
    few = bench.size(60, 10)
    with (
        pictures(bench, 64) as (_, host),
        served("benchmarks.suite.fixed_server") as server,
    ):
        bench.database.run(lambda c: fill(c, products, host))
        settings = settings_for(embedding_server_url=server)
        shares, times = [], []
        with open_embedder(settings, StringIO().write) as embedder:
            for _ in range(bench.rounds):
                bench.database.run(empty)
                read(f"{server}/busy")
                ours = backfill_seconds(bench.database, settings, embedder, expected=products)
                told = read(f"{server}/busy")
                shares.append(told["busy"] / told["wall"])
                bench.database.run(empty)
                start = time.perf_counter()
                stored = plain_way(bench.database.url, server, few)
                plain = (time.perf_counter() - start) / stored
                times.append(plain / (ours / products))
    what = "100 ms a request, one at a time"
    yield Figure(
        name="server-bound",
        rounds=tuple(shares),
        aim=0.97,
        detail=f"share of the time in which a server ({what}) is at work, {products} products",
    )
    yield Figure(
        name="plain way",
        rounds=tuple(times),
        aim=10,
        unit=" x",
        detail="times as fast as one product after another with that server (plain_way.py)",
    )


def network_bound(bench: Bench) -> Iterator[Figure]:
    """A host with 200 ms of latency and a cap a connection, against what that leaves possible."""
    products = bench.size(1_200, 160)
    slowly = ("--latency", str(LATENCY), "--rate", str(RATE))
    with (
        pictures(bench, 64, *slowly, side=300) as (files, host),
        served("benchmarks.suite.fixed_server", "--batch", "0") as server,
    ):
        bench.database.run(lambda c: fill(c, products, host))
        settings = settings_for(embedding_server_url=server)
        one = LATENCY + sum(map(len, files)) / len(files) / RATE
        theory = products * one / settings.host_concurrency
        ratios = []
        with open_embedder(settings, StringIO().write) as embedder:
            for _ in range(bench.rounds):
                bench.database.run(empty)
                ours = backfill_seconds(bench.database, settings, embedder, expected=products)
                ratios.append(theory / ours)
    yield Figure(
        name="network-bound",
        rounds=tuple(ratios),
        aim=0.9,
        detail=(
            f"of the theoretical speed: {settings.host_concurrency} at once (HOST_CONCURRENCY),"
            f" 200 ms each and {RATE // 1000} kB/s, {products} products"
        ),
    )


@contextmanager
def pictures(
    bench: Bench, count: int, *arguments: str, side: int = 600
) -> Iterator[tuple[list[bytes], str]]:
    """So many files, and the address of a host that has them."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        files = draw_pictures(Path(folder), count, side=side)
        with served("benchmarks.suite.image_host", folder, *arguments) as host:
            yield files, host


def read(url: str) -> dict[str, float]:
    """A JSON answer."""
    with urlopen(url, timeout=30) as answer:
        told: dict[str, float] = json.load(answer)
    return told
