"""Measure the latency of scans through `shelfsight serve`, step by step.

    python benchmarks/scan_latency.py [--products 10000 100000] [--clients 1 16] [--scans 300]
        [--workers 1 2 4] [--confirmed 4000]

The catalogue is synthetic: vectors scattered around real embeddings, stored like those of a
backfill and indexed by `shelfsight index build`. Each scan gives the URL of a photo that this
process serves, so the server fetches, decodes and embeds it and searches. The steps (fetch, decode,
model, SQL) come from the server's `/metrics`: with one client they are read after each scan, and
their median is shown; with several, their mean. The rest is what no step covers: HTTP and queueing.
The processor time is that of the server's processes without the decoders, which other load of the
machine hardly changes.
The first line with one client is that of a newly started server: after 30 scans to warm up, every
photo is new to it. The other lines repeat the same photos. `--confirmed` stores so many confirmed
photos, four of a product.
Clients, server and Postgres share this machine's cores; nothing else should run on it.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import aiohttp
import numpy as np
from aiohttp import web
from PIL import Image

from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.fusion import WeightedMean
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import EmbeddedProduct, Product, Weights
from shelfsight.storage import schema
from shelfsight.storage.index.build import BuildLogger
from shelfsight.storage.index.build import build as build_indexes
from shelfsight.storage.index.indexes import drop as drop_indexes
from shelfsight.storage.index.recall import tune as tune_indexes
from shelfsight.storage.vectors.store import PostgresVectorStore

CONFIRM = """
    INSERT INTO shelfsight."ConfirmedPhotos"
      ("ProductVariantId", "ScanId", "Number", "ImageModel", "Vector", "Resembles")
    SELECT a."ProductVariantId", 'scan', n, %(model)s,
      l2_normalize(a."ImageEmbedding" + b."ImageEmbedding"), true
    FROM (SELECT * FROM "ProductEmbeddings" LIMIT %(count)s / 4) AS a,
      generate_series(1, 4) AS n,
      LATERAL (SELECT * FROM "ProductEmbeddings" OFFSET n LIMIT 1) AS b"""

SCAN_PATH = "/products/orchestrate/quick-scan"
STEPS = ("fetch", "decode", "model", "sql")
WARM_UP = 30

CLUSTERS = 300
"""Number of pictures whose embeddings are the cluster centres."""

PAGE = 2_000

SPREAD = 0.3
"""Length of a product's own component, relative to its cluster's centre of length 1."""

DIRECTIONS = 48
"""Number of directions in which products of a cluster differ.

Real embeddings vary in some tens. If they varied in all 768, all products would be about equally
far from each other, and no index could rank them.
"""

_STEP = re.compile(r'^shelfsight_scan_step_seconds_sum\{step="(\w+)".*\} (\S+)$', re.MULTILINE)
_PROCESSOR = re.compile(r"^process_cpu_seconds_total(?:\{.*\})? (\S+)$", re.MULTILINE)
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True)
class Timed:
    """Seconds of scans and of their steps: one value per scan, or only the mean.

    `processor` is the mean processor time of a scan.
    """

    totals: np.ndarray
    steps: dict[str, np.ndarray]
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--products", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--scans", type=int, default=300, help="for each line (default: 300)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="of the server")
    parser.add_argument("--confirmed", type=int, default=0, help="photos, four of a product")
    arguments = parser.parse_args()
    embedder = open_pair("lite", model_dir=None)
    photos = [picture(number) for number in range(CLUSTERS)]
    clusters = embedded(embedder, photos)
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        with EmbeddedPostgres(Path(home)) as url, closing(Database(url)) as database:
            schema.create(database)
            for products in arguments.products:
                fill(database, embedder, clusters, products)
                confirm_photos(database, embedder, arguments.confirmed)
                build_indexes(database, BuildLogger(lambda _line: None))
                # without it, Postgres would still write the filled pages during the measurement
                database.run_alone(lambda connection: connection.execute("CHECKPOINT"), {})
                print(f"\n{products:,} products, {arguments.scans} scans a line, milliseconds")
                for line in tune_indexes(database):
                    print(f"  {line}")
                for workers in arguments.workers:
                    print(f"  {workers} worker{'s'[: workers - 1]}")
                    asyncio.run(measure(url, photos, arguments, workers))
                drop_indexes(database)


def picture(number: int) -> bytes:
    """Return a distinct JPEG of 800 x 600 pixels: blurred patches of colour."""
    rng = np.random.default_rng(number)
    patches = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    file = BytesIO()
    patches.resize((800, 600), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def embedded(embedder: Embedder, photos: Sequence[bytes]) -> np.ndarray:
    side = embedder.picture_format.side
    pixels = [np.array(Image.open(BytesIO(photo)).resize((side, side))) for photo in photos]
    return np.stack([vector for one in pixels for vector in embedder.embed_images([one])])


def fill(database: Database, embedder: Embedder, clusters: np.ndarray, products: int) -> None:
    """Replace the catalogue by `products` products with all three vectors."""
    rng = np.random.default_rng(products)
    fusion = WeightedMean(Weights())
    store = PostgresVectorStore(database, fusion)
    texts = unit(rng.standard_normal((CLUSTERS, 1024), np.float32))

    def insert(connection: Connection, ids: Sequence[str]) -> None:
        connection.execute(
            'INSERT INTO "ProductVariants" ("Id", "Sku", "Title")'
            " SELECT id, 'sku-' || id, 'Product ' || id FROM unnest(%s::uuid[]) AS id",
            [list(ids)],
        )

    database.run(lambda connection: connection.execute('TRUNCATE "ProductVariants" CASCADE'))
    for start in range(0, products, PAGE):
        cluster_ids = rng.integers(0, CLUSTERS, min(PAGE, products - start))
        images, words = near(clusters[cluster_ids], rng), near(texts[cluster_ids], rng)
        ids = [str(uuid4()) for _ in cluster_ids]
        database.run(lambda connection, ids=ids: insert(connection, ids))
        page = [
            EmbeddedProduct(
                product=Product(id=id_, title=id_, source_hash="a:b", is_new=True),
                image=image,
                text=text,
                combined=fusion.combine(image, text),
                text_used=f"Product {id_}",
            )
            for id_, image, text in zip(ids, images, words, strict=True)
        ]
        store.save(page, embedder.models)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"), {})


def confirm_photos(database: Database, embedder: Embedder, count: int) -> None:
    """Store so many confirmed photos, four of a product."""
    values = {"count": count, "model": embedder.models.image}

    def work(connection: Connection) -> None:
        connection.execute('TRUNCATE shelfsight."ConfirmedPhotos"')
        connection.execute(CONFIRM, values)

    database.run(work)
    database.run_alone(
        lambda connection: connection.execute('VACUUM ANALYZE shelfsight."ConfirmedPhotos"'), {}
    )


def near(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one random unit vector near each centre."""
    count, width = centres.shape
    directions = np.random.default_rng(width).standard_normal((DIRECTIONS, width), np.float32)
    own = rng.standard_normal((count, DIRECTIONS), np.float32) @ directions
    return unit(centres + np.float32(SPREAD) * unit(own))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


async def measure(
    database_url: str, photos: Sequence[bytes], arguments: argparse.Namespace, workers: int
) -> None:
    """Scan through a server in its own process; print one line per number of clients."""
    titles = ("p50", "p95", *STEPS, "rest", "processor", "all but model and sql")
    print(f"  {'clients':>7} {'scans/s':>8} " + " ".join(f"{title:>7}" for title in titles))
    async with pictures(photos) as (host, addresses), aiohttp.ClientSession() as session:
        with served(database_url, host, workers) as url:
            await until_ready(session, url)
            first = [{"imageUrl": address, "threshold": -1} for address in addresses]
            await scans(session, url, first[:WARM_UP], clients=4)
            again = [first[n % len(first)] for n in range(arguments.scans)]
            lines = [("first", 1, first[WARM_UP:])] if 1 in arguments.clients else []
            lines += [(f"{clients}", clients, again) for clients in arguments.clients]
            for title, clients, queries in lines:
                began = perf_counter()
                timed = await scans(session, url, queries, clients)
                rate = len(queries) / (perf_counter() - began)
                figures = " ".join(f"{1000 * one:>7.1f}" for one in figures_of(timed, clients))
                print(f"  {title:>7} {rate:>8.1f} {figures}", flush=True)


def figures_of(timed: Timed, clients: int) -> list[float]:
    """Return seconds: p50, p95, each step, the rest, and everything except model and SQL."""
    totals, steps = timed.totals, timed.steps
    middle = np.median if clients == 1 else np.mean
    rest = totals - sum(steps.values())
    figures = [np.quantile(totals, 0.5), np.quantile(totals, 0.95)]
    figures += [middle(steps[name]) for name in STEPS]
    figures += [middle(rest), timed.processor]
    return [*figures, middle(totals - steps["model"] - steps["sql"])]


async def scans(
    session: aiohttp.ClientSession, url: str, queries: Sequence[dict[str, object]], clients: int
) -> Timed:
    """Send all queries from `clients` concurrent clients.

    With one client, the steps of each scan are read; with several, their mean.
    """
    waiting = iter(queries)
    totals: list[float] = []
    read = [await steps_of(session, url)]
    used_before = await processor_seconds(session, url)

    async def client() -> None:
        for query in waiting:
            began = perf_counter()
            async with session.post(f"{url}{SCAN_PATH}", json=query) as response:
                result = await response.json()
            totals.append(perf_counter() - began)
            if response.status != 200 or not result["matches"]:
                raise RuntimeError(f"a scan failed: {response.status} {result}")
            if clients == 1:
                read.append(await steps_of(session, url))

    await asyncio.gather(*(client() for _ in range(clients)))
    if clients > 1:
        read.append(await steps_of(session, url))
    grown = np.diff(np.array([[one.get(name, 0.0) for name in STEPS] for one in read]), axis=0)
    each = grown / (len(totals) / len(grown))
    processor = (await processor_seconds(session, url) - used_before) / len(totals)
    return Timed(np.array(totals), dict(zip(STEPS, each.T, strict=True)), processor)


async def steps_of(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """Return the total seconds that the server has spent in each step."""
    async with session.get(f"{url}/metrics") as response:
        steps: Counter[str] = Counter()
        for name, seconds in _STEP.findall(await response.text()):
            steps[name] += float(seconds)  # of each worker
        return dict(steps)


async def processor_seconds(session: aiohttp.ClientSession, url: str) -> float:
    """Return the processor seconds that all workers of the server have used."""
    async with session.get(f"{url}/metrics") as response:
        return sum(map(float, _PROCESSOR.findall(await response.text())))


async def until_ready(session: aiohttp.ClientSession, url: str) -> None:
    for _ in range(600):
        with suppress(aiohttp.ClientConnectionError):
            async with session.get(f"{url}/ready") as response:
                if response.status == 200:
                    return
        await asyncio.sleep(0.1)
    sys.exit("the server does not respond")


@asynccontextmanager
async def pictures(photos: Sequence[bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve the photos from loopback; yield `host:port` and their URLs."""

    async def respond(request: web.Request) -> web.Response:
        return web.Response(body=photos[int(request.match_info["n"])], content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{n}.jpg", respond)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield host, [f"http://{host}/{n}.jpg" for n in range(len(photos))]
    finally:
        await runner.cleanup()


@contextmanager
def served(database_url: str, picture_host: str, workers: int) -> Iterator[str]:
    """Run `shelfsight serve` in its own process; yield its URL."""
    command = [sys.executable, "-m", "shelfsight", "serve", "--port=0", "--models=lite"]
    command += [f"--workers={workers}"] if workers > 1 else []
    environment = os.environ | {"DATABASE_URL": database_url, "ALLOW_PRIVATE_IMAGES": picture_host}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            urls = (_ADDRESS.search(line) for line in server.stdout or ())
            found = next((url for url in urls if url), None)
            if found is None:
                raise RuntimeError("the server did not start")
            yield found.group()
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
