"""Products that the shop has archived or deleted are neither embedded nor found."""

from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

import psycopg
import pytest

from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.postgres.archived import MARKS
from shelfsight.postgres.connection import Database
from shelfsight.records import Selection
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage import failure_report, schema
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.search.sample import CatalogueSample
from shelfsight.storage.search.search_statement import EXACT_SEARCH_ROWS
from shelfsight.testing import direction
from tests.integration.test_search import LOW_QUALITY_INDEX, by_image
from tests.integration.test_search import fill as fill_with_vectors
from tests.shop import backfill_all, fill

ALL = Filters()
WAYS = [
    ("ArchivedAt", "timestamptz", "now()"),
    ("DeletedAt", "date", "current_date"),
    ("IsArchived", "boolean NOT NULL DEFAULT false", "true"),
    ("IsDeleted", "boolean", "true"),
    ("Archived", "smallint DEFAULT 0", "1"),
    ("Deleted", "bigint", "1"),
    ("Status", "varchar(20) DEFAULT 'active'", "'archived'"),
    ("Status", "text", "'Deleted'"),
]


def run(database: Database, *statements: str) -> None:
    for statement in statements:
        database.run(lambda connection, one=statement: connection.execute(one))


def id_of(number: int) -> str:
    return str(UUID(int=number))


def shop_of(database: Database, count: int) -> None:
    """Products with one variant each, which has the same id."""
    fill(database, count)
    run(
        database,
        'UPDATE "ProductVariants" SET "ProductId" = "Id"',
        'INSERT INTO "Products" ("Id") SELECT "Id" FROM "ProductVariants"',
    )


def found(database: Database, words: str = "Product") -> set[int]:
    """The numbers of the products that a search for these words finds."""
    query = direction(words.encode(), 1024)
    search_query = SearchQuery(column="text", vector=query, text=query, words=words)
    candidates = PostgresProductSearch(database).candidates(search_query, ALL, 100)
    return {UUID(candidate.id).int for candidate in candidates}


def test_every_archive_column_is_covered_here() -> None:
    assert {column for column, *_ in WAYS} == set(MARKS)


@pytest.mark.parametrize(
    ("table", "column", "kind", "mark"),
    [("ProductVariants", *way) for way in WAYS] + [("Products", *WAYS[n]) for n in (0, -1)],
)
def test_an_archived_product_is_neither_due_nor_found_until_it_is_restored(
    database: Database, table: str, column: str, kind: str, mark: str
) -> None:
    shop_of(database, 4)
    run(database, f'ALTER TABLE "{table}" ADD "{column}" {kind}')
    change = f'UPDATE "{table}" SET "{column}" = {{}} WHERE "Id" IN (\'{id_of(1)}\')'
    run(database, change.format(mark))
    assert backfill_all(database).found == 3
    run(database, change.replace(id_of(1), id_of(2)).format(mark))
    assert found(database) == {3, 4}
    assert found(database, "sku-2") == {3, 4}
    run(database, f'UPDATE "{table}" SET "{column}" = DEFAULT')
    assert found(database) == {2, 3, 4}
    assert backfill_all(database).found == 1
    assert found(database) == {1, 2, 3, 4}


def test_an_archived_product_is_shown_nowhere(database: Database) -> None:
    shop_of(database, 3)
    run(database, 'ALTER TABLE "ProductVariants" ADD "ArchivedAt" timestamptz')
    search = PostgresProductSearch(database)
    backfill_all(database)
    assert search.vectors(id_of(1), ALL) is not None
    run(database, 'UPDATE "ProductVariants" SET "ArchivedAt" = now() WHERE "Sku" <> \'sku-3\'')
    assert search.vectors(id_of(1), ALL) is None
    assert CatalogueSample(database).counts(None).products == 1
    catalog = PostgresCatalog(database)
    assert catalog.due(Selection(skip_existing=False)).products == 1
    assert catalog.due(Selection(skip_existing=False, products=(id_of(1),))).products == 0
    run(database, 'UPDATE "ProductVariants" SET "ArchivedAt" = now()')
    assert not search.coverage(ALL).products


def test_failures_of_archived_products_are_not_reported(database: Database) -> None:
    fill(database, 2, pictures=True)
    run(database, 'ALTER TABLE "ProductVariants" ADD "DeletedAt" timestamptz')
    backfill_all(database, pictures={})
    assert [kind.products for kind in failure_report.by_kind(database)] == [2]
    run(database, 'UPDATE "ProductVariants" SET "DeletedAt" = now() WHERE "Sku" = \'sku-1\'')
    assert [kind.products for kind in failure_report.by_kind(database)] == [1]
    retry = Selection(retry_failed=True, only_failed=True)
    assert PostgresCatalog(database).due(retry).products == 1


@pytest.mark.parametrize("id_type", ["text", "varchar(36)"])
def test_products_whose_ids_have_another_type_than_their_variants_say_are_compared(
    database: Database, id_type: str
) -> None:
    shop_of(database, 2)
    run(
        database,
        f'ALTER TABLE "ProductVariants" ALTER "ProductId" TYPE {id_type}',
        'ALTER TABLE "Products" ADD "IsDeleted" boolean',
        f'UPDATE "Products" SET "IsDeleted" = true WHERE "Id" = \'{id_of(1)}\'',
    )
    assert backfill_all(database).found == 1
    assert found(database) == {2}


@pytest.fixture(scope="module")
def indexed(server: str) -> Iterator[Database]:
    """So many products that a search uses the index; half of them are archived."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE archived")
    with closing(Database(server.replace("/postgres?", "/archived?"))) as database:
        schema.create(database)
        fill_with_vectors(database, 2 * EXACT_SEARCH_ROWS)
        run(
            database,
            LOW_QUALITY_INDEX,
            'ALTER TABLE "ProductVariants" ADD "Status" text DEFAULT \'active\'',
            'UPDATE "ProductVariants" SET "Status" = \'archived\' WHERE "Price" * 10 % 2 = 0',
            'ALTER TABLE "Products" ADD "DeletedAt" timestamptz',
        )
        yield database


@pytest.mark.parametrize("limit", [10, 1_000])
def test_an_index_search_returns_all_requested_results_though_half_are_archived(
    indexed: Database, limit: int
) -> None:
    candidates = PostgresProductSearch(indexed).candidates(by_image(), ALL, limit)
    assert len(candidates) == limit
    assert all(UUID(candidate.id).int % 2 == 1 for candidate in candidates)


def test_a_server_notices_within_a_minute_that_products_can_be_archived(
    database: Database,
) -> None:
    """Its cached statements may be older than the columns of the tables."""
    fill(database, 5)
    backfill_all(database)
    now = 0.0
    query = direction(b"query", 1024)
    search_query = SearchQuery(column="text", vector=query, text=query)
    search = PostgresProductSearch(database, timer=lambda: now)
    search.candidates(search_query, Filters(skus=("none",)), 5)
    run(
        database,
        'ALTER TABLE "ProductVariants" ADD "ArchivedAt" timestamptz',
        'UPDATE "ProductVariants" SET "ArchivedAt" = now()',
    )
    now = 59.0
    assert len(search.candidates(search_query, ALL, 5)) == 5
    now = 61.0
    assert search.candidates(search_query, ALL, 5) == []
