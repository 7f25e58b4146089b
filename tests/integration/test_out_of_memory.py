"""A worker that the kernel kills at the same product twice records it, and goes on."""

import signal
import subprocess
import sys
from contextlib import closing
from io import StringIO
from threading import Event

import pytest

from shelfsight.backfill.pipeline import backfill
from shelfsight.backfill.progress_json import JsonProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.postgres.connection import Database
from shelfsight.records import Selection
from shelfsight.settings import Settings
from shelfsight.testing import HashEmbedder
from shelfsight.wiring.pipeline import open_pipeline
from tests.integration.killed_worker import DEADLY
from tests.shop import fill, rows

PRODUCTS = 20
FAILURES = 'SELECT "ProductVariantId"::text, "Stage", "Kind" FROM shelfsight."EmbeddingFailures"'
RENAME = """
    UPDATE "ProductVariants" SET "Title" = %(title)s WHERE "Id" = (
      SELECT "Id" FROM "ProductVariants" ORDER BY "Id" OFFSET 5 LIMIT 1)
    RETURNING "Id"::text
"""


ATTEMPTS = 'SELECT "ProductVariantId", "Attempts" FROM shelfsight."EmbeddingAttempts"'


def work(database: Database) -> int:
    command = [sys.executable, "-m", "tests.integration.killed_worker", database.url]
    return subprocess.run(command, check=False, timeout=120).returncode


def renamed(database: Database, title: str) -> str:
    """Give a product another title; return its id."""
    found = database.run(lambda connection: connection.execute(RENAME, {"title": title}).fetchall())
    return str(found[0][0])


def test_the_third_start_goes_on_without_the_product(database: Database) -> None:
    fill(database, PRODUCTS)
    id_ = renamed(database, DEADLY)

    assert [work(database) for _ in range(3)] == [-signal.SIGKILL, -signal.SIGKILL, 0]

    assert rows(database, FAILURES) == [(id_, "embed_text", "out_of_memory")]
    embedded = rows(database, 'SELECT "ProductVariantId"::text FROM "ProductEmbeddings"')
    assert len({one for (one,) in embedded} - {id_}) == PRODUCTS - 1

    renamed(database, "A mug")
    assert work(database) == 0
    assert rows(database, FAILURES) == []
    assert rows(database, ATTEMPTS) == []


@pytest.mark.parametrize(("models", "noted"), [("siglip-qwen3", True), ("lite", False)])
def test_what_large_models_embed_is_noted_meanwhile(
    database: Database, models: str, noted: bool
) -> None:
    class Watched(HashEmbedder):
        """Looks what is noted while it embeds texts."""

        def embed_texts(self, texts, **options):
            with closing(Database(database.url)) as other:
                seen.append(len(rows(other, ATTEMPTS)) == len(texts))
            return super().embed_texts(texts, **options)

    seen: list[bool] = []
    fill(database, 2)
    settings = Settings(models=models, database_url=database.url)
    progress = JsonProgress(StringIO())
    job = Job(selection=Selection(), batch_size=10, max_batches=0)
    with open_pipeline(settings, database, Watched(), progress) as pipeline:
        backfill(pipeline, job, Report(), progress, Event())
    assert seen == [noted]
    assert rows(database, ATTEMPTS) == []
