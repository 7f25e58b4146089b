"""Postgres as people have it: other tables, few rights, policies, time limits, lost connections."""

import threading
from contextlib import closing

import psycopg
import pytest

from shelfsight.catalog.postgres import PostgresCatalog
from shelfsight.database import Connection, Database
from shelfsight.embedding.fusion import WeightedMean
from shelfsight.errors import DatabaseError, SchemaError, SelectionError
from shelfsight.records import Product, Selection, Weights
from shelfsight.storage import schema
from shelfsight.storage.status import read
from shelfsight.storage.vectors import PostgresVectorStore
from shelfsight.testing import MODELS
from tests.shop import backfill_all, embed, fill, rows

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
    """Ask for a connection, and leave it."""


GRANTS = (
    'GRANT SELECT ON "ProductVariants", "ProductImages" TO {role}',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON "ProductEmbeddings", "EmbeddingFailures" TO {role}',
)


def test_init_creates_what_is_missing_and_nothing_twice(url: str) -> None:
    with closing(Database(url)) as database:
        created = schema.create(database)
        assert [name for name in created if "ProductVariants" in name]
        assert schema.create(database) == []


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
    assert sorted(map(len, results))[:3] == [0, 0, 0]


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
        assert (
            len(
                PostgresVectorStore(database, FUSION).nearest(
                    "text", embed(Product(id="x", title="Mug 1")).text, 3
                )
            )
            == 3
        )


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
        assert 'column "ProductEmbeddings"."TextEmbedding"' in created
        assert 'column "ProductEmbeddings"."Note"' not in created
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
        'CREATE POLICY own ON "EmbeddingFailures" TO alice USING (EXISTS (SELECT FROM'
        ' "ProductVariants" AS v WHERE v."Id" = "ProductVariantId"))'
    )
    role = make_role(
        database,
        "alice",
        *GRANTS,
        *(
            f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY'
            for table in ("ProductVariants", "ProductEmbeddings", "EmbeddingFailures")
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


def test_a_statement_timeout_that_is_reached_is_named(database: Database) -> None:
    fill(database, 1)
    role = make_role(database, "breathless", *GRANTS)
    with closing(Database(role)) as limited:
        slow = Selection(where="pg_sleep(5) IS NOT NULL")
        limited.run(_nothing)
        database.run(lambda c: c.execute("ALTER ROLE breathless SET statement_timeout = '100ms'"))
        limited.close()
        with pytest.raises(DatabaseError, match="statement_timeout"):
            PostgresCatalog(limited).due(slow)


def kill_others(database: Database) -> None:
    database.run(
        lambda c: c.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


def test_a_connection_dropped_in_the_middle_is_opened_again_and_the_page_redone(
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


def test_work_that_loses_its_connection_half_way_is_done_whole(database: Database) -> None:
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


def test_a_database_that_stays_away_ends_the_run_with_its_host_and_no_password() -> None:
    gone = Database("postgresql://shop:hunter2@127.0.0.1:1/shop", reconnect_seconds=1)
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
def test_a_selection_chooses(
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
    with pytest.raises((SelectionError, DatabaseError), match="read-only"):
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
def test_an_edit_that_no_vector_depends_on_makes_nothing_due(
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
            database, 'SELECT "Stage", "Kind", "Message", "Attempts" FROM "EmbeddingFailures"'
        )
        assert row[:2] == ("fetch", "http_404")
        assert "http://shop.test/1.png" in row[2]
        assert row[3] == attempts
    backfill_all(database, selection=Selection(retry_failed=True))
    assert rows(database, 'SELECT count(*) FROM "EmbeddingFailures"') == [(0,)]
