"""The cost of the pipeline itself: a backfill with instant models, against a bare binary COPY.

Prints products/s of both, measured alternately in one run, their ratio, and the peak memory of the
backfill process at two catalogue sizes:

    python benchmarks/backfill_overhead.py [--products 20000] [--batch-size 150]
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from threading import Event

import numpy as np

from shelfsight.backfill.pipeline import Pipeline, backfill
from shelfsight.backfill.progress import LineProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.fusion import WeightedMean
from shelfsight.ports import Advanced, ignore
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import (
    Failure,
    FetchedProduct,
    ModelPair,
    Picture,
    PictureFile,
    PictureFormat,
    Pixels,
    Product,
    Selection,
    Vector,
    Weights,
)
from shelfsight.storage import schema
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.storage.vectors.store import PostgresVectorStore

MEMORY_SIZES = (2_000, 20_000)
ROUNDS = 3


class InstantEmbedder:
    """Returns precomputed vectors, so that only the pipeline is measured."""

    models = ModelPair(image="instant@1", text="instant@1")
    picture_format = PictureFormat(side=8, resample="bilinear")

    def __init__(self) -> None:
        self._images = unit_rows(512, 768)
        self._texts = unit_rows(512, 1024)

    def embed_images(
        self, pictures: Sequence[Pixels], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        advanced(len(pictures))
        return [self._images[n % 512] for n in range(len(pictures))]

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        del query
        advanced(len(texts))
        return [self._texts[n % 512] for n in range(len(texts))]

    def close(self) -> None:
        pass


class OwnPictures:
    """A fetcher that returns a distinct picture for each product, so sharing saves no work."""

    def __init__(self) -> None:
        self._pixels = np.zeros((8, 8, 3), np.uint8)

    def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        return [FetchedProduct(product=item, pictures=(self._picture(item),)) for item in page]

    def close(self) -> None:
        pass

    def _picture(self, product: Product) -> Picture:
        file = PictureFile(url=product.image_urls[0], content_hash=product.id)
        return Picture(file=file, pixels=self._pixels)


def unit_rows(count: int, width: int) -> np.ndarray:
    rows = np.random.default_rng(7).standard_normal((count, width), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=150)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.url:
        run(arguments.url, arguments.batch_size)
        return
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        with EmbeddedPostgres(Path(home)) as url, closing(Database(url)) as database:
            schema.create(database)
            compare(database, arguments.products, arguments.batch_size)


def compare(database: Database, products: int, batch_size: int) -> None:
    """Print both speeds per round, the median of their ratios, and the memory at two sizes."""
    print(f"{products} products, {batch_size} a batch, three vectors each:")
    ratios = []
    for _ in range(ROUNDS):
        database.run(lambda connection: fill(connection, products))
        seconds, _peak = measured(database.url, batch_size)
        limit = copy_seconds(database)
        ratios.append(limit / seconds)
        print(
            f"  backfill {products / seconds:>6.0f} products/s, bare binary COPY of the same rows"
            f" {products / limit:>6.0f} rows/s: ratio {ratios[-1]:.2f}"
        )
    print(f"  median ratio {median(ratios):.2f}")
    peaks = {}
    for size in MEMORY_SIZES:
        database.run(lambda connection, size=size: fill(connection, size))
        _seconds, peaks[size] = measured(database.url, batch_size)
    small, large = MEMORY_SIZES
    print(
        f"peak memory {peaks[large] / 1e6:.0f} MB at {large} products, {peaks[small] / 1e6:.0f} MB"
        f" at {small}: ratio {peaks[large] / peaks[small]:.3f}"
    )


def fill(connection: Connection, products: int, host: str = "http://shop.test") -> None:
    """Replace all products by ones with title, description and an own picture at `host`."""
    connection.execute('TRUNCATE "ProductVariants" CASCADE')
    connection.execute(
        'INSERT INTO "ProductVariants" ("Sku", "Title", "Description")'
        " SELECT 'sku-' || i, 'Product number ' || i, repeat('A sentence about it. ', 10)"
        " FROM generate_series(1, %s) AS i",
        [products],
    )
    connection.execute(
        'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl")'
        ' SELECT "Id", %s || \'/\' || "Sku" || \'.jpg\' FROM "ProductVariants"',
        [host],
    )
    connection.execute('ANALYZE "ProductVariants", "ProductImages"')


def measured(url: str, batch_size: int) -> tuple[float, int]:
    """Backfill in a separate process; return seconds and peak memory in bytes."""
    words = [sys.executable, __file__, "--url", url, "--batch-size", str(batch_size)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return result["seconds"], result["peak"]


def run(url: str, batch_size: int) -> None:
    embedder, report = InstantEmbedder(), Report()
    fusion = WeightedMean(Weights())
    progress = LineProgress(sys.stderr)
    with (
        closing(Database(url)) as reading,
        closing(Database(url)) as writing,
        closing(PageEmbedder(embedder, fusion)) as pages,
    ):
        pipeline = Pipeline(
            catalog=PostgresCatalog(reading),
            fetcher=OwnPictures(),
            embed=pages.embed,
            models=embedder.models,
            store=PostgresVectorStore(writing, fusion),
            ledger=PostgresLedger(writing),
        )
        job = Job(selection=Selection(), batch_size=batch_size, max_batches=0)
        start = time.perf_counter()
        backfill(pipeline, job, report, progress, Event())
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak": peak_bytes(), "embedded": report.embedded}))


def peak_bytes() -> int:
    """Return the peak memory of this process; on Linux `getrusage` would include the parent's."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:  # macOS, where getrusage counts in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * 1024


def copy_seconds(database: Database) -> float:
    """Return the seconds to COPY the rows of the backfill into a table with the same indexes."""
    with tempfile.TemporaryFile() as file:

        def copy_out(connection: Connection) -> None:
            with (
                connection.cursor() as cursor,
                cursor.copy('COPY "ProductEmbeddings" TO STDOUT (FORMAT BINARY)') as copy,
            ):
                for block in copy:
                    file.write(block)
            connection.execute("DROP TABLE IF EXISTS bare")
            connection.execute('CREATE TABLE bare (LIKE "ProductEmbeddings" INCLUDING ALL)')

        def copy_in(connection: Connection) -> None:
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY bare FROM STDIN (FORMAT BINARY)") as copy,
            ):
                while block := file.read(1 << 18):
                    copy.write(block)

        database.run(copy_out)
        file.seek(0)
        start = time.perf_counter()
        database.run(copy_in)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
