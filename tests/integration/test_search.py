"""Searches in a real Postgres: filters, codes, words, and indexes that must not hide products."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from threading import Barrier
from uuid import UUID

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from psycopg import sql

from shelfsight.errors import FilterError
from shelfsight.postgres.connection import (
    Connection,
    Database,
    Query,
    Result,
    Rows,
    Work,
    columns,
)
from shelfsight.postgres.pool import DatabasePool
from shelfsight.postgres.statements import trusted
from shelfsight.scan.matching import Filters, Means, SearchQuery
from shelfsight.scan.product_codes import stored_as
from shelfsight.storage import schema
from shelfsight.storage.search.filters import FilterSql
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.search.search_rows import SearchRow
from shelfsight.storage.search.search_statement import (
    EXACT_SEARCH_ROWS,
    build_statement,
    parameters,
    statement_shape,
)
from shelfsight.testing import direction

ALL = Filters()
LOW_QUALITY_INDEX = """CREATE INDEX "shelfsight_image_hnsw" ON "ProductEmbeddings"
USING hnsw (("ImageEmbedding"::halfvec(768)) halfvec_cosine_ops)
WITH (m = 4, ef_construction = 16)"""
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def id_of(number: int) -> str:
    return str(UUID(int=number))


def fill(database: Database, count: int) -> None:
    """Create `count` products with random image vectors; every hundredth is `rare`."""

    def work(connection):
        connection.execute(
            'INSERT INTO "Products" ("Id", "Category")'
            " SELECT lpad(to_hex(n), 32, '0')::uuid, CASE n WHEN 0 THEN 'rare' ELSE 'usual' END"
            " FROM generate_series(0, 1) AS n"
        )
        connection.execute(
            'INSERT INTO "ProductVariants" ("Id", "ProductId", "UserId", "Sku", "Barcode",'
            ' "Title", "Price", "Options", "UpdatedAt")'
            " SELECT lpad(to_hex(n), 32, '0')::uuid,"
            " lpad(to_hex(CASE WHEN n %% 100 = 0 THEN 0 ELSE 1 END), 32, '0')::uuid,"
            " 'owner ' || n %% 10, 'SKU-' || n, '40' || n, 'Product ' || n, n / 10.0,"
            " jsonb_build_object('Size', CASE n %% 3 WHEN 0 THEN 'S' ELSE 'L' END),"
            " %s - make_interval(days => n) FROM generate_series(1, %s) AS n",
            [NOW, count],
        )
        vectors = np.random.default_rng(1).standard_normal((count, 768), np.float32)
        with connection.cursor().copy(
            'COPY "ProductEmbeddings" ("ProductVariantId", "ImageEmbedding", "ProductText",'
            ' "SourceHash")'
            " FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.set_types(("uuid", "halfvec", "text", "text"))
            for number, vector in enumerate(vectors, start=1):
                unit = vector / np.linalg.norm(vector)
                copy.write_row((UUID(int=number), HalfVector(unit), f"Product {number}", "given"))
        connection.execute('ANALYZE "ProductEmbeddings"')

    database.run(work)


def by_image(seed: bytes = b"query") -> SearchQuery:
    vector = direction(seed, 768)
    return SearchQuery(column="image", vector=vector, image=vector)


def numbers(found) -> set[int]:
    return {UUID(candidate.id).int for candidate in found}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (ALL, set(range(1, 31))),
        (Filters(owner="owner 3"), {3, 13, 23}),
        (Filters(category="rare"), set()),
        (Filters(options=(("Size", "S"),)), set(range(3, 31, 3))),
        (Filters(min_price=Decimal("0.5"), max_price=Decimal("0.7")), {5, 6, 7}),
        (Filters(skus=("SKU-4", "SKU-8", "none")), {4, 8}),
        (Filters(updated_since=NOW - timedelta(days=3)), {1, 2, 3}),
        (Filters(owner="owner 3", options=(("Size", "S"),)), {3}),
    ],
)
def test_only_products_that_pass_the_filters_are_found(
    database: Database, filters: Filters, expected: set[int]
) -> None:
    fill(database, 30)
    found = PostgresProductSearch(database).candidates(by_image(), filters, 100)
    assert numbers(found) == expected


def test_a_filter_by_a_column_that_the_shop_lacks_is_refused(database: Database) -> None:
    database.run(lambda c: c.execute('ALTER TABLE "ProductVariants" DROP COLUMN "Price"'))
    search = PostgresProductSearch(database)
    with pytest.raises(FilterError, match='no column "Price"'):
        search.candidates(by_image(), Filters(min_price=Decimal(1)), 5)
    assert search.candidates(by_image(), ALL, 5) == []


@pytest.mark.parametrize("code", ["SKU-7", "sku-7", "407"])
def test_a_sku_or_barcode_is_found_however_far_its_picture(database: Database, code: str) -> None:
    fill(database, 30)
    vector = direction(b"query", 768)
    search_query = SearchQuery(column="image", vector=vector, image=vector, codes=stored_as([code]))
    found = PostgresProductSearch(database).candidates(search_query, ALL, 1)
    assert [UUID(one.id).int for one in found if one.is_code] == [7]


def test_the_fields_of_a_candidate_come_from_the_shops_tables(database: Database) -> None:
    fill(database, 3)
    (found,) = PostgresProductSearch(database).candidates(by_image(), Filters(skus=("SKU-2",)), 5)
    assert (found.sku, found.title, found.price) == ("SKU-2", "Product 2", Decimal("0.2"))
    assert found.product_id == id_of(1)


@pytest.fixture(scope="module")
def indexed(server: str) -> Iterator[Database]:
    """Create more products than an exact search compares, and an HNSW index of low quality."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE indexed")
    with closing(Database(server.replace("/postgres?", "/indexed?"))) as database:
        schema.create(database)
        fill(database, 2 * EXACT_SEARCH_ROWS)
        database.run(lambda c: c.execute(LOW_QUALITY_INDEX))
        yield database


@pytest.mark.parametrize(
    ("filters", "there"),
    [
        (ALL, 2 * EXACT_SEARCH_ROWS),
        (Filters(category="rare"), 2 * EXACT_SEARCH_ROWS // 100),
        (Filters(category="usual"), 2 * EXACT_SEARCH_ROWS * 99 // 100),
        (Filters(max_price=Decimal("0.5")), 5),
    ],
)
def test_a_search_by_an_index_returns_as_many_products_as_pass(
    indexed: Database, filters: Filters, there: int
) -> None:
    search = PostgresProductSearch(indexed)
    for limit in (10, 200, 1_000):
        found = search.candidates(by_image(), filters, limit)
        assert len(numbers(found)) == len(found) == min(limit, there)


def test_a_search_by_an_index_finds_the_nearest_of_the_few_that_pass_a_filter(
    indexed: Database,
) -> None:
    """The search goes on in the graph far beyond the first neighbours, and drops none of them."""
    filter_sql = FilterSql(
        Filters(category="rare"), lambda table: indexed.run(partial(columns, table=table))
    )

    def nearest(asked: SearchQuery, *, by_index: bool) -> set[str]:
        shape = statement_shape(asked, filter_sql, 50, by_index=by_index, find_words=False)

        def search(connection: Connection) -> list[SearchRow]:
            for setting in ("seqscan", "sort", "bitmapscan"):  # the planner may prefer to sort all
                connection.execute(trusted(f"SET LOCAL enable_{setting} = off"))
            statement = build_statement(shape, filter_sql)
            found = connection.execute(statement, parameters(asked, filter_sql, 50))
            return [SearchRow._make(row) for row in found]

        rows = sorted(indexed.run(search), key=lambda row: row.image_score or 0, reverse=True)
        return {row.id for row in rows[:10]}

    queries = [by_image(bytes([number])) for number in range(10)]
    missed = [nearest(one, by_index=False) - nearest(one, by_index=True) for one in queries]
    assert sum(map(len, missed)) <= 30  # the graph is poor; in strict order, 88 of 100 are missed


class CountingDatabase:
    """Implements `Transactions`, and counts the queries."""

    def __init__(self, database: Database) -> None:
        self.asked = 0
        self._database = database
        self.run = database.run
        self.vector_set = database.vector_set

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        self.asked += 1
        return self._database.ask(query, prepare=prepare)


@pytest.mark.parametrize(
    ("filters", "queries"),
    [(ALL, 1), (Filters(min_price=Decimal(300)), 2)],  # the second counts what passes, too
)
def test_one_query_of_an_index_returns_the_whole_limit(
    indexed: Database, filters: Filters, queries: int
) -> None:
    """It is more than pgvector's default of 40, and the filters leave some out."""
    database = CountingDatabase(indexed)
    search = PostgresProductSearch(database)
    search.candidates(by_image(), filters, 100)
    database.asked = 0
    assert len(search.candidates(by_image(b"another"), filters, 100)) == 100
    assert database.asked == queries


@pytest.mark.parametrize(("limit", "looked_at"), [(10, "100"), (200, "200")])
def test_the_hnsw_options_hold_for_the_search_alone(
    indexed: Database, limit: int, looked_at: str
) -> None:
    """They end with the transaction of the search."""
    filter_sql = FilterSql(ALL, lambda _table: {"Id": "uuid"})
    shape = statement_shape(by_image(), filter_sql, limit, by_index=True, find_words=False)
    asked = sql.SQL(
        "SELECT current_setting('hnsw.ef_search'), current_setting('hnsw.iterative_scan')"
    )

    def search(connection: Connection) -> Rows:
        connection.execute(
            build_statement(shape, filter_sql), parameters(by_image(), filter_sql, limit)
        )
        return connection.execute(asked).fetchall()

    assert indexed.run(search) == [(looked_at, "relaxed_order")]
    PostgresProductSearch(indexed).candidates(by_image(), ALL, limit)
    assert indexed.ask((asked, {})) == [("40", "off")]


def test_the_columns_of_a_search_have_the_names_of_its_rows_fields(database: Database) -> None:
    """A row is made of a tuple, so the order of the columns matters."""
    vector = direction(b"query", 1024)
    search_query = SearchQuery(
        column="text", vector=vector, text=vector, words="SKU-1", codes=("SKU-1",)
    )
    filter_sql = FilterSql(ALL, lambda _table: {"Id": "uuid"})
    shape = statement_shape(search_query, filter_sql, 5, by_index=False, find_words=True)

    def names(connection: Connection) -> list[str]:
        cursor = connection.execute(
            build_statement(shape, filter_sql), parameters(search_query, filter_sql, 5)
        )
        return [column.name for column in cursor.description or ()]

    assert database.run(names) == list(SearchRow._fields)


def test_an_hnsw_index_of_the_shops_own_does_not_reduce_the_result(database: Database) -> None:
    fill(database, 300)
    database.run(
        lambda c: c.execute(
            'CREATE INDEX ON "ProductEmbeddings" USING hnsw ("ImageEmbedding" halfvec_cosine_ops)'
        )
    )
    assert len(PostgresProductSearch(database).candidates(by_image(), ALL, 200)) == 200


def test_the_mean_of_many_scans_forgets_the_oldest(database: Database) -> None:
    fill(database, 3)
    search = PostgresProductSearch(database)
    old, new = direction(b"old", 768), direction(b"new", 768)
    search.learn(None, old)
    database.run(lambda c: c.execute('UPDATE shelfsight."ScanMeans" SET "Count" = 5000'))
    for _ in range(3):
        search.learn(None, new)
    means = search.means(None)
    assert means is not None
    assert means.count == 5000
    left = (5000 / 5001) ** 3
    np.testing.assert_allclose(means.scans, left * old + (1 - left) * new, atol=1e-6)


def test_a_database_without_scan_means_is_searched_without_centring(database: Database) -> None:
    fill(database, 3)
    database.run(lambda c: c.execute('DROP TABLE shelfsight."ScanMeans"'))
    search = PostgresProductSearch(database)
    search.learn(None, direction(b"photo", 768))
    assert search.means(None) is None
    assert len(search.candidates(by_image(), ALL, 5)) == 3


def test_many_threads_share_a_pool_of_few_connections(database: Database) -> None:
    fill(database, 20)
    with closing(DatabasePool(database.url, 2)) as pool, ThreadPoolExecutor(8) as threads:
        search = PostgresProductSearch(pool)
        asked = [by_image(b"%d" % number) for number in range(40)]
        found = list(
            threads.map(lambda search_query: search.candidates(search_query, ALL, 5), asked)
        )
    assert {len(candidates) for candidates in found} == {5}


class CountingPool(DatabasePool):
    """Counts the transactions and queries that it is asked for."""

    count = 0

    def run(self, work: Work[Result], *, read_only: bool = False, patient: bool = True) -> Result:
        self.count += 1
        return super().run(work, read_only=read_only, patient=patient)

    def ask(self, query: Query, *, prepare: bool = False) -> Rows:
        self.count += 1
        return super().ask(query, prepare=prepare)


def test_eight_scans_at_once_make_as_many_queries_as_one(database: Database) -> None:
    fill(database, 30)
    PostgresProductSearch(database).learn("owner 3", direction(b"photo", 768))

    def queries(scans: int) -> int:
        barrier = Barrier(scans)

        def means(_: int) -> Means | None:
            barrier.wait()
            return search.means("owner 3")

        with (
            closing(CountingPool(database.url, scans)) as pool,
            ThreadPoolExecutor(scans) as threads,
        ):
            search = PostgresProductSearch(pool)
            assert None not in threads.map(means, range(scans))
            return pool.count

    assert queries(8) == queries(1)


def test_a_connection_stays_usable_after_postgres_refuses_a_filter(database: Database) -> None:
    fill(database, 30)
    database.run(
        lambda c: c.execute('ALTER TABLE "ProductVariants" ALTER "UserId" TYPE uuid USING NULL')
    )
    search = PostgresProductSearch(database)
    with pytest.raises(FilterError, match="cannot be chosen like this"):
        search.candidates(by_image(), Filters(owner="no uuid"), 5)
    assert len(search.candidates(by_image(), ALL, 5)) == 5


def test_a_search_reconnects_after_its_connection_was_lost(database: Database) -> None:
    fill(database, 30)
    search = PostgresProductSearch(database)
    (pid,) = database.run(lambda c: c.execute("SELECT pg_backend_pid()").fetchall()[0])
    with psycopg.connect(database.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert len(search.candidates(by_image(), ALL, 5)) == 5


def test_a_search_does_not_affect_the_next_transaction(database: Database) -> None:
    fill(database, 30)
    PostgresProductSearch(database).candidates(by_image(), ALL, 5)
    database.run(lambda c: c.execute('DELETE FROM "ProductVariants"'))
    assert PostgresProductSearch(database).candidates(by_image(), ALL, 5) == []


@pytest.mark.parametrize("kind", ["bigint", "numeric", "varchar(40)", "jsonb"])
@pytest.mark.parametrize("code", ["407", "40 %7' and more"])
def test_a_barcode_column_may_be_numeric(database: Database, kind: str, code: str) -> None:
    fill(database, 30)
    database.run(
        lambda connection: connection.execute(
            f'ALTER TABLE "ProductVariants" ALTER "Barcode" TYPE {kind} USING "Barcode"::{kind}'
        )
    )
    vector = direction(b"query", 768)
    search_query = SearchQuery(column="image", vector=vector, image=vector, codes=stored_as([code]))
    found = PostgresProductSearch(database).candidates(search_query, ALL, 1)
    assert [UUID(one.id).int for one in found if one.is_code] == [7] * (code == "407")


def test_numeric_skus_are_filtered_as_text(database: Database) -> None:
    fill(database, 30)
    database.run(
        lambda connection: connection.execute(
            'ALTER TABLE "ProductVariants" ALTER "Sku" TYPE integer'
            ' USING substring("Sku" FROM 5)::integer'
        )
    )
    search = PostgresProductSearch(database)
    found = search.candidates(by_image(), Filters(skus=("4", "none")), 100)
    assert [(UUID(one.id).int, one.sku) for one in found] == [(4, "4")]


@pytest.mark.parametrize(
    ("price", "shown"),
    [("12,50 EUR", None), ("", None), ("NaN", None), (" 12.50 ", Decimal("12.50")), ("7", 7)],
)
def test_a_price_that_is_no_number_does_not_hide_its_product(
    database: Database, price: str, shown: Decimal | None
) -> None:
    fill(database, 3)

    def in_words(connection):
        connection.execute('ALTER TABLE "ProductVariants" ALTER "Price" TYPE text')
        connection.execute('UPDATE "ProductVariants" SET "Price" = %s', [price])

    database.run(in_words)
    search = PostgresProductSearch(database)
    found = search.candidates(by_image(), ALL, 100)
    assert numbers(found) == {1, 2, 3}
    assert {one.price for one in found} == {shown}
    with pytest.raises(FilterError, match="products cannot be chosen like this"):
        search.candidates(by_image(), Filters(min_price=Decimal(1)), 5)


def test_product_ids_may_have_another_type_than_in_the_product_table(database: Database) -> None:
    fill(database, 101)
    database.run(
        lambda connection: connection.execute(
            'ALTER TABLE "ProductVariants" ALTER "ProductId" TYPE text'
        )
    )
    found = PostgresProductSearch(database).candidates(by_image(), Filters(category="rare"), 100)
    assert numbers(found) == {100}


def test_options_that_are_not_json_are_refused(database: Database) -> None:
    fill(database, 3)
    database.run(
        lambda connection: connection.execute(
            'ALTER TABLE "ProductVariants" ALTER "Options" TYPE text[]'
            " USING ARRAY[\"Options\" ->> 'Size']"
        )
    )
    search = PostgresProductSearch(database)
    with pytest.raises(FilterError, match=r"cannot cast type text\[\] to jsonb"):
        search.candidates(by_image(), Filters(options=(("Size", "S"),)), 5)
    assert numbers(search.candidates(by_image(), ALL, 5)) == {1, 2, 3}


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_no_column_can_hold_is_refused_with_a_reason(
    database: Database, text: str
) -> None:
    fill(database, 3)
    search = PostgresProductSearch(database)
    search_query = replace(by_image(), words=text)
    for ask in (
        lambda: search.candidates(search_query, ALL, 5),
        lambda: search.candidates(by_image(), Filters(category=text), 5),
        lambda: search.vectors(text, ALL),
    ):
        with pytest.raises(FilterError, match=r"cannot be chosen like this: [^N]"):
            ask()
    assert numbers(search.candidates(by_image(), ALL, 5)) == {1, 2, 3}
