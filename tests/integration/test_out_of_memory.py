"""A worker that the kernel kills at the same product twice records it, and goes on."""

import signal
import subprocess
import sys

from shelfsight.postgres.connection import Database
from tests.integration.killed_worker import DEADLY
from tests.shop import fill, rows

PRODUCTS = 20
FAILURES = 'SELECT "ProductVariantId"::text, "Stage", "Kind" FROM shelfsight."EmbeddingFailures"'
RENAME = """
    UPDATE "ProductVariants" SET "Title" = %(title)s WHERE "Id" = (
      SELECT "Id" FROM "ProductVariants" ORDER BY "Id" OFFSET 5 LIMIT 1)
    RETURNING "Id"::text
"""


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
    assert rows(database, 'SELECT * FROM shelfsight."EmbeddingAttempts"') == []
