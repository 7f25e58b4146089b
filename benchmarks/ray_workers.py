"""Compare Ray workers on this machine with one process, on the demo's shop over loopback HTTP.

Each round runs, one after another: one process; two processes that share the run without Ray, which
is the upper limit for two workers here; workers of `--engine ray` (Ray Core); and the same steps as
stages of Ray Data, without the run ledger, which favours Ray Data. Prints products/s, counted from
when the models are loaded, and the ratio to one process (needs `pip install 'ray[data]'`):

    python benchmarks/ray_workers.py [--products 1000] [--rounds 3]
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from shelfsight.backfill.runs import Job
from shelfsight.catalog.imports.import_file import write_products
from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.demo.shop.drawing import draw_pictures
from shelfsight.demo.shop.products import make_shop
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.fusion import WeightedMean
from shelfsight.images.fetch import FetchConfig, PictureFetcher
from shelfsight.models.table import PAIRS
from shelfsight.postgres.connection import Database
from shelfsight.records import Selection, Weights
from shelfsight.settings import load
from shelfsight.shop import Shop
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.wiring.database import postgres_catalog

CORES = os.cpu_count() or 1
JOB = Job(selection=Selection(), batch_size=50, max_batches=0)
FUSION = WeightedMean(Weights())
MODES = ("one process", "2 processes", "1 Ray worker", "2 Ray workers", "1 Ray Data", "2 Ray Data")
Row = dict[str, Any]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves the shop's pictures."""

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--products", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray-data", type=int, metavar="WORKERS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ray_data:
        print(run_ray_data(arguments.ray_data))
        return
    with ExitStack() as opened:
        home = Path(opened.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        home.chmod(0o755)
        url = opened.enter_context(EmbeddedPostgres(home))
        host = opened.enter_context(served(home / "pictures"))
        os.environ.update(DATABASE_URL=url, MODELS="lite", ALLOW_PRIVATE_IMAGES=host)
        Shop(load()).init()
        database = opened.enter_context(closing(Database(url)))
        fill(database, arguments.products, home / "pictures", host)
        compare(database, arguments.products, arguments.rounds)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder over loopback HTTP; yield `host:port`."""
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def fill(database: Database, products: int, folder: Path, host: str) -> None:
    shop = make_shop(count=products)
    draw_pictures(shop, folder)
    write_products(
        database,
        (
            ImportedProduct(
                line=0,
                sku=product.sku,
                product_key=product.sku,
                title=product.title,
                description=product.description,
                price=product.price,
                options=product.options,
                image_urls=(f"http://{host}/{product.picture}",) if product.picture else (),
                owner_id=product.owner,
            )
            for product in shop
        ),
    )


def compare(database: Database, products: int, rounds: int) -> None:
    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    for number in range(rounds):
        for mode in MODES[number % 2 :] + MODES[: number % 2]:
            database.run(
                lambda c: c.execute('TRUNCATE "ProductEmbeddings", shelfsight."EmbeddingFailures"')
            )
            seconds[mode].append(measured(mode))
            print(f"  {mode:<14} {products / seconds[mode][-1]:>6.1f} products/s", flush=True)
    for mode in MODES:
        ratios = [one / it for one, it in zip(seconds[MODES[0]], seconds[mode], strict=True)]
        print(
            f"{mode:<14} {products / median(seconds[mode]):>6.1f} products/s, median ratio to"
            f" {MODES[0]} {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def measured(mode: str) -> float:
    """Return the seconds from the first process with loaded models to the end of the last one."""
    count, _, kind = mode.partition(" ")
    command = [sys.executable, "-m", "shelfsight", "backfill", "--all", "--json"]
    command += [f"--batch-size={JOB.batch_size}"]
    if kind == "Ray Data":
        words = [sys.executable, __file__, "--ray-data", count]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        return float(done.stdout.splitlines()[-1])
    if kind.startswith("Ray"):
        command += ["--engine=ray", f"--workers={count}"]
    copies = 2 if kind == "processes" else 1
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(copies)]
    times: list[float] = []
    readers = [threading.Thread(target=record_times, args=(process, times)) for process in running]
    for reader in readers:
        reader.start()
    for reader, process in zip(readers, running, strict=True):
        reader.join()
        if process.wait():
            raise RuntimeError(f"{mode}: exit status {process.returncode}")
    return max(times) - min(times)


def record_times(process: subprocess.Popen[str], times: list[float]) -> None:
    times += (
        time.perf_counter()
        for line in process.stdout or ()
        if json.loads(line)["event"] in {"start", "result"}
    )


def run_ray_data(workers: int) -> float:
    """Run the backfill as stages of a Ray dataset; return the seconds since a model was loaded."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # One logical CPU per actor on top of the cores, so that actors do not displace tasks.
    ray.init("local", num_cpus=CORES + workers, log_to_driver=False, include_dashboard=False)
    DataContext.get_current().enable_progress_bars = False
    catalog = postgres_catalog(load(), Database(str(load().database_url)))
    partition = catalog.partition(JOB.selection, JOB.range_size)
    leases = ray.data.from_items([{"lease": pickle.dumps(one)} for one in partition.ranges])
    embedded = (
        leases.map_batches(read, batch_size=1)
        .map_batches(fetch, batch_size=1)
        .map_batches(Embed, batch_size=1, compute=ActorPoolStrategy(size=workers))
    )
    rows = embedded.map_batches(save, batch_size=1).take_all()
    if sum(row["products"] for row in rows) != partition.due:
        raise RuntimeError(f"Ray Data: {partition.due} products were due, {len(rows)} pages came")
    return time.time() - min(row["loaded"] for row in rows)


def read(row: Row) -> Row:
    catalog = postgres_catalog(load(), Database(str(load().database_url)))
    (lease,) = row["lease"]
    pages = catalog.pages(JOB.selection, JOB.batch_size, pickle.loads(lease))
    return {"page": [pickle.dumps(page) for page in pages]}


def fetch(row: Row) -> Row:
    config = FetchConfig(private_hosts=load().private_hosts)
    with closing(PictureFetcher(PAIRS["lite"].image.picture, config)) as fetcher:
        return {"page": [pickle.dumps(fetcher.fetch(pickle.loads(page))) for page in row["page"]]}


class Embed:
    """The actor that embeds pages; it loads the models once."""

    def __init__(self) -> None:
        embedder = open_pair("lite", model_dir=None)
        self._pages = PageEmbedder(embedder, FUSION)
        self._loaded = time.time()

    def __call__(self, row: Row) -> Row:
        pages = [pickle.dumps(self._pages.embed(pickle.loads(page))) for page in row["page"]]
        return {"page": pages, "loaded": [self._loaded] * len(pages)}


def save(row: Row) -> Row:
    models = PAIRS["lite"].identities
    with closing(Database(str(load().database_url))) as database:
        store = PostgresVectorStore(database, FUSION)
        saved = [len(store.save(pickle.loads(page), models)) for page in row["page"]]
    return {"products": saved, "loaded": row["loaded"]}


if __name__ == "__main__":
    main()
