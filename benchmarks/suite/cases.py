"""Cases bound by the models, the embedding server or the network.

Each yields ratios of times measured alternately within one run.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path
from urllib.request import urlopen

from benchmarks.backfill_overhead import fill
from benchmarks.suite.context import BenchContext
from benchmarks.suite.figure import Figure
from benchmarks.suite.harness import (
    backfill_seconds,
    draw_pictures,
    empty,
    served,
    settings_for,
    texts_of,
)
from benchmarks.suite.naive_backfill import naive_backfill

from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.images.decode import pixels
from shelfsight.wiring.embedder import open_embedder
from shelfsight.wiring.engine import sharing

LATENCY = 0.2
"""Seconds before the picture host starts a response."""

RATE = 500_000
"""Bytes per second of a connection to the picture host."""


def model_bound(bench: BenchContext) -> Iterator[Figure]:
    """Compare a backfill with the lite models to a bare loop of them over decoded pictures."""
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
            "models and decoding, each run alone, of the processor time of a run; decoding"
            f" {1000 * decoding / products:.1f}, the last models' loop"
            f" {1000 * models / products:.1f} ms a picture"
        ),
    )


def server_bound(bench: BenchContext) -> Iterator[Figure]:
    """Measure how busy a simulated GPU is, and the speed-up over a naive loop."""
    products = bench.size(1_200, 300)
    few = bench.size(60, 10)
    with (
        pictures(bench, 64) as (_, host),
        served("benchmarks.suite.fixed_server") as server,
    ):
        bench.database.run(lambda c: fill(c, products, host))
        settings = settings_for(embedding_server_url=server)
        shares, speedups = [], []
        with open_embedder(settings, StringIO().write) as embedder:
            for _ in range(bench.rounds):
                bench.database.run(empty)
                read(f"{server}/busy")
                ours = backfill_seconds(bench.database, settings, embedder, expected=products)
                usage = read(f"{server}/busy")
                shares.append(usage["busy"] / usage["wall"])
                bench.database.run(empty)
                start = time.perf_counter()
                stored = naive_backfill(bench.database.url, server, few)
                naive = (time.perf_counter() - start) / stored
                speedups.append(naive / (ours / products))
    what = "100 ms a request, one at a time"
    yield Figure(
        name="server-bound",
        rounds=tuple(shares),
        aim=0.97,
        detail=f"share of the time in which a server ({what}) is busy, {products} products",
    )
    yield Figure(
        name="naive loop",
        rounds=tuple(speedups),
        aim=10,
        unit=" x",
        detail="times as fast as one product after another with that server (naive_backfill.py)",
    )


def network_bound(bench: BenchContext) -> Iterator[Figure]:
    """Compare downloads from a slow host with the theoretical limit.

    The host has 200 ms of latency and a limited rate per connection.
    """
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
            f"of the theoretical speed: {settings.host_concurrency} connections (HOST_CONCURRENCY),"
            f" 200 ms each and {RATE // 1000} kB/s, {products} products"
        ),
    )


@contextmanager
def pictures(
    bench: BenchContext, count: int, *arguments: str, side: int = 600
) -> Iterator[tuple[list[bytes], str]]:
    """Draw `count` pictures; yield their files and the URL of a host that serves them."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        files = draw_pictures(Path(folder), count, side=side)
        with served("benchmarks.suite.image_host", folder, *arguments) as host:
            yield files, host


def read(url: str) -> dict[str, float]:
    """Return the JSON that a URL responds with."""
    with urlopen(url, timeout=30) as response:
        values: dict[str, float] = json.load(response)
    return values
