"""The cost of a backfill where little or nothing has changed.

All products have vectors, stored by SQL; the models are instant and count their inputs. Runs with
nothing changed, with some titles edited, with some pictures replaced, and with other weights.
Prints seconds and inferences of each run; exits with 1 if a run embedded too much or too little:

    python -m benchmarks.incremental [--products 200000] [--edits 100] [--batch-size 500]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from statistics import median
from threading import Event

from benchmarks.backfill_overhead import InstantEmbedder, OwnPictures, fill, unit_rows
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from shelfsight.backfill.pipeline import Pipeline, backfill
from shelfsight.backfill.progress import LineProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.fusion import WeightedMean
from shelfsight.ports import Advanced, ignore
from shelfsight.postgres.connection import Connection, Database, copy_rows
from shelfsight.records import (
    Failure,
    FetchedProduct,
    Need,
    Pixels,
    Product,
    Selection,
    Vector,
    Weights,
)
from shelfsight.storage import schema
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.storage.vectors.store import PostgresVectorStore

ROUNDS = 3

EDIT_TITLES = """
UPDATE "ProductVariants" SET "Title" = "Title" || ', now in blue'
WHERE "Id" IN (SELECT "Id" FROM "ProductVariants" ORDER BY md5("Sku") LIMIT %s)
"""

REPLACE_PICTURES = """
UPDATE "ProductImages" SET "ImageUrl" = "ImageUrl" || '?2'
WHERE "Id" IN (SELECT "Id" FROM "ProductImages" ORDER BY md5("ImageUrl") LIMIT %s)
"""


STORE_VECTORS = """
INSERT INTO "ProductEmbeddings" (
  "ProductVariantId", "SourceHash", "ImageEmbedding", "TextEmbedding", "CombinedEmbedding",
  "SourceType", "ModelVersions")
SELECT new.id, new.hash, v.image, v.text, v.combined, 'image_text', %(versions)s
FROM unnest(%(ids)s::uuid[], %(hashes)s::text[]) WITH ORDINALITY AS new (id, hash, number)
JOIN vectors AS v ON v.number = new.number %% (SELECT count(*) FROM vectors)
"""


class CountingEmbedder(InstantEmbedder):
    """An instant embedder that counts its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0
        self.texts = 0

    def embed_images(
        self, pictures: Sequence[Pixels], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        self.images += len(pictures)
        return super().embed_images(pictures, advanced=advanced)

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        self.texts += len(texts)
        return super().embed_texts(texts, query=query, advanced=advanced)


class NeededPictures(OwnPictures):
    """A fetcher that returns pictures only for products that need one, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched = 0

    def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
        needed = [product for product in page if product.image_need is not Need.KEEP]
        self.fetched += len(needed)
        fetched = {item.product.id: item for item in super().fetch(needed)}
        return [fetched.get(item.id) or FetchedProduct(product=item) for item in page]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The duration of a run, and what it fetched and embedded."""

    seconds: float
    report: Report
    fetched: int
    images: int
    texts: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--products", type=int, default=200_000)
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        with EmbeddedPostgres(Path(home)) as url, closing(Database(url)) as database:
            schema.create(database)
            database.run(lambda connection: fill(connection, arguments.products))
            store_vectors(database)
            is_right = measure(database, arguments)
    sys.exit(not is_right)


def store_vectors(database: Database) -> None:
    """Store vectors for every product as a run would have; they repeat a few hundred vectors."""
    embedder, fusion = InstantEmbedder(), WeightedMean(Weights())
    images, texts = unit_rows(512, 768), unit_rows(512, 1024)
    rows = [
        (number, image, text, fusion.combine(image, text))
        for number, (image, text) in enumerate(zip(images, texts, strict=True))
    ]
    versions = {
        "image": embedder.models.image,
        "text": embedder.models.text,
        "fusion": fusion.name,
    }

    def prepare(connection: Connection) -> None:
        connection.execute(
            "CREATE TABLE vectors (number bigint, image vector, text vector, combined vector)"
        )
        copy = SQL("COPY vectors FROM STDIN (FORMAT BINARY)")
        copy_rows(connection, copy, ("int8", "vector", "vector", "vector"), rows)

    database.run(prepare)
    with closing(Database(database.url)) as reading:
        for page in PostgresCatalog(reading).pages(Selection(), 5_000):
            values = {
                "ids": [product.id for product in page],
                "hashes": [product.source_hash for product in page],
                "versions": Jsonb(versions),
            }
            database.run(
                lambda connection, values=values: connection.execute(STORE_VECTORS, values)
            )
    database.run(lambda connection: connection.execute('ANALYZE "ProductEmbeddings"'))


def measure(database: Database, arguments: argparse.Namespace) -> bool:
    """Print each run; return whether all of them fetched and embedded exactly what was due."""
    products, edits, batch_size = arguments.products, arguments.edits, arguments.batch_size
    checks = []

    def report(name: str, result: RunResult, images: int, texts: int) -> None:
        checks.append((result.fetched, result.images, result.texts) == (images, images, texts))
        print(
            f"{name}: {result.seconds:.2f} s; {result.fetched} pictures fetched,"
            f" {result.images} images"
            f" and {result.texts} texts embedded{'' if checks[-1] else ', WHICH IS WRONG'}",
            flush=True,
        )

    print(f"{products} embedded products:")
    unchanged = [run(database, batch_size) for _ in range(ROUNDS)]
    for result in unchanged:
        report("nothing changed", result, 0, 0)
    seconds = median(result.seconds for result in unchanged)
    print(f"  {products / seconds:.0f} products/s checked, the median")

    edit(database, EDIT_TITLES, edits)
    report(f"{edits} titles edited", run(database, batch_size), 0, edits)
    edit(database, REPLACE_PICTURES, edits)
    report(f"{edits} pictures replaced", run(database, batch_size), edits, 0)

    reweighted = run(database, batch_size, Weights(image=0.5, text=0.5))
    report("other weights", reweighted, 0, 0)
    checks.append(reweighted.report.recombined == products)
    print(
        f"  {reweighted.report.recombined} rows recombined,"
        f" {products / (reweighted.seconds - seconds):.0f} rows/s beyond an unchanged run"
    )
    return all(checks)


def edit(database: Database, statement: str, count: int) -> None:
    def work(connection: Connection) -> None:
        connection.execute(statement.encode(), [count])

    database.run(work)


def run(database: Database, batch_size: int, weights: Weights | None = None) -> RunResult:
    """Run one complete backfill on new connections."""
    embedder, fetcher, report = CountingEmbedder(), NeededPictures(), Report()
    fusion = WeightedMean(weights or Weights())
    progress = LineProgress(StringIO())
    with (
        closing(Database(database.url)) as reading,
        closing(Database(database.url)) as writing,
        closing(PageEmbedder(embedder, fusion)) as pages,
    ):
        pipeline = Pipeline(
            catalog=PostgresCatalog(reading, models=embedder.models),
            fetcher=fetcher,
            embed=pages.embed,
            models=embedder.models,
            store=PostgresVectorStore(writing, fusion),
            ledger=PostgresLedger(writing),
        )
        job = Job(selection=Selection(), batch_size=batch_size, max_batches=0)
        start = time.perf_counter()
        backfill(pipeline, job, report, progress, Event())
        seconds = time.perf_counter() - start
    return RunResult(
        seconds=seconds,
        report=report,
        fetched=fetcher.fetched,
        images=embedder.images,
        texts=embedder.texts,
    )


if __name__ == "__main__":
    main()
