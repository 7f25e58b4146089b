"""Shelfsight itself: a backfill of its own tables."""

from contextlib import closing
from functools import cache

from benchmarks.others import common
from benchmarks.suite.harness import backfill_seconds, settings_for

from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.postgres.connection import Connection, Database
from shelfsight.wiring.engine import sharing

PACKAGE = "shelfsight"


@cache
def embedder() -> LocalEmbedder:
    threads = sharing(settings_for()).model_threads  # like the backfill command
    return open_pair("lite", model_dir=None, threads=threads)


def prepare(source: str) -> None:
    embedder()
    with closing(Database(common.arguments().database)) as database:
        database.run(lambda connection: fill(connection, source))


def pipeline(_source: str) -> None:
    with closing(Database(common.arguments().database)) as database:
        expected = database.run(count)
        backfill_seconds(database, settings_for(), embedder(), expected=expected)


def fill(connection: Connection, source: str) -> None:
    connection.execute('TRUNCATE "ProductVariants" CASCADE')
    connection.execute(
        'INSERT INTO "ProductVariants" ("Sku", "Title", "Description")'
        f" SELECT id, title, description FROM {source}"
    )
    connection.execute(
        'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl")'
        ' SELECT v."Id", s.image_url FROM "ProductVariants" AS v'
        f' JOIN {source} AS s ON s.id = v."Sku"'
    )
    connection.execute('ANALYZE "ProductVariants", "ProductImages"')


def count(connection: Connection) -> int:
    (number,) = connection.execute('SELECT count(*) FROM "ProductVariants"').fetchone() or (0,)
    return int(number)
