"""A small shop in a real database, and a complete backfill of it with instant fake models."""

from collections.abc import Callable
from contextlib import closing
from io import StringIO
from threading import Event
from typing import Any

import numpy as np

from shelfsight.backfill.attempt_guard import AttemptGuard
from shelfsight.backfill.leases import Checkpoint
from shelfsight.backfill.losses import RunPolicy
from shelfsight.backfill.pipeline import Pipeline, backfill
from shelfsight.backfill.progress_json import JsonProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.content import Content
from shelfsight.catalog.postgres_catalog import WHOLE_CONTENT, PostgresCatalog
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.fusion import WeightedMean
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import (
    EmbeddedProduct,
    FetchedProduct,
    ModelPair,
    Pixels,
    Product,
    Selection,
    Weights,
)
from shelfsight.storage.runs.attempt_log import PostgresAttemptLog
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import HashEmbedder, MemoryFetcher

FUSION = WeightedMean(Weights())


def _ignore(_report: object) -> None:
    """Discard a progress report."""


def fill(
    database: Database,
    count: int,
    *,
    first: int = 1,
    owner: str | None = None,
    pictures: bool = False,
) -> None:
    """Insert `count` products, numbered from `first`, with SKU, title and price.

    With `pictures`, each has one picture. Bob's products get random ids, the others ids in order.
    """

    def work(connection: Connection) -> None:
        connection.execute(
            'INSERT INTO "ProductVariants" ("Id", "Sku", "Title", "Price", "UserId")'
            " SELECT CASE WHEN %(owner)s::text IS DISTINCT FROM 'bob'"
            " THEN lpad(to_hex(i), 32, '0')::uuid ELSE gen_random_uuid() END,"
            " 'sku-' || i, 'Product ' || i, i, %(owner)s"
            " FROM generate_series(%(first)s::int, %(last)s::int) AS i",
            {"owner": owner, "first": first, "last": first + count - 1},
        )
        if pictures:
            connection.execute(
                'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl")'
                ' SELECT "Id", \'http://shop.test/\' || "Price" || \'.png\' FROM "ProductVariants"'
            )

    database.run(work)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    return database.run(lambda connection: connection.execute(query).fetchall())


def picture(number: int) -> Pixels:
    """Return 8 x 8 pixels of one colour."""
    return np.full((8, 8, 3), number % 256, np.uint8)


class WatchedStore(PostgresVectorStore):
    """A vector store that calls `before_save` with each page before storing it."""

    def __init__(self, database: Database, before_save: Callable[[object], None]) -> None:
        super().__init__(database, FUSION)
        self._before_save = before_save

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        self._before_save(page)
        return super().save(page, models, checkpoint)


def backfill_all(
    database: Database,
    *,
    selection: Selection | None = None,
    batch_size: int = 150,
    pictures: dict[str, Pixels] | None = None,
    content: Content = WHOLE_CONTENT,
    before_save: Callable[[object], None] = _ignore,
    policy: RunPolicy | None = None,
    embedder: HashEmbedder | None = None,
    guarded: bool = False,
) -> Report:
    """Run the real backfill over the whole database, with an in-memory fetcher and fake models."""
    if pictures is None:
        pictures = {f"http://shop.test/{n}.png": picture(n) for n in range(1, 100)}
    embedder = embedder or HashEmbedder()
    report = Report()
    with (
        closing(Database(database.url)) as reading,
        closing(Database(database.url)) as attempting,
        closing(PageEmbedder(embedder, FUSION)) as pages,
    ):
        embed_page = pages.embed
        if guarded:
            embed_page = AttemptGuard(PostgresAttemptLog(attempting)).guarded(embed_page)
        pipeline = Pipeline(
            catalog=PostgresCatalog(reading, content=content),
            fetcher=MemoryFetcher(pictures),
            embed=embed_page,
            models=embedder.models,
            store=WatchedStore(database, before_save),
            ledger=PostgresLedger(database),
            policy=policy or RunPolicy(),
        )
        job = Job(selection=selection or Selection(), batch_size=batch_size, max_batches=0)
        backfill(pipeline, job, report, JsonProgress(StringIO()), Event())
    return report


def embed(product: Product) -> EmbeddedProduct:
    """Embed a product without pictures with the fake models."""
    with closing(PageEmbedder(HashEmbedder(), FUSION)) as pages:
        return pages.embed([FetchedProduct(product=product)])[0]
