"""Postgres in production: other tables, few rights, policies, timeouts, lost connections."""

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import chain

import numpy as np
import psycopg
import pytest

from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.errors import DatabaseError, SchemaError, SelectionError
from shelfsight.fusion import WeightedMean, combine
from shelfsight.postgres.connection import Connection, Database
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.records import (
    EmbeddedProduct,
    Failure,
    ModelPair,
    Product,
    Selection,
    Stage,
    Vector,
    Weights,
)
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage import schema
from shelfsight.storage.prune import prune
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.status import read
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import MODELS, direction
from tests.shop import backfill_all, fill, rows

FUSION = WeightedMean(Weights())


def url_of(url: str, user: str) -> str:
    return url.replace("postgres@", f"{user}@")


def make_role(database: Database, name: str, *statements: str) -> str:
    def work(connection: Connection) -> None:
        connection.execute(
            f"DO $$ BEGIN CREATE ROLE {name} LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
        )
        for statement in statements:
            connection.execute(statement.format(role=name))

    database.run(work)
    return url_of(database.url, name)


def _nothing(_connection: Connection) -> None:
    """Open a connection and close it at once."""


GRANTS = (
    'GRANT SELECT ON "ProductVariants", "ProductImages" TO {role}',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON "ProductEmbeddings" TO {role}',
    "GRANT USAGE ON SCHEMA shelfsight TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shelfsight TO {role}",
)


def test_init_creates_what_is_missing_and_nothing_twice(url: str) -> None:
    with closing(Database(url)) as database:
        created = schema.create(database)
        assert [name for name in created if "ProductVariants" in name]
        assert schema.create(database) == []


def test_image_vectors_are_in_the_row_and_the_others_beside_it(database: Database) -> None:
    """So a search among image vectors reads half as many pages."""
    fill(database, 1, pictures=True)
    assert backfill_all(database).embedded == 1
    ((image, text, combined),) = rows(
        database,
        'SELECT pg_column_toast_chunk_id("ImageEmbedding"),'
        ' pg_column_toast_chunk_id("TextEmbedding"), pg_column_toast_chunk_id("CombinedEmbedding")'
        ' FROM "ProductEmbeddings"',
    )
    assert image is None
    assert None not in (text, combined)


def test_two_inits_at_once_wait_for_each_other(url: str) -> None:
    results: list[list[str]] = []

    def create() -> None:
        with closing(Database(url)) as database:
            results.append(schema.create(database))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    done = [line for lines in results for line in lines]
    assert len(done) == len(set(done)) > 0  # each step by one of them
    with closing(Database(url)) as database:
        assert schema.create(database) == []


@pytest.mark.parametrize("id_type", ["uuid", "text", "bigint"])
def test_a_shops_own_tables_are_used_as_they_are(url: str, id_type: str) -> None:
    value = {"uuid": "gen_random_uuid()", "text": "'sku-' || i", "bigint": "i"}[id_type]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f'CREATE TABLE "ProductVariants" ("Id" {id_type} PRIMARY KEY, "Title" varchar(80))'
        )
        connection.execute(
            'CREATE TABLE "ProductImages" ("Id" serial PRIMARY KEY,'
            f' "ProductVariantId" {id_type}, "ImageUrl" text)'
        )
        connection.execute(
            f"INSERT INTO \"ProductVariants\" SELECT {value}, 'Mug ' || i"
            " FROM generate_series(1, 5) i"
        )
    with closing(Database(url)) as database:
        created = schema.create(database)
        assert not [name for name in created if "ProductVariants" in name]
        assert backfill_all(database).embedded == 5
        assert backfill_all(database).found == 0
        search_query = SearchQuery(column="text", vector=direction(b"Mug 1", 1024))
        assert len(PostgresProductSearch(database).candidates(search_query, Filters(), 3)) == 3


def test_few_due_products_with_numbers_as_ids_are_shared_out_in_the_order_of_numbers(
    url: str,
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('CREATE TABLE "ProductVariants" ("Id" bigint PRIMARY KEY, "Title" text)')
        connection.execute(
            "INSERT INTO \"ProductVariants\" SELECT i, 'Mug ' || i FROM generate_series(1, 400) i"
        )
    with closing(Database(url)) as database:
        schema.create(database)
        backfill_all(database, selection=Selection(where='"Id" % 25 <> 0'))
        found = PostgresCatalog(database).partition(Selection(), 5)
        ids = [str(number) for number in range(25, 401, 25)]
        assert [list(part or ()) for _, part in found.ranges_with_ids()] == [
            *(ids[:5], ids[5:10], ids[10:15], ids[15:]),
            [],  # what is added later
        ]


def test_an_older_embeddings_table_gets_the_columns_it_lacks_and_keeps_its_rows(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute('CREATE TABLE "ProductVariants" ("Id" uuid PRIMARY KEY, "Title" text)')
        connection.execute(
            'CREATE TABLE "ProductEmbeddings" ("Id" serial PRIMARY KEY,'
            ' "ProductVariantId" uuid, "ImageEmbedding" vector(768), "Note" text)'
        )
        connection.execute(
            'INSERT INTO "ProductEmbeddings" ("ProductVariantId", "Note")'
            " VALUES (gen_random_uuid(), 'keep me')"
        )
    with closing(Database(url)) as database:
        created = schema.create(database)
        assert 'created column "ProductEmbeddings"."TextEmbedding"' in created
        assert 'created column "ProductEmbeddings"."Note"' not in created
        assert rows(database, 'SELECT "Note" FROM "ProductEmbeddings"') == [("keep me",)]
        assert schema.create(database) == []


def test_vectors_of_other_dimensions_are_refused_and_stay(url: str) -> None:
    with closing(Database(url)) as database:
        schema.create(database)
        database.run(
            lambda c: c.execute(
                'ALTER TABLE "ProductEmbeddings" ALTER "ImageEmbedding" TYPE vector(512)'
            )
        )
        with pytest.raises(SchemaError, match=r"vector\(512\).*vector\(768\)"):
            PostgresVectorStore(database, FUSION).require(MODELS)
        with pytest.raises(SchemaError, match=r"vector\(512\)"):
            schema.create(database)


def test_a_database_without_tables_says_to_run_init(url: str) -> None:
    with closing(Database(url)) as database:
        with pytest.raises(SchemaError, match="shelfsight init"):
            read(database)
        with pytest.raises(SchemaError, match="shelfsight init"):
            PostgresCatalog(database).due(Selection())


def test_a_role_that_may_not_create_extensions_is_told_what_to_ask_for(url: str) -> None:
    with closing(Database(url)) as database:
        role = make_role(database, "no_extensions", "GRANT CREATE ON SCHEMA public TO {role}")
    with closing(Database(role)) as database, pytest.raises(DatabaseError, match="administrator"):
        schema.create(database)


def test_a_role_with_only_the_rights_it_needs_can_backfill(database: Database) -> None:
    fill(database, 5)
    role = make_role(database, "writer", *GRANTS)
    with closing(Database(role)) as limited:
        assert backfill_all(limited).embedded == 5


def test_a_missing_right_is_named(database: Database) -> None:
    fill(database, 1)
    role = make_role(database, "reader", GRANTS[0])
    with (
        closing(Database(role)) as limited,
        pytest.raises(DatabaseError, match="permission denied"),
    ):
        backfill_all(limited)


def test_with_row_level_security_a_role_embeds_its_own_products_only(database: Database) -> None:
    fill(database, 6, owner="alice")
    fill(database, 4, owner="bob")
    policy = 'CREATE POLICY own ON {table} TO alice USING ("UserId" = current_user)'
    through = (
        'CREATE POLICY own ON shelfsight."EmbeddingFailures" TO alice USING (EXISTS (SELECT FROM'
        ' "ProductVariants" AS v WHERE v."Id" = "ProductVariantId"))'
    )
    role = make_role(
        database,
        "alice",
        *GRANTS,
        *(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
            for table in (
                '"ProductVariants"',
                '"ProductEmbeddings"',
                'shelfsight."EmbeddingFailures"',
            )
        ),
        policy.replace("{table}", '"ProductVariants"'),
        policy.replace("{table}", '"ProductEmbeddings"'),
        through,
    )
    with closing(Database(role)) as limited:
        report = backfill_all(limited)
        assert (report.found, report.embedded) == (6, 6)
        assert backfill_all(limited).found == 0
    assert rows(database, 'SELECT DISTINCT "UserId" FROM "ProductEmbeddings"') == [("alice",)]


def test_a_statement_timeout_that_fits_a_page_lets_a_large_catalogue_through(
    database: Database,
) -> None:
    fill(database, 6_000)
    role = make_role(database, "hurried", *GRANTS, "ALTER ROLE {role} SET statement_timeout = '2s'")
    with closing(Database(role)) as limited:
        assert backfill_all(limited).embedded == 6_000


def kill_others(database: Database) -> None:
    database.run(
        lambda c: c.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


def test_after_a_dropped_connection_the_page_is_stored_again(
    database: Database,
) -> None:
    fill(database, 40)
    with closing(Database(database.url)) as killer:
        killed: list[int] = []

        def drop(_page: object) -> None:
            if len(killed) < 3:
                killed.append(1)
                kill_others(killer)

        report = backfill_all(database, batch_size=5, before_save=drop)
    assert (report.found, report.embedded, len(killed)) == (40, 40, 3)
    assert rows(database, 'SELECT count(*) FROM "ProductEmbeddings"') == [(40,)]


def test_work_that_loses_its_connection_is_repeated_as_a_whole(database: Database) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> None:
        connection.execute('INSERT INTO "ProductVariants" ("Title") VALUES (%s)', ["once"])
        tries.append(1)
        if len(tries) == 1:
            with closing(Database(database.url)) as killer:
                kill_others(killer)
        connection.execute("SELECT 1")

    database.run(work)
    assert len(tries) == 2
    assert rows(database, 'SELECT count(*) FROM "ProductVariants"') == [(1,)]


def test_an_interrupt_at_a_query_leaves_no_other_line_than_ours(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """psycopg warns that it cannot roll back while a query is running."""

    def work(connection: Connection) -> None:
        connection.pgconn.send_query(b"SELECT 1")
        raise ValueError

    with closing(Database(url)) as database, pytest.raises(ValueError):
        database.run(work)
    assert not caplog.records


def test_an_unreachable_database_ends_the_run_naming_its_host_without_password() -> None:
    gone = Database(
        "postgresql://shop:hunter2@127.0.0.1:1/shop", retries=RetryPolicy(reconnect_seconds=1)
    )
    with pytest.raises(DatabaseError) as error:
        gone.run(_nothing)
    assert "127.0.0.1:1" in str(error.value)
    assert "hunter2" not in str(error.value)


SELECTIONS: list[tuple[dict[str, object], set[str]]] = [
    ({"skus": ("sku-1", "sku-3")}, {"Product 1", "Product 3"}),
    ({"owner": "bob"}, {"Product 4"}),
    ({"where": '"Price" > 2 AND "Title" LIKE \'%3\''}, {"Product 3"}),
    ({"where": '"ProductVariants"."Price" = 1 -- a comment'}, {"Product 1"}),
    ({"where": '"Price" = 1 OR "Price" = 2', "owner": "alice"}, {"Product 1", "Product 2"}),
    ({"products": ("00000000-0000-0000-0000-000000000002",)}, {"Product 2"}),
]


@pytest.mark.parametrize(("asked", "titles"), SELECTIONS)
def test_a_selection_selects_products(
    database: Database, asked: dict[str, object], titles: set[str]
) -> None:
    fill(database, 3, owner="alice")
    fill(database, 1, owner="bob", first=4)
    catalog = PostgresCatalog(database)
    found = {p.title for page in catalog.pages(Selection(**asked), 10) for p in page}
    assert found == titles
    assert catalog.due(Selection(**asked)).products == len(titles)


def test_times_select_by_creation_and_by_update(database: Database) -> None:
    from datetime import datetime, timedelta

    fill(database, 3)
    database.run(
        lambda c: c.execute(
            'UPDATE "ProductVariants" SET "CreatedAt" = now() - interval \'10 days\','
            " \"UpdatedAt\" = now() - interval '5 days' WHERE \"Sku\" = 'sku-1'"
        )
    )
    catalog = PostgresCatalog(database)
    now = datetime.now().astimezone()
    week, day = now - timedelta(days=7), now - timedelta(days=1)

    def count(**asked: object) -> int:
        return catalog.due(Selection(**asked)).products

    assert count(since=week) == 2
    assert count(until=week) == 1
    assert count(updated_since=week) == 3
    assert count(updated_since=day) == 2


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ('"Colour" = 1', "does not exist"),
        ("\"Price\" > 'many'", "invalid input syntax"),
        ("1 = 1) OR (", "syntax error"),
        ('true; DELETE FROM "ProductVariants"', 'syntax error at or near ";"'),
    ],
)
def test_a_condition_that_postgres_refuses_is_shown_plainly(
    database: Database, where: str, said: str
) -> None:
    fill(database, 1)
    with pytest.raises(SelectionError, match=said):
        PostgresCatalog(database).due(Selection(where=where))


def test_a_condition_cannot_write(database: Database) -> None:
    fill(database, 1)
    database.run(
        lambda c: c.execute(
            "CREATE FUNCTION sneak() RETURNS boolean LANGUAGE sql AS"
            ' $$ UPDATE "ProductVariants" SET "Title" = \'x\' RETURNING true $$'
        )
    )
    with pytest.raises(SelectionError, match=r"sneak.*read-only.*a condition may only read"):
        PostgresCatalog(database).due(Selection(where="sneak()"))
    assert rows(database, 'SELECT "Title" FROM "ProductVariants"') == [("Product 1",)]


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE "ProductVariants" SET "Price" = 99',
        'UPDATE "ProductVariants" SET "UpdatedAt" = now(), "Barcode" = \'4006381333931\'',
        'UPDATE "ProductImages" SET "AltText" = \'new\'',
    ],
)
def test_an_edit_of_a_column_that_is_not_embedded_makes_nothing_due(
    database: Database, change: str
) -> None:
    fill(database, 2, pictures=True)
    backfill_all(database)
    database.run(lambda c: c.execute(change))
    assert PostgresCatalog(database).due(Selection()).products == 0


def test_a_product_deleted_while_it_is_embedded_is_left_out(database: Database) -> None:
    fill(database, 3)

    def delete(_page: object) -> None:
        with closing(Database(database.url)) as other:
            other.run(lambda c: c.execute('DELETE FROM "ProductVariants" WHERE "Sku" = \'sku-2\''))

    backfill_all(database, before_save=delete)
    assert rows(database, 'SELECT count(*) FROM "ProductEmbeddings"') == [(2,)]


def test_what_failed_is_recorded_with_stage_kind_message_and_attempts(database: Database) -> None:
    fill(database, 1, pictures=True)
    for attempts in (1, 2):
        backfill_all(database, selection=Selection(retry_failed=True), pictures={})
        (row,) = rows(
            database,
            'SELECT "Stage", "Kind", "Message", "Attempts" FROM shelfsight."EmbeddingFailures"',
        )
        assert row[:2] == ("fetch", "http_404")
        assert "http://shop.test/1.png" in row[2]
        assert row[3] == attempts
    backfill_all(database, selection=Selection(retry_failed=True))
    assert rows(database, 'SELECT count(*) FROM shelfsight."EmbeddingFailures"') == [(0,)]


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


PICTURES_BY_NUMBER = (
    'CREATE TABLE "ProductImages"'
    ' ("Id" serial PRIMARY KEY, "ProductVariantId" int, "ImageUrl" text)'
)


@pytest.mark.parametrize(
    "tables",
    [
        ['CREATE TABLE "ProductVariants" ("Id" int, "Title" text)'],
        [
            'CREATE TABLE shop ("Id" int PRIMARY KEY, "Title" text)',
            'CREATE VIEW "ProductVariants" AS SELECT * FROM shop',
        ],
        [
            'CREATE TABLE "ProductVariants" ("Id" int, "Region" int DEFAULT 1, "Title" text,'
            ' PRIMARY KEY ("Id", "Region")) PARTITION BY LIST ("Region")',
            'CREATE TABLE everywhere PARTITION OF "ProductVariants" DEFAULT',
        ],
    ],
    ids=["no key", "view", "partitioned"],
)
def test_a_view_or_a_table_that_cannot_be_referred_to_is_used_too(
    url: str, tables: list[str]
) -> None:
    products = 'INSERT INTO {} ("Id", "Title") SELECT i, \'Mug \' || i FROM generate_series(1, 5) i'
    target = "shop" if "shop" in tables[0] else '"ProductVariants"'
    execute(url, *tables, PICTURES_BY_NUMBER, products.format(target))
    with closing(Database(url)) as database:
        schema.create(database)
        assert backfill_all(database).embedded == 5
        assert backfill_all(database).found == 0


def test_a_product_that_occurs_twice_is_reported(url: str) -> None:
    execute(
        url,
        'CREATE TABLE "ProductVariants" ("Id" int, "Title" text)',
        PICTURES_BY_NUMBER,
        "INSERT INTO \"ProductVariants\" VALUES (1, 'Mug'), (2, 'Cap'), (2, 'Cap again')",
    )
    with closing(Database(url)) as database:
        schema.create(database)
        with pytest.raises(SchemaError, match="several rows"):
            backfill_all(database)


def test_rows_without_an_id_are_left_out_and_the_reading_ends(url: str) -> None:
    execute(
        url,
        'CREATE TABLE "ProductVariants" ("Id" int UNIQUE, "Title" text)',
        PICTURES_BY_NUMBER,
        'INSERT INTO "ProductVariants" SELECT i FROM generate_series(1, 1990) i',
        'INSERT INTO "ProductVariants" SELECT NULL FROM generate_series(1, 30) i',
    )
    with closing(Database(url)) as database:
        schema.create(database)
        assert PostgresCatalog(database).due(Selection()).products == 1990
        found = chain.from_iterable(PostgresCatalog(database).pages(Selection(), 100))
        assert sum(1 for _ in found) == 1990


def test_pictures_that_cannot_be_joined_to_products_are_named(url: str) -> None:
    execute(
        url,
        'CREATE TABLE "ProductVariants" ("Id" text PRIMARY KEY, "Title" text)',
        PICTURES_BY_NUMBER,
    )
    with closing(Database(url)) as database:
        schema.create(database)
        with pytest.raises(SchemaError, match="operator does not exist"):
            PostgresCatalog(database).due(Selection())


OWN_EMBEDDINGS = """
    CREATE TABLE "ProductEmbeddings" (
      "Id" uuid NOT NULL PRIMARY KEY, "ProductVariantId" uuid NOT NULL, "UserId" uuid,
      "ImageEmbedding" vector(768) {null}, "ProductText" varchar(20),
      "SourceType" source NOT NULL, "CreatedAt" timestamptz NOT NULL,
      "UpdatedAt" timestamptz NOT NULL)
"""


@pytest.fixture
def own_embeddings(url: str) -> Iterator[str]:
    """Tables made by an ORM, which fills ids and times itself and uses short columns."""
    execute(
        url,
        "CREATE EXTENSION IF NOT EXISTS vector",
        "CREATE TYPE source AS ENUM ('image', 'text', 'image_text')",
        'CREATE TABLE "ProductVariants" ("Id" uuid PRIMARY KEY, "UserId" text, "Title" text)',
        'CREATE TABLE "ProductImages"'
        ' ("Id" serial PRIMARY KEY, "ProductVariantId" uuid, "ImageUrl" text)',
        'INSERT INTO "ProductVariants" SELECT gen_random_uuid(), gen_random_uuid()::text,'
        " repeat('Mug ', 20) || i FROM generate_series(1, 3) i",
    )
    return url


def test_an_embeddings_table_made_by_an_orm_is_filled_in_its_own_types(own_embeddings: str) -> None:
    execute(own_embeddings, OWN_EMBEDDINGS.format(null=""))
    with closing(Database(own_embeddings)) as database:
        schema.create(database)
        assert backfill_all(database).embedded == 3
        database.run(lambda c: c.execute('UPDATE "ProductVariants" SET "Title" = \'New\''))
        assert backfill_all(database).embedded == 3
        (row,) = rows(
            database,
            'SELECT count(DISTINCT "Id"), count("CreatedAt"), min("ProductText")'
            ' FROM "ProductEmbeddings"',
        )
        assert row == (3, 3, "New")


def test_a_not_null_column_without_a_value_is_named_before_the_first_write(
    own_embeddings: str,
) -> None:
    execute(own_embeddings, OWN_EMBEDDINGS.format(null="NOT NULL"))
    with (
        closing(Database(own_embeddings)) as database,
        pytest.raises(SchemaError, match='ALTER "ImageEmbedding" DROP NOT NULL'),
    ):
        schema.create(database)


def test_an_embeddings_table_without_ids_of_its_own_is_combined_anew(url: str) -> None:
    execute(
        url,
        'CREATE TABLE "ProductVariants" ("Id" int PRIMARY KEY, "Title" text)',
        PICTURES_BY_NUMBER,
        'CREATE TABLE "ProductEmbeddings" ("ProductVariantId" int PRIMARY KEY)',
        "INSERT INTO \"ProductVariants\" SELECT i, 'Mug ' || i FROM generate_series(1, 3) i",
    )
    with closing(Database(url)) as database:
        schema.create(database)
        assert backfill_all(database).embedded == 3
        assert PostgresVectorStore(database, WeightedMean(Weights(image=1))).recombine() == 3


@pytest.mark.parametrize("searched", [True, False])
def test_pgvector_in_a_schema_of_its_own_is_used_or_its_schema_is_named(
    url: str, searched: bool
) -> None:
    execute(
        url,
        "DROP EXTENSION IF EXISTS vector",
        "CREATE SCHEMA extensions",
        "CREATE EXTENSION vector SCHEMA extensions",
    )
    if searched:
        execute(
            url,
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, extensions',"
            " current_database()); END $$",
        )
    with closing(Database(url)) as database:
        if not searched:
            with pytest.raises(SchemaError, match="schema extensions"):
                schema.create(database)
            return
        schema.create(database)
        fill(database, 2)
        assert backfill_all(database).embedded == 2


@pytest.mark.parametrize(("kind", "precision"), [("halfvec", np.float16), ("vector", np.float32)])
def test_vectors_are_stored_with_half_or_full_precision(
    database: Database, kind: str, precision: type
) -> None:
    """`init` creates columns of half precision. Those of older releases have full precision."""
    widths = {"Image": 768, "Text": 1024, "Combined": 768} if kind == "vector" else {}
    for name, width in widths.items():
        change = f'ALTER TABLE "ProductEmbeddings" ALTER "{name}Embedding" TYPE vector({width})'
        database.run(lambda c, change=change: c.execute(change))
    fill(database, 2, pictures=True)
    assert backfill_all(database).embedded == 2
    texts = rows(database, 'SELECT "ProductText", "TextEmbedding"::vector FROM "ProductEmbeddings"')
    for text, stored in texts:
        made = direction(text.encode(), 1024)
        np.testing.assert_array_equal(stored.to_numpy(), made.astype(precision).astype(np.float32))
    database.run(lambda c: c.execute('UPDATE "ProductVariants" SET "Title" = \'New\''))
    backfill_all(database, pictures={})
    assert rows(database, 'SELECT count("ImageEmbedding") FROM "ProductEmbeddings"') == [(2,)]
    store = PostgresVectorStore(database, WeightedMean(Weights(image=1)))
    assert store.recombine() == 2
    search_query = SearchQuery(column="text", vector=direction(b"x", 1024))
    assert len(PostgresProductSearch(database).candidates(search_query, Filters(), 5)) == 2


def test_a_product_deleted_by_a_transaction_still_open_is_not_found_and_is_pruned(
    database: Database,
) -> None:
    """Nothing of ours waits for that transaction, or keeps it waiting."""
    fill(database, 3)
    with psycopg.connect(database.url) as deleting:

        def delete(_page: object) -> None:
            deleting.execute('DELETE FROM "ProductVariants" WHERE "Sku" = \'sku-2\'')

        assert backfill_all(database, before_save=delete).embedded == 3
    search_query = SearchQuery(column="text", vector=direction(b"x", 1024))
    assert len(PostgresProductSearch(database).candidates(search_query, Filters(), 5)) == 2
    assert prune(database).embeddings == 1
    assert rows(database, 'SELECT count(*) FROM "ProductEmbeddings"') == [(2,)]


def test_two_backfills_at_once_store_every_product_once(database: Database) -> None:
    fill(database, 600, pictures=True)
    stored: list[int] = []

    def run() -> None:
        with closing(Database(database.url)) as own:
            stored.append(backfill_all(own, batch_size=20).failed)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored == [0, 0, 0]
    assert rows(database, 'SELECT count(*) FROM "ProductEmbeddings"') == [(600,)]


def only_product(database: Database, selection: Selection | None = None) -> Product:
    pages = PostgresCatalog(database).pages(selection or Selection(), 10)
    (product,) = chain.from_iterable(pages)
    return product


def save(
    database: Database,
    product: Product,
    *failures: Failure,
    text: Vector | None = None,
    models: ModelPair = MODELS,
) -> None:
    item = EmbeddedProduct(
        product=product, text=text, combined=combine(None, text, Weights()), failures=failures
    )
    PostgresVectorStore(database, FUSION).save([item], models)


def pass_the_wait(database: Database) -> None:
    database.run(
        lambda c: c.execute(
            'UPDATE shelfsight."EmbeddingFailures" SET "NextAttemptAt" = now() - interval \'1s\''
            ' WHERE "NextAttemptAt" IS NOT NULL'
        )
    )


BROKEN_PICTURE = Failure(stage=Stage.DECODE, kind="not_an_image", message="no")
MODEL_AWAY = Failure(stage=Stage.TEXT, kind="timeout", message="slow", retryable=True)


def test_a_failed_text_is_retried_without_waiting_for_a_failed_picture(
    database: Database,
) -> None:
    fill(database, 1, pictures=True)
    save(database, only_product(database), BROKEN_PICTURE, MODEL_AWAY)
    assert PostgresCatalog(database).due(Selection()).products == 0
    pass_the_wait(database)
    assert PostgresCatalog(database).due(Selection()).products == 1


def test_of_several_failed_pictures_the_first_retry_decides(database: Database) -> None:
    fill(database, 1, pictures=True)
    slow = Failure(stage=Stage.FETCH, kind="timeout", message="slow", retryable=True)
    refused = Failure(stage=Stage.FETCH, kind="too_large", message="30 MB")
    for failures in ((slow, refused), (refused, slow)):
        save(database, only_product(database, Selection(skip_existing=False)), *failures)
        kinds = (
            'SELECT "Kind" FROM shelfsight."EmbeddingFailures" WHERE "NextAttemptAt" IS NOT NULL'
        )
        assert rows(database, kinds) == [("timeout",)]


def test_any_message_of_a_failure_can_be_stored(database: Database) -> None:
    fill(database, 1)
    odd = Failure(stage=Stage.TEXT, kind="server_422", message="half a pair \ud800, a zero \0")
    save(database, only_product(database), odd)
    assert rows(database, 'SELECT "Message" FROM shelfsight."EmbeddingFailures"') == [
        ("half a pair ?, a zero ",)
    ]


def test_a_fallback_vector_is_combined_with_the_new_one_in_the_same_run(
    database: Database,
) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database)
    database.run(lambda c: c.execute('UPDATE "ProductVariants" SET "Title" = \'New\''))
    backfill_all(database, pictures={}, selection=Selection(skip_existing=False))
    assert PostgresVectorStore(database, FUSION).recombine() == 0
    ((image, text, combined),) = rows(
        database,
        'SELECT "ImageEmbedding", "TextEmbedding", "CombinedEmbedding" FROM "ProductEmbeddings"',
    )
    wanted = combine(image.to_numpy(), text.to_numpy(), Weights())
    np.testing.assert_allclose(combined.to_numpy(), wanted, atol=1e-4)  # of half precision


def test_a_lost_picture_does_not_keep_a_vector_of_replaced_models(
    database: Database,
) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database)
    other = ModelPair(image="other@2", text="other@2")
    product = only_product(database, Selection(skip_existing=False))
    gone = Failure(stage=Stage.FETCH, kind="http_404", message="gone")
    save(database, product, gone, text=direction(b"Product 1", 1024), models=other)
    PostgresVectorStore(database, FUSION).require(other)  # raises if a vector of MODELS is left
    assert rows(database, 'SELECT "ImageEmbedding" FROM "ProductEmbeddings"') == [(None,)]


def test_words_after_a_picture_within_the_description_are_read(database: Database) -> None:
    fill(database, 2)
    inline = "<img src=\"data:image/png;base64,' || repeat('abcd', 30000) || '\">"
    database.run(
        lambda c: c.execute(
            f'UPDATE "ProductVariants" SET "Title" = \'\', "Description" = \'{inline} A mug\''
            " WHERE \"Sku\" = 'sku-1'"
        )
    )
    database.run(
        lambda c: c.execute(
            'UPDATE "ProductVariants" SET "Title" = repeat(\'mug \', 1000000)'
            " WHERE \"Sku\" = 'sku-2'"
        )
    )
    assert backfill_all(database).embedded == 2
    assert rows(database, 'SELECT min("ProductText") FROM "ProductEmbeddings"') == [("A mug",)]


def test_a_word_that_moves_from_title_to_description_is_a_change(database: Database) -> None:
    fill(database, 1)
    for title, description in (("a\x1fb", "c"), ("a", "b\x1fc")):
        database.run(
            lambda c, values=(title, description): c.execute(
                'UPDATE "ProductVariants" SET "Title" = %s, "Description" = %s', values
            )
        )
        assert backfill_all(database).found == 1


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_in_another_encoding_is_used_or_named(server: str, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    execute(server, f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    with closing(Database(server.replace("/postgres?", f"/{name}?"))) as database:
        schema.create(database)
        fill(database, 1)
        database.run(lambda c: c.execute('UPDATE "ProductVariants" SET "Title" = \'&hearts;\''))
        if encoding == "SQL_ASCII":
            assert backfill_all(database).embedded == 1
        else:
            with pytest.raises(DatabaseError, match="UTF8"):
                backfill_all(database)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def test_windows_read_index_ranges_not_whole_tables(database: Database) -> None:
    fill(database, 30_000, pictures=True)
    database.run(
        lambda c: c.execute(
            'INSERT INTO "ProductEmbeddings" ("ProductVariantId", "SourceHash")'
            ' SELECT "Id", \'old\' FROM "ProductVariants"'
        )
    )
    database.run(lambda c: c.execute("ANALYZE"))
    pages = PostgresCatalog(database).pages(Selection(), 2_000)
    scanned = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'ProductEmbeddings'"
    with closing(Database(database.url)) as observing:
        next(pages)  # before the first one, a run looks once for what texts were made of
        database.run(lambda c: c.execute("SELECT pg_stat_force_next_flush()"))
        before = rows(observing, scanned)
        for _ in zip(range(3), pages, strict=False):
            pass
        database.run(lambda c: c.execute("SELECT pg_stat_force_next_flush()"))
        assert rows(observing, scanned) == before
