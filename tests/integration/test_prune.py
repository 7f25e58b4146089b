"""Pruning deletes leftover rows only: none in use, and none of the shop's own."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres.connection import Database
from shelfsight.storage import schema
from shelfsight.storage.prune import Leftovers, prune
from tests.shop import backfill_all, fill, rows

NOTHING = Leftovers(embeddings=0, failures=0, confirmed_photos=0, scan_means=0, runs=0)


def run(database: Database, *statements: str) -> None:
    for statement in statements:
        database.run(lambda connection, one=statement: connection.execute(one))


def stored(database: Database) -> tuple[list[object], list[object]]:
    """The ids of products with vectors, and of those with failures."""
    tables = ('"ProductEmbeddings"', 'shelfsight."EmbeddingFailures"')
    query = 'SELECT DISTINCT "ProductVariantId" FROM {} ORDER BY 1'
    embedded, failed = ([id_ for (id_,) in rows(database, query.format(t))] for t in tables)
    return embedded, failed


@pytest.fixture
def view(url: str) -> Iterator[Database]:
    """A shop whose products are a view, so no foreign key deletes our rows with them."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('CREATE TABLE shop ("Id" int PRIMARY KEY, "Title" text)')
        connection.execute('CREATE VIEW "ProductVariants" AS SELECT * FROM shop')
        connection.execute(
            'CREATE TABLE "ProductImages"'
            ' ("Id" serial PRIMARY KEY, "ProductVariantId" int, "ImageUrl" text)'
        )
        connection.execute("INSERT INTO shop SELECT i, 'Mug ' || i FROM generate_series(1, 7) i")
        connection.execute(
            'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl")'
            " SELECT i, 'http://shop.test/a.png' FROM generate_series(1, 7) i"
        )
    with closing(Database(url)) as database:
        schema.create(database)
        backfill_all(database, pictures={})
        yield database


def test_nothing_is_pruned_of_products_in_the_shop(view: Database) -> None:
    assert prune(view) == NOTHING
    assert stored(view) == (list(range(1, 8)), list(range(1, 8)))


def test_rows_of_deleted_products_are_pruned_window_by_window(
    view: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfsight.storage.prune.WINDOW", 2)
    run(
        view,
        # a second failure of each, so that a window ends within a product
        'INSERT INTO shelfsight."EmbeddingFailures" ("ProductVariantId", "Stage", "Kind",'
        ' "Message",'
        " \"SourceHash\") SELECT \"Id\", 'decode', 'x', 'x', 'x' FROM shop",
        'DELETE FROM shop WHERE "Id" IN (1, 2, 3, 6)',
    )
    left = Leftovers(embeddings=4, failures=8, confirmed_photos=0, scan_means=0, runs=0)
    assert prune(view, dry_run=True) == left
    assert stored(view) == (list(range(1, 8)), list(range(1, 8)))
    assert prune(view) == left
    assert stored(view) == ([4, 5, 7], [4, 5, 7])
    assert prune(view) == NOTHING
    assert backfill_all(view).found == 0


def test_rows_of_archived_products_are_pruned_and_made_again_after_restoring(
    database: Database,
) -> None:
    fill(database, 3, pictures=True)
    backfill_all(database, pictures={})
    run(
        database,
        'ALTER TABLE "ProductVariants" ADD "IsArchived" boolean',
        'UPDATE "ProductVariants" SET "IsArchived" = "Sku" = \'sku-2\'',
    )
    assert prune(database) == Leftovers(
        embeddings=1, failures=1, confirmed_photos=0, scan_means=0, runs=0
    )
    assert rows(database, 'SELECT count(*) FROM "ProductVariants"') == [(3,)]
    assert backfill_all(database).found == 0
    run(database, 'UPDATE "ProductVariants" SET "IsArchived" = false')
    assert backfill_all(database).found == 1


def test_the_mean_of_scans_is_pruned_with_the_last_product_of_its_owner(database: Database) -> None:
    fill(database, 1, owner="alice")
    run(
        database,
        'INSERT INTO "Products" ("UserId") VALUES (\'carol\')',
        'INSERT INTO shelfsight."ScanMeans" ("UserId", "Model", "Mean", "Count")'
        " SELECT owner, model,"
        " array_fill(0, ARRAY[768])::vector, 1"
        " FROM unnest(ARRAY['', 'alice', 'bob', 'carol']) owner, unnest(ARRAY['a', 'b']) model",
    )
    assert prune(database, dry_run=True).scan_means == 2
    assert prune(database).scan_means == 2
    owners = rows(database, 'SELECT DISTINCT "UserId" FROM shelfsight."ScanMeans" ORDER BY 1')
    assert owners == [("",), ("alice",), ("carol",)]


def test_only_runs_closed_long_ago_are_pruned(database: Database) -> None:
    run(
        database,
        'INSERT INTO shelfsight."BackfillRuns" ("Asked", "ModelVersions", "Due",'
        ' "CreatedAt", "ClosedAt")'
        " SELECT '{}', '{}', n, now() - interval '1 year', closed"
        " FROM (VALUES (1, now() - interval '91 days'), (2, now() - interval '89 days'),"
        " (3, NULL)) AS run(n, closed)",
    )
    assert prune(database, dry_run=True).runs == 1
    assert prune(database).runs == 1
    assert rows(database, 'SELECT "Due" FROM shelfsight."BackfillRuns" ORDER BY 1') == [(2,), (3,)]


def test_rows_of_no_product_in_a_table_of_the_shops_own_stay(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(
            'CREATE TABLE "ProductEmbeddings" ("Id" serial PRIMARY KEY, "ProductVariantId" uuid)'
        )
        connection.execute('INSERT INTO "ProductEmbeddings" ("ProductVariantId") VALUES (NULL)')
    with closing(Database(url)) as database:
        schema.create(database)
        assert prune(database) == NOTHING
        assert rows(database, 'SELECT count(*) FROM "ProductEmbeddings"') == [(1,)]


def test_products_hidden_by_row_level_security_are_not_pruned(view: Database) -> None:
    (name,) = rows(view, "SELECT 'prunes_' || current_database()")[0]
    run(
        view,
        f'CREATE ROLE "{name}" LOGIN',
        'DROP VIEW "ProductVariants"',
        'ALTER TABLE shop RENAME TO "ProductVariants"',
        'ALTER TABLE "ProductVariants" ENABLE ROW LEVEL SECURITY',
        f'GRANT ALL ON ALL TABLES IN SCHEMA public, shelfsight TO "{name}"',
        f'GRANT USAGE ON SCHEMA shelfsight TO "{name}"',
    )
    limited = Database(view.url.replace("postgres@", f"{name}@"))
    with closing(limited), pytest.raises(DatabaseError, match="row-level security"):
        prune(limited)
    assert stored(view) == (list(range(1, 8)), list(range(1, 8)))
    run(view, f'DROP OWNED BY "{name}"', f'DROP ROLE "{name}"')


def test_a_database_that_is_not_prepared_says_so(url: str) -> None:
    with closing(Database(url)) as database, pytest.raises(SchemaError, match="shelfsight init"):
        prune(database)


def test_where_the_shops_table_is_missing_nothing_is_deleted(view: Database) -> None:
    run(view, 'DROP VIEW "ProductVariants"')
    with pytest.raises(SchemaError, match="ProductVariants"):
        prune(view)
    assert len(stored(view)[0]) == 7
