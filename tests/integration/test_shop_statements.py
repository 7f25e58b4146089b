"""Whatever the shop does to its own tables is not refused because of us, and leaves the search."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shelfsight.errors import ShelfsightError
from shelfsight.postgres.connection import Database
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage import schema
from shelfsight.storage import status as stored_status
from shelfsight.storage.changes import triggers
from shelfsight.storage.prune import prune
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.search.sample import CatalogueSample
from shelfsight.storage.versions.switch import roll_back
from tests.conftest import created
from tests.integration.test_vector_versions import OTHERS, build, change, embed
from tests.shop import fill, rows

PRODUCTS = 6
ONE = "00000000-0000-0000-0000-000000000001"
TWO = "00000000-0000-0000-0000-000000000002"
SPARE = "00000000-0000-0000-0000-00000000ffff"

DROP = """
    CREATE TABLE "Copy" AS TABLE "{table}";
    CREATE TABLE "Empty" (LIKE "{table}" INCLUDING ALL);
    DROP TABLE "{table}";
"""
RESTORE = """
    ALTER TABLE "Empty" RENAME TO "{table}";
    INSERT INTO "{table}" TABLE "Copy";
    DROP TABLE "Copy";
"""

STATEMENTS: Mapping[str, str] = {
    "truncate variants": 'TRUNCATE "ProductVariants"',
    "truncate images": 'TRUNCATE "ProductImages"',
    "delete one": 'DELETE FROM "ProductVariants" WHERE "Id" = (SELECT min("Id"::text) FROM'
    ' "ProductVariants")::{id}',
    "delete all": 'DELETE FROM "ProductVariants"',
    "delete images": 'DELETE FROM "ProductImages"',
    "new ids": 'UPDATE "ProductVariants" SET "Id" = gen_random_uuid()::text::{id}',
    "swapped ids": "".join(
        f'UPDATE "ProductVariants" SET "Id" = \'{new}\' WHERE "Id" = \'{old}\';'
        for old, new in ((ONE, SPARE), (TWO, ONE), (SPARE, TWO))
    ),
    "reused id": 'DELETE FROM "ProductVariants" WHERE "Sku" = \'sku-2\'; INSERT INTO'
    ' "ProductVariants" ("Id", "Sku", "Title") VALUES (\'' + TWO + "', 'sku-2', 'Another')"
    " ON CONFLICT DO NOTHING",
    "ids of images": 'UPDATE "ProductImages" SET "Id" = gen_random_uuid()',
    "ids as text": 'ALTER TABLE "ProductVariants" ALTER "Id" DROP DEFAULT, ALTER "Id" TYPE text;'
    ' ALTER TABLE "ProductImages" ALTER "ProductVariantId" TYPE text',
    "ids as uuid": 'ALTER TABLE "ProductVariants" ALTER "Id" TYPE uuid USING "Id"::uuid;'
    ' ALTER TABLE "ProductImages" ALTER "ProductVariantId" TYPE uuid USING'
    ' "ProductVariantId"::uuid',
    "type of title": 'ALTER TABLE "ProductVariants" ALTER "Title" TYPE varchar(200)',
    "no description": 'ALTER TABLE "ProductVariants" DROP COLUMN IF EXISTS "Description"',
    "description": 'ALTER TABLE "ProductVariants" ADD COLUMN IF NOT EXISTS "Description" text',
    "no position": 'ALTER TABLE "ProductImages" DROP COLUMN IF EXISTS "Position"',
    "no key": 'ALTER TABLE "ProductVariants" DROP CONSTRAINT IF EXISTS "ProductVariants_pkey"',
    "drop variants": DROP.format(table="ProductVariants"),
    "restore variants": RESTORE.format(table="ProductVariants"),
    "drop images": DROP.format(table="ProductImages"),
    "restore images": RESTORE.format(table="ProductImages"),
    "rename away": 'ALTER TABLE "ProductVariants" RENAME TO "Variants"; UPDATE "Variants" SET'
    ' "Title" = \'Away\' WHERE "Sku" = \'sku-3\'; ALTER TABLE "Variants" RENAME TO'
    ' "ProductVariants"',
    "edit": 'UPDATE "ProductVariants" SET "Title" = "Title" || \'!\', "Price" = 1',
    "insert": 'INSERT INTO "ProductVariants" ("Id", "Sku", "Title") SELECT'
    " gen_random_uuid()::text::{id}, 'sku-1', 'More'",
    "move images": 'UPDATE "ProductImages" SET "ProductVariantId" = gen_random_uuid()::text::{id}',
}
"""Statements of the shop by name; `{id}` is the type of its ids."""

PAIRS = {"drop variants": "restore variants", "drop images": "restore images"}
"""Statements after which only their counterpart comes: the table is missing in between."""

HOSTED = (
    'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl") SELECT "Id",'
    " 'http://shop.test/1.png' FROM \"ProductVariants\""
)


@contextmanager
def embedded_shop(server: str, prepared: str) -> Iterator[Database]:
    """A shop after `init`, triggers, two backfills and a switch, so with three sets in turn."""
    with created(server, template=prepared) as url, closing(Database(url)) as database:
        fill(database, PRODUCTS)
        triggers.create(database)
        embed(database)
        build(database, OTHERS)
        change(database)
        database.run(lambda connection: connection.execute(HOSTED))
        yield database


def do(database: Database, name: str) -> None:
    """Run a statement as the shop does."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        id_type = schema.columns(connection, "ProductVariants").get("Id", "uuid")
        statement = STATEMENTS[name].replace("{id}", id_type)
        connection.execute(statement.encode())


def ids_in_shop(database: Database) -> set[str]:
    if rows(database, "SELECT to_regclass('\"ProductVariants\"')") == [(None,)]:
        return set()
    return {id_ for (id_,) in rows(database, 'SELECT "Id"::text FROM "ProductVariants"')}


def found_by_any_search(database: Database, search: PostgresProductSearch) -> set[str]:
    """Return the ids that any search finds; a search may be refused in words."""
    vector = np.full(1024, 1 / 32, np.float32)
    combined = np.full(768, 1 / np.sqrt(768), np.float32)
    queries = (
        SearchQuery(column="text", vector=vector, text=vector),
        SearchQuery(column="combined", vector=combined, text=vector),
        SearchQuery(column="text", vector=vector, text=vector, words="Product"),
        SearchQuery(column="text", vector=vector, text=vector, words="sku-1"),
    )
    sample = CatalogueSample(database)
    found: set[str] = set()
    for query in queries:
        with suppress(ShelfsightError):
            found |= {one.id for one in search.candidates(query, Filters(), 50)}
    with suppress(ShelfsightError):
        found |= {one.id for one in sample.spread(None, 50)}
    for id_ in (ONE, TWO):
        with suppress(ShelfsightError):
            found |= {id_} if search.vectors(id_, Filters()) is not None else set()
    return found


def counts(database: Database) -> list[int]:
    """Return every count of products with vectors that we show."""
    shown: list[int] = []
    with suppress(ShelfsightError):
        shown.append(stored_status.read(database).total)
        shown.append(sum(row.rows for row in stored_status.read(database).by_source))
        shown.append(CatalogueSample(database).counts(None).embedded)
    return shown


def check(server: str, prepared: str, names: list[str]) -> None:
    with embedded_shop(server, prepared) as database:
        search = PostgresProductSearch(database)
        search.require(OTHERS)
        assert found_by_any_search(database, search) == ids_in_shop(database)
        missing: str | None = None
        for name in names:
            if missing not in (None, name):
                continue
            if missing is None and name in PAIRS.values():
                continue
            do(database, name)
            missing = PAIRS.get(name)
            here = ids_in_shop(database)
            assert found_by_any_search(database, search) <= here, name
            assert all(count <= len(here) for count in counts(database)), name


@settings(max_examples=4, suppress_health_check=list(HealthCheck), database=None)
@given(names=st.lists(st.sampled_from(sorted(STATEMENTS)), max_size=8))
@example(names=list(STATEMENTS))
@example(names=["ids as text", "edit", "insert", "new ids", "delete one", "move images"])
def test_no_statement_of_the_shop_is_refused_and_what_is_gone_is_not_found(
    server: str, prepared: str, names: list[str]
) -> None:
    check(server, prepared, names)


def test_after_ids_get_another_type_init_says_what_is_left_and_all_goes_on(
    server: str, prepared: str
) -> None:
    with embedded_shop(server, prepared) as database:
        do(database, "ids as text")
        search = PostgresProductSearch(database)
        with pytest.raises(ShelfsightError, match="ALTER TABLE") as refused:
            schema.create(database)
        mend = str(refused.value).partition("run: ")[2].partition("; then")[0]
        database.run(lambda connection: connection.execute(mend.encode()))
        done = schema.create(database)
        assert [line for line in done if "EmbeddingQueue" in line]
        search.require(OTHERS)
        assert found_by_any_search(database, search) == ids_in_shop(database)
        do(database, "edit")
        queued = rows(database, 'SELECT "ProductVariantId" FROM shelfsight."EmbeddingQueue"')
        assert {id_ for (id_,) in queued} >= ids_in_shop(database)
        assert embed(database, OTHERS) == PRODUCTS


def test_a_reused_or_changed_id_gets_the_vector_of_its_own_content(database: Database) -> None:
    """What decides is the hash of the content, not that a row with this id is there."""
    fill(database, 3)
    embed(database)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute('DELETE FROM "ProductVariants" WHERE "Id" = %s', [ONE])
        connection.execute('UPDATE "ProductVariants" SET "Id" = %s WHERE "Id" = %s', [ONE, TWO])
    assert embed(database) == 1
    stored = 'SELECT "ProductText", "TextEmbedding"::text FROM "ProductEmbeddings" WHERE'
    text, vector = rows(database, f"{stored} \"ProductVariantId\" = '{ONE}'")[0]
    assert text == "Product 2"
    prune(database)
    assert rows(database, f"{stored} \"ProductVariantId\" = '{TWO}'") == []
    fill(database, 1, first=2)
    embed(database)
    assert rows(database, f"{stored} \"ProductVariantId\" = '{TWO}'") == [(text, vector)]


@pytest.mark.parametrize("is_new", [True, False])
def test_a_product_that_is_deleted_while_it_is_embedded_leaves_no_row(
    database: Database, is_new: bool
) -> None:
    fill(database, 4)
    if not is_new:
        embed(database)
        database.run(lambda c: c.execute('UPDATE "ProductVariants" SET "Title" = "Sku"'))

    def delete() -> None:
        with psycopg.connect(database.url) as connection:
            connection.execute('DELETE FROM "ProductVariants" WHERE "Price" = 2')

    embed(database, before_page=delete)
    if not is_new:
        prune(database)
    stored = rows(database, 'SELECT "ProductVariantId"::text FROM "ProductEmbeddings"')
    assert {id_ for (id_,) in stored} == ids_in_shop(database)
    assert len(stored) == 3
    assert embed(database) == 0


def test_a_foreign_key_of_the_shop_stays_on_the_table_in_use_alone(
    server: str, prepared: str
) -> None:
    """So the shop deletes a product as before: first its vectors, then the product."""
    with created(server, template=prepared) as url, closing(Database(url)) as database:
        key = (
            'ALTER TABLE "ProductEmbeddings" ADD CONSTRAINT "theirs" FOREIGN KEY'
            ' ("ProductVariantId") REFERENCES "ProductVariants" ("Id")'
        )
        database.run(lambda connection: connection.execute(key.encode()))
        fill(database, PRODUCTS)
        embed(database)
        keys = (
            "SELECT n.nspname, conname, convalidated FROM pg_constraint AS k JOIN pg_class AS t"
            " ON t.oid = conrelid JOIN pg_namespace AS n ON n.oid = t.relnamespace"
            " WHERE contype = 'f' AND confrelid = '\"ProductVariants\"'::regclass"
        )

        def delete(number: int) -> None:
            with psycopg.connect(url, autocommit=True) as connection:
                one = f'(SELECT "Id" FROM "ProductVariants" WHERE "Price" = {number})'
                for statement in (
                    f'DELETE FROM "ProductEmbeddings" WHERE "ProductVariantId" = {one}',
                    f'DELETE FROM "ProductVariants" WHERE "Price" = {number}',
                ):
                    connection.execute(statement.encode())

        build(database, OTHERS)
        delete(1)
        assert rows(database, keys) == [("public", "theirs", True)]
        change(database)
        delete(2)
        assert rows(database, keys) == [("public", "theirs", True)]
        roll_back(database)
        delete(3)
        assert rows(database, keys) == [("public", "theirs", True)]
        left = 'SELECT DISTINCT "ProductVariantId"::text FROM "ProductEmbeddings"'
        assert {id_ for (id_,) in rows(database, left)} == ids_in_shop(database)
