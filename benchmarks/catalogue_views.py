"""The cost of reading a catalogue through views: Medusa's tables beside Shelfsight's own.

Both hold as many variants, all of them embedded. Prints how long it takes to find that none is
due, to read 32 scattered variants as a watch does, and to look for the latest changes. The times
are processor time of the server (means), so a busy machine changes them little. Linux only:

    python -m benchmarks.catalogue_views [--variants 100000]
"""

import argparse
import os
import random
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from psycopg.types.json import Jsonb

from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import CatalogChoice, Selection
from shelfsight.wiring.catalogue import prepare

PLATFORM = Path(__file__).parents[1] / "tests" / "contract" / "platforms" / "medusa.sql"
TAKE = 32
TAKES = 50
PARTITION = 2_000

FILL_MEDUSA = """
INSERT INTO product (id, title, description, status, thumbnail, updated_at)
SELECT 'prod_' || md5(n::text), 'Product ' || n, repeat('A long description. ', 12), 'published',
  'http://shop.test/t/' || n, '2026-01-01' FROM generate_series(1, %(products)s) AS n;
INSERT INTO product_variant (id, title, sku, product_id, updated_at)
SELECT 'variant_' || md5(n || '-' || v), CASE v WHEN 0 THEN 'Default' ELSE 'Large' END,
  'SKU' || n || '-' || v, 'prod_' || md5(n::text), '2026-01-01'
FROM generate_series(1, %(products)s) AS n, generate_series(0, 1) AS v WHERE v = 0 OR n %% 4 = 0;
INSERT INTO image (id, url, rank, product_id)
SELECT 'img_' || md5(n || '-' || i), 'http://shop.test/' || n || '-' || i, i,
  'prod_' || md5(n::text)
FROM generate_series(1, %(products)s) AS n, generate_series(0, 1) AS i;
INSERT INTO product_category VALUES ('pcat_1', 'Mugs', 'x');
INSERT INTO product_category_product SELECT id, 'pcat_1' FROM product;
INSERT INTO product_sales_channel SELECT id, 'web' FROM product;
INSERT INTO product_variant_price_set SELECT id, 'pset_' || id FROM product_variant;
INSERT INTO price (id, price_set_id, currency_code, amount)
SELECT c || id, 'pset_' || id, c, 10 FROM product_variant, unnest(ARRAY['eur', 'usd']) AS c;
CREATE INDEX ON product_variant (product_id);
CREATE INDEX ON image (product_id);
CREATE INDEX ON product_variant_product_image (variant_id);
CREATE INDEX ON price (price_set_id)
"""

FILL_TABLES = """
INSERT INTO "ProductVariants" ("ProductId", "Sku", "Title", "Description", "UserId", "UpdatedAt")
SELECT md5(n::text)::uuid, 'SKU' || n || '-' || v, 'Product ' || n,
  repeat('A long description. ', 12), 'web', '2026-01-01'
FROM generate_series(1, %(products)s) AS n, generate_series(0, 1) AS v WHERE v = 0 OR n %% 4 = 0;
INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl", "Position")
SELECT "Id", 'http://shop.test/' || "Sku" || '-' || i, i
FROM "ProductVariants", generate_series(0, 2) AS i
"""

STORE = """
INSERT INTO "ProductEmbeddings" ("ProductVariantId", "SourceHash", "ModelVersions",
  "ImageEmbedding", "TextEmbedding", "CombinedEmbedding")
SELECT new.id::{id_type}, new.hash, %(versions)s, array_fill(0.1, ARRAY[768])::vector,
  array_fill(0.1, ARRAY[1024])::vector, array_fill(0.1, ARRAY[768])::vector
FROM unnest(%(ids)s::text[], %(hashes)s::text[]) AS new (id, hash)
"""
"""Stores the same vectors for each product. They are compressed, since nothing here reads them."""

COMPRESS = """
ALTER TABLE "ProductEmbeddings" ALTER "ImageEmbedding" SET STORAGE EXTENDED,
  ALTER "TextEmbedding" SET STORAGE EXTENDED, ALTER "CombinedEmbedding" SET STORAGE EXTENDED
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--variants", type=int, default=100_000)
    products = parser.parse_args().variants * 4 // 5
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        for name, fill in (("tables", fill_tables), ("medusa", fill_medusa)):
            with (
                EmbeddedPostgres(Path(home), database=name) as url,
                closing(Database(url)) as database,
            ):
                id_type = fill(database, products)
                ids = store(database, id_type)
                print(f"{name}, {len(ids)} variants: {', '.join(measure(database, ids))}")


def fill_tables(database: Database, products: int) -> str:
    prepare(database)
    execute(database, FILL_TABLES, products)
    return "uuid"


def fill_medusa(database: Database, products: int) -> str:
    tables = statements.parse(PLATFORM.read_text(encoding="utf-8"))["tables"]
    database.run(lambda connection: connection.execute(statements.trusted(tables)))
    execute(database, FILL_MEDUSA, products)
    for line in prepare(database, CatalogChoice(name="medusa")):
        print(f"  {line}")
    return "text"


def execute(database: Database, script: str, products: int) -> None:
    def work(connection: Connection) -> None:
        for statement in script.split(";\n"):
            values = {"products": products} if "%(" in statement else None
            connection.execute(statements.trusted(statement), values)

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"), {})


def store(database: Database, id_type: str) -> list[str]:
    """Store vectors of the present content of all products; return their ids."""
    catalog = PostgresCatalog(database)
    fields = ",".join(catalog.text_fields())
    pages = catalog.pages(Selection(skip_existing=False), PARTITION)
    hashes = {product.id: product.source_hash for page in pages for product in page}
    values = {
        "ids": list(hashes),
        "hashes": list(hashes.values()),
        "versions": Jsonb({"image": "a@1", "text": "b@1", "text_fields": fields}),
    }

    def work(connection: Connection) -> None:
        connection.execute(COMPRESS)
        connection.execute(statements.trusted(STORE.replace("{id_type}", id_type)), values)

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"), {})
    return list(hashes)


def measure(database: Database, ids: list[str]) -> list[str]:
    catalog = PostgresCatalog(database)
    assert catalog.due(Selection()).products == 0
    rng = random.Random(1)

    def take() -> object:
        chosen = Selection(variants=tuple(rng.sample(ids, TAKE)))
        return list(catalog.pages(chosen, TAKE))

    since = datetime.now(UTC) - timedelta(minutes=5)
    latest = Selection(updated_since=since)
    whole = partial(catalog.partition, Selection(), PARTITION)
    return [
        f"unchanged {per_call(database, whole, 3):.2f} s",
        f"take of {TAKE} {1000 * per_call(database, take, TAKES):.1f} ms",
        f"latest {per_call(database, lambda: list(catalog.pages(latest, PARTITION)), 3):.2f} s",
    ]


def per_call(database: Database, work: Callable[[], object], times: int) -> float:
    """Return the seconds of the server's processor time that a call takes, the mean of several."""
    start = server_seconds(database)
    for _ in range(times):
        work()
    return (server_seconds(database) - start) / times


def server_seconds(database: Database) -> float:
    """Return the processor time that the server process of this connection has taken so far."""
    query = "SELECT pg_backend_pid()"
    ((pid,),) = database.run(lambda connection: connection.execute(query).fetchall())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
