"""The triggers on the shop's tables queue every change, and never block the shop."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres.connection import Database
from shelfsight.postgres.pool import DatabasePool
from shelfsight.storage import schema
from shelfsight.storage.changes import triggers
from shelfsight.storage.changes.change_queue import PostgresQueue
from shelfsight.storage.changes.listener import ChangeListener
from tests.shop import fill, rows

ONE = "00000000-0000-0000-0000-000000000001"
TWO = "00000000-0000-0000-0000-000000000002"
EDIT = 'UPDATE "ProductVariants" SET "Title" = %s WHERE "Id" = %s'
ADD_PICTURE = (
    'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl")'
    " VALUES (%s, 'http://shop.test/1.png')"
)


@pytest.fixture
def shop(database: Database) -> Database:
    """A shop with two products, triggers and an empty queue."""
    fill(database, 2)
    triggers.create(database)
    return database


@contextmanager
def client(database: Database, *, patience: str = "5s") -> Iterator[psycopg.Connection[Any]]:
    """Open a connection of the shop, which fails instead of waiting for a lock."""
    options = f"-c lock_timeout={patience}"
    with psycopg.connect(database.url, options=options) as connection:
        yield connection


@contextmanager
def queue_of(database: Database) -> Iterator[PostgresQueue]:
    with closing(DatabasePool(database.url, 1)) as pool:
        yield PostgresQueue(pool)


def queued(database: Database) -> list[str]:
    query = 'SELECT "ProductVariantId"::text FROM shelfsight."EmbeddingQueue" ORDER BY "Number"'
    return [id_ for (id_,) in rows(database, query)]


def test_each_kind_of_change_is_queued(shop: Database) -> None:
    def after(statement: str) -> list[str]:
        with client(shop) as connection:
            connection.execute('DELETE FROM shelfsight."EmbeddingQueue"')
            connection.execute(statement)
        return queued(shop)

    image = f"('{ONE}', 'http://shop.test/1.png'), ('{ONE}', 'http://shop.test/2.png')"
    insert = 'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl") VALUES '
    assert after(insert + image) == [ONE]
    assert after('UPDATE "ProductImages" SET "Position" = 3') == [ONE]
    assert sorted(after(f'UPDATE "ProductImages" SET "ProductVariantId" = \'{TWO}\'')) == [ONE, TWO]
    assert after('DELETE FROM "ProductImages"') == [TWO]
    assert after('DELETE FROM "ProductImages"') == []
    assert after(f'UPDATE "ProductVariants" SET "Description" = \'x\' WHERE "Id" = \'{ONE}\'') == [
        ONE
    ]
    assert after('UPDATE "ProductVariants" SET "Description" = "Description"') == []
    assert after('UPDATE "ProductVariants" SET "Price" = 9') == []
    assert after(f'INSERT INTO "ProductVariants" ("Id") VALUES (\'{ONE[:-1]}3\')') == [
        f"{ONE[:-1]}3"
    ]


def test_another_first_picture_is_a_change(database: Database) -> None:
    fill(database, 2)
    with client(database) as connection:
        connection.execute('ALTER TABLE "ProductVariants" ADD "ImageId" uuid')
    triggers.create(database)
    with client(database) as connection:
        connection.execute(
            'UPDATE "ProductVariants" SET "ImageId" = %s WHERE "Id" = %s', [TWO, ONE]
        )
    assert queued(database) == [ONE]


def test_deleted_products_and_both_ids_of_a_changed_id_are_queued(shop: Database) -> None:
    new = f"{ONE[:-1]}9"
    with client(shop) as connection:
        connection.execute('UPDATE "ProductVariants" SET "Id" = %s WHERE "Id" = %s', [new, ONE])
        connection.execute('DELETE FROM "ProductVariants" WHERE "Id" = %s', [TWO])
    assert queued(shop) == [new, ONE, TWO]


@pytest.mark.parametrize(
    "change",
    [
        'DROP "Title"',
        'DROP "Title", DROP "Description"',
        'ALTER "Title" TYPE varchar(100)',
        'ALTER "Id" DROP DEFAULT, ALTER "Id" TYPE text',
        'RENAME "Id" TO "Key"',
        'RENAME "Title" TO "Name"',
    ],
)
def test_the_shop_may_change_what_the_triggers_read_and_write_on(
    shop: Database, change: str
) -> None:
    """Also in a session that has fired the triggers before, by a role with no rights of ours."""
    with client(shop) as connection:
        connection.execute("CREATE ROLE seller")
        connection.execute('GRANT ALL ON "ProductVariants" TO seller')
        connection.execute("SET ROLE seller")
        connection.execute(EDIT, ["Before", ONE])
        connection.execute("RESET ROLE")
        connection.execute(f'ALTER TABLE "ProductVariants" {change}'.encode())
        connection.execute("SET ROLE seller")
        connection.execute('UPDATE "ProductVariants" SET "Sku" = \'New\'')
        connection.execute('DELETE FROM "ProductVariants" WHERE "Price" = 2')
        connection.execute('INSERT INTO "ProductVariants" SELECT * FROM "ProductVariants" LIMIT 0')
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY seller")
        connection.execute("DROP ROLE seller")


def test_a_change_is_notified_when_it_is_committed(shop: Database) -> None:
    with closing(ChangeListener(shop.url)) as listener:
        assert listener.wait(0.01)
        with client(shop) as connection:
            connection.execute(EDIT, ["New", ONE])
        assert listener.wait(30)
    assert queued(shop) == [ONE]


def test_crossing_transactions_do_not_wait_for_each_other(shop: Database) -> None:
    """Adding pictures of the same products in opposite orders must not deadlock."""
    with client(shop) as one, client(shop) as other:
        one.execute(ADD_PICTURE, [ONE])
        other.execute(ADD_PICTURE, [TWO])
        one.execute(ADD_PICTURE, [TWO])
        other.execute(ADD_PICTURE, [ONE])
    assert set(queued(shop)) == {ONE, TWO}


def test_a_locked_waiting_row_does_not_block_a_change(shop: Database) -> None:
    with client(shop) as connection:
        connection.execute(EDIT, ["Before", ONE])
    with client(shop) as one, client(shop) as other:
        one.execute(ADD_PICTURE, [ONE])
        other.execute(ADD_PICTURE, [ONE])
    assert set(queued(shop)) == {ONE}


def test_an_uncommitted_change_is_neither_claimed_nor_lost(shop: Database) -> None:
    with client(shop) as connection, queue_of(shop) as queue:
        connection.execute(EDIT, ["Before", ONE])
        connection.commit()
        connection.execute(EDIT, ["After", ONE])
        assert queue.claim(10, newest=True) is None
        connection.commit()
        claim = queue.claim(10, newest=True)
        assert claim is not None
        assert claim.variants == (ONE,)


def test_a_change_of_a_claimed_product_is_claimed_later(shop: Database) -> None:
    with client(shop) as connection, queue_of(shop) as queue:
        connection.execute(EDIT, ["Before", ONE])
        connection.commit()
        claim = queue.claim(10, newest=True)
        assert claim is not None
        connection.execute(EDIT, ["After", ONE])
        connection.commit()
        assert queue.claim(10, newest=True) is None
        queue.drop(claim)
        assert queue.claim(10, newest=True) is not None


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_of_a_stricter_isolation_level_does_not_fail(
    shop: Database, isolation: str
) -> None:
    with client(shop) as connection, queue_of(shop) as queue:
        connection.execute(EDIT, ["Before", ONE])
        connection.commit()
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        connection.execute('SELECT FROM "ProductVariants"')
        assert queue.claim(10, newest=True) is not None
        connection.execute(EDIT, ["After", ONE])
        connection.commit()
    assert queued(shop) == [ONE, ONE]


def test_a_role_without_rights_on_the_queue_can_still_write_to_the_shop(shop: Database) -> None:
    with client(shop) as connection:
        connection.execute("CREATE ROLE clerk")
        connection.execute('GRANT SELECT, INSERT, UPDATE ON "ProductVariants" TO clerk')
        connection.execute("SET ROLE clerk")
        connection.execute(EDIT, ["New", ONE])
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY clerk")
        connection.execute("DROP ROLE clerk")
    assert queued(shop) == [ONE]


def test_the_shop_can_write_after_the_queue_was_dropped(shop: Database) -> None:
    with client(shop) as connection:
        connection.execute('DROP TABLE shelfsight."EmbeddingQueue"')
        connection.execute(EDIT, ["New", ONE])
    assert rows(shop, f'SELECT "Title" FROM "ProductVariants" WHERE "Id" = \'{ONE}\'') == [("New",)]


def test_creating_again_creates_only_missing_triggers(shop: Database) -> None:
    assert triggers.create(shop) == []
    with client(shop) as connection:
        connection.execute('DROP TRIGGER shelfsight_images_delete ON "ProductImages"')
    assert triggers.create(shop) == ['trigger "shelfsight_images_delete"']
    assert shop.run(triggers.are_enabled)


def test_dropping_leaves_nothing_behind(shop: Database) -> None:
    assert len(triggers.drop(shop)) == 6
    assert triggers.drop(shop) == []
    assert rows(shop, "SELECT FROM pg_proc WHERE proname = 'queue_changed'") == []
    with client(shop) as connection:
        connection.execute(EDIT, ["New", ONE])
    assert queued(shop) == []


def test_a_locked_table_is_named_and_not_blocked(database: Database) -> None:
    with client(database) as busy:
        busy.execute('LOCK TABLE "ProductVariants" IN ROW EXCLUSIVE MODE')
        with pytest.raises(DatabaseError, match='"ProductVariants" is in use'):
            triggers.create(database)


def test_a_view_has_no_triggers(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute('CREATE TABLE items (id text PRIMARY KEY, "Title" text)')
        connection.execute('CREATE VIEW "ProductVariants" AS SELECT id AS "Id", "Title" FROM items')
    with closing(Database(url)) as database:
        schema.create(database)
        with pytest.raises(SchemaError, match="not a table of this database"):
            triggers.create(database)


def test_ids_of_a_custom_type_are_queued(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE DOMAIN sku AS varchar(20)")
        connection.execute(
            'CREATE TABLE "ProductVariants" ("Id" sku PRIMARY KEY, "Title" text, "Price" int)'
        )
    with closing(Database(url)) as database:
        schema.create(database)
        assert len(triggers.create(database)) == 6
        with client(database) as connection:
            connection.execute("INSERT INTO \"ProductVariants\" VALUES ('a', 'A'), ('b', 'B')")
            connection.execute(EDIT, ["New", "a"])
        assert queued(database) == ["b", "a"]
