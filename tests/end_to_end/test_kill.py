"""`kill -9` at any moment loses only the batches in progress; the next run repairs everything."""

import json
import random
import re
import signal
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.end_to_end.command import Command
from tests.end_to_end.picture_host import draw
from tests.end_to_end.shop_tables import create_tables, run

PRODUCTS = 300
OUTCOMES = ("whole", "incomplete", "skipped", "failed")
PICTURES = 12
KILLS = 10
ARGUMENTS = ("--all", "--batch-size=5", "--image-root=.", "--yes")
OTHERS = "Joined run |Going on with run |waiting for the ranges"
SEEDS = [20_260_117]

STORED = """
    SELECT "ProductVariantId", "ImageEmbedding"::text, "TextEmbedding"::text,
           "CombinedEmbedding"::text, "ImageUrl", "ImageHash", "ProductText", "SourceType",
           "SourceHash", "ModelVersions"
    FROM "ProductEmbeddings"
"""

FAILED = 'SELECT "ProductVariantId", "Stage", "Kind", "Message" FROM shelfsight."EmbeddingFailures"'


class Shop:
    """A shop whose owner keeps editing products while backfills are killed."""

    def __init__(self, url: str, seed: int) -> None:
        self._url = url
        self._random = random.Random(seed)
        self._numbers = count()

    def open(self) -> None:
        """Insert all products, some without text, without picture, or with a broken link."""
        with psycopg.connect(self._url) as connection:
            for _ in range(PRODUCTS):
                self._add(connection)

    def edit(self) -> None:
        """Change some titles and pictures, delete some products and insert others."""
        with psycopg.connect(self._url) as connection:
            for _ in range(8):
                values = (self._title(), self._any(connection))
                connection.execute(
                    'UPDATE "ProductVariants" SET "Title" = %s WHERE "Id" = %s', values
                )
            for _ in range(8):
                values = (self._picture(), self._any(connection))
                connection.execute(
                    'UPDATE "ProductImages" SET "ImageUrl" = %s WHERE "ProductVariantId" = %s',
                    values,
                )
            for _ in range(2):
                connection.execute(
                    'DELETE FROM "ProductVariants" WHERE "Id" = %s', [self._any(connection)]
                )
                self._add(connection)

    def _add(self, connection: psycopg.Connection[Any]) -> None:
        title = None if self._random.random() < 0.1 else self._title()
        ((id_,),) = connection.execute(
            'INSERT INTO "ProductVariants" ("Title") VALUES (%s) RETURNING "Id"', [title]
        ).fetchall()
        if self._random.random() < 0.8:
            connection.execute(
                'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl") VALUES (%s, %s)',
                [id_, self._picture()],
            )

    def _any(self, connection: psycopg.Connection[Any]) -> object:
        ids = connection.execute('SELECT "Id" FROM "ProductVariants" ORDER BY "Id"').fetchall()
        return self._random.choice(ids)[0]

    def _title(self) -> str:
        return f"Thing no. {next(self._numbers)}"

    def _picture(self) -> str:
        return f"{self._random.randrange(PICTURES + 2)}.png"  # two of them do not exist


@pytest.fixture
def shop(url: str, tmp_path: Path, seed: int) -> Shop:
    for number in range(PICTURES):
        draw(number).save(tmp_path / f"{number}.png")
    create_tables(url)
    shop = Shop(url, seed)
    shop.open()
    return shop


@pytest.mark.usefixtures("model_server")
@pytest.mark.parametrize("seed", SEEDS)
def test_after_ten_kills_no_product_is_duplicated_missing_or_stale(
    shelfsight: Command, shop: Shop, url: str, seed: int
) -> None:
    moments = random.Random(seed)
    for _ in range(KILLS):
        kill_within(shelfsight, moments)
        shop.edit()
    last = shelfsight.result(*ARGUMENTS)
    assert 0 < last["found"] < PRODUCTS
    assert last["remaining"] == 0

    shelfsight("prune")
    survived, failed = read(url), set(run(url, FAILED))
    run(url, 'TRUNCATE "ProductEmbeddings", shelfsight."EmbeddingFailures"')
    fresh = shelfsight.result(*ARGUMENTS)
    assert fresh["found"] == PRODUCTS
    assert failed == set(run(url, FAILED))
    assert_same(survived, read(url))
    assert sum(fresh[name] for name in OUTCOMES) == PRODUCTS
    assert len(survived) == fresh["whole"] + fresh["incomplete"]


def kill_within(shelfsight: Command, moments: random.Random) -> None:
    """Kill a backfill at a random moment of its first batches."""
    lines = moments.randint(2, 14)  # 2 is the start of the work; then two lines a batch
    with shelfsight.started("backfill", "--json", *ARGUMENTS) as process:
        assert process.stdout is not None
        for _ in range(lines):
            event = json.loads(process.stdout.readline())
            # The killed run continues; Postgres may not yet have noticed that its worker died.
            is_about_others = re.match(OTHERS, event.get("text", ""))
            expected = {"configuration", "start", "batch", "stored", "working"}
            assert is_about_others or event["event"] in expected, event
        time.sleep(moments.uniform(0, 0.02))
        process.kill()
        rest = process.stdout.read()
        assert process.wait() == -signal.SIGKILL
        assert '"result"' not in rest


def read(url: str) -> dict[object, tuple[Any, ...]]:
    """Return the stored rows by variant id; assert that no variant has two."""
    rows = run(url, STORED)
    by_variant = {row[0]: row[1:] for row in rows}
    assert len(by_variant) == len(rows)
    return by_variant


def assert_same(one: dict[object, tuple[Any, ...]], other: dict[object, tuple[Any, ...]]) -> None:
    """Assert the same products with the same content hashes and, up to rounding, vectors."""
    assert one.keys() == other.keys()
    for variant, row in one.items():
        assert row[3:] == other[variant][3:]
        for vector, expected in zip(row[:3], other[variant][:3], strict=True):
            assert (vector is None) == (expected is None)
            if vector is not None:
                # batches of different sizes round differently
                np.testing.assert_allclose(json.loads(vector), json.loads(expected), atol=2e-4)
