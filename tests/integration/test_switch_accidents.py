"""Switches that meet changed grants, foreign objects or a second switch at the same time."""

from collections.abc import Callable
from contextlib import closing
from threading import Thread
from time import sleep

import psycopg
import pytest

from shelfsight.errors import DatabaseError, SchemaError, ShelfsightError
from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage import schema
from shelfsight.storage.index.build import BuildLogger
from shelfsight.storage.versions import vector_versions
from shelfsight.storage.versions.switch import roll_back, switch
from shelfsight.storage.versions.vector_versions import PREVIOUS_SCHEMA, STAGED_SCHEMA
from shelfsight.testing import MODELS
from tests.conftest import created
from tests.integration.test_vector_versions import (
    OTHERS,
    build,
    change,
    do,
    due,
    embed,
    ignore,
    models_in_use,
    shop,
)
from tests.shop import fill, rows

__all__ = ["shop"]


def may_read(database: Database, role: str) -> bool:
    ((may,),) = rows(
        database, f"SELECT has_any_column_privilege('{role}', '\"ProductEmbeddings\"', 'SELECT')"
    )
    return may


def policies(database: Database) -> list[str]:
    return [
        name
        for (name,) in rows(
            database, "SELECT policyname FROM pg_policies WHERE schemaname = 'public' ORDER BY 1"
        )
    ]


def test_a_revoked_privilege_does_not_come_back_with_the_previous_set(
    shop: Database,
) -> None:
    def prepare(connection: Connection) -> None:
        connection.execute('CREATE ROLE "guest 7%"')
        connection.execute('GRANT SELECT ON "ProductEmbeddings" TO "guest 7%" WITH GRANT OPTION')
        connection.execute('GRANT SELECT ("ImageUrl") ON "ProductEmbeddings" TO "guest 7%"')
        connection.execute('GRANT SELECT ("ImageUrl") ON "ProductEmbeddings" TO CURRENT_USER')
        connection.execute('ALTER TABLE "ProductEmbeddings" ENABLE ROW LEVEL SECURITY')
        connection.execute('CREATE POLICY all_rows ON "ProductEmbeddings" TO "guest 7%"')

    try:
        shop.run(prepare)
        build(shop)
        change(shop)
        assert (may_read(shop, "guest 7%"), policies(shop)) == (True, ["all_rows"])
        do(shop, 'REVOKE ALL ON "ProductEmbeddings" FROM "guest 7%"')
        do(shop, 'DROP POLICY all_rows ON "ProductEmbeddings"')
        roll_back(shop)
        assert (may_read(shop, "guest 7%"), policies(shop)) == (False, [])
        own = "SELECT coalesce(relacl::text, 'postgres=arwdDxtm') FROM pg_class WHERE oid IN"
        for place in ("", f"{STAGED_SCHEMA}."):
            ((rights,),) = rows(shop, f"{own} ('{place}\"ProductEmbeddings\"'::regclass)")
            assert "postgres=arwd" in rights
    finally:
        do(shop, 'DROP OWNED BY "guest 7%"; DROP ROLE "guest 7%"')


def test_extended_statistics_move_with_their_table(shop: Database) -> None:
    do(shop, 'CREATE STATISTICS "pairs" ON "UserId", "SourceType" FROM "ProductEmbeddings"')
    build(shop)
    change(shop)
    roll_back(shop)
    change(shop)
    vector_versions.drop_previous(shop)
    found = rows(
        shop,
        "SELECT stxnamespace::regnamespace::text, stxrelid = '\"ProductEmbeddings\"'::regclass"
        " FROM pg_statistic_ext",
    )
    assert found == [("public", True)]


def test_a_foreign_object_in_the_staged_schema_is_named_before_anything_changes(
    shop: Database,
) -> None:
    build(shop)
    do(shop, f"CREATE TABLE {STAGED_SCHEMA}.notes (id int)")
    with pytest.raises(SchemaError, match=f"{STAGED_SCHEMA} cannot be dropped.*notes"):
        change(shop)
    assert models_in_use(shop) == [(MODELS.text, 30)]


def test_a_table_in_a_schema_beside_that_of_the_shop_is_swapped_there(shop: Database) -> None:
    name = rows(shop, "SELECT current_database()")[0][0]
    do(shop, f'ALTER DATABASE "{name}" SET search_path = public, shop')
    do(shop, 'CREATE SCHEMA shop; ALTER TABLE "ProductEmbeddings" SET SCHEMA shop')
    with closing(Database(shop.url)) as there:
        build(there)
        change(there)
        assert models_in_use(there) == [(OTHERS.text, 30)]
        roll_back(there)
        assert models_in_use(there) == [(MODELS.text, 30)]
        found = rows(
            there,
            "SELECT relnamespace::regnamespace::text FROM pg_class"
            " WHERE oid = '\"ProductEmbeddings\"'::regclass",
        )
        assert found == [("shop",)]


def test_tables_with_identity_columns_in_a_schema_with_an_odd_name_are_swapped(
    shop: Database,
) -> None:
    name = rows(shop, "SELECT current_database()")[0][0]
    odd = """"It's 100% \"\"odd\"\"\""""
    do(shop, f"CREATE SCHEMA {odd}")
    do(shop, 'ALTER TABLE "ProductEmbeddings" DROP COLUMN "Id"')
    do(
        shop,
        'ALTER TABLE "ProductEmbeddings" ADD "Id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,'
        ' ADD "Words" text GENERATED ALWAYS AS (lower("ProductText")) STORED,'
        ' ADD CONSTRAINT "not 5%" CHECK ("ImageUrl" <> \'5%\')',
    )
    do(shop, 'CREATE INDEX "100%" ON "ProductEmbeddings" (lower("ImageUrl"))')
    for table in ("ProductEmbeddings", "ProductVariants", "ProductImages"):
        do(shop, f'ALTER TABLE "{table}" SET SCHEMA {odd}')
    do(shop, f'ALTER DATABASE "{name}" SET search_path = {odd}, public')
    with closing(Database(shop.url)) as there:
        build(there)
        change(there)
        roll_back(there)
        change(there)
        vector_versions.drop_previous(there)
        fill(there, 1, first=31)
        assert embed(there, OTHERS) == 1
        assert rows(there, 'SELECT max("Id"), max("Words") FROM "ProductEmbeddings"') == [
            (31, "product 9")
        ]


@pytest.mark.parametrize("text", ["keep until the 3rd of May", "since 2026-99-99 00:00:00+00"])
def test_a_comment_of_the_owner_on_the_previous_schema_is_not_read_as_a_time(
    shop: Database, text: str
) -> None:
    build(shop)
    change(shop)
    do(shop, f"COMMENT ON SCHEMA {PREVIOUS_SCHEMA} IS '{text}'")
    assert vector_versions.switched_at(shop) is None


def test_the_time_of_the_switch_is_read_in_any_date_style(shop: Database) -> None:
    name = rows(shop, "SELECT current_database()")[0][0]
    do(shop, f"ALTER DATABASE \"{name}\" SET datestyle = 'SQL, DMY'")
    with closing(Database(shop.url)) as there:
        build(there)
        change(there)
        do(there, f"ALTER DATABASE \"{name}\" SET datestyle = 'ISO, MDY'")
        previous = vector_versions.switched_at(there)
    after = vector_versions.switched_at(shop)
    ((now,),) = rows(shop, "SELECT now()")
    assert previous == after
    assert after is not None
    assert abs((now - after).total_seconds()) < 600


def test_a_process_of_another_database_is_not_named_as_the_lock_holder(
    shop: Database, server: str, prepared: str
) -> None:
    """A copy of a database has tables with the same OIDs."""
    build(shop)
    with (
        created(server, template=prepared) as copy,
        psycopg.connect(copy, application_name="of the copy") as other,
    ):
        other.execute('SELECT FROM "ProductEmbeddings"')
        with psycopg.connect(shop.url, application_name="of the shop") as reader:
            reader.execute('SELECT FROM "ProductEmbeddings"')
            with pytest.raises(DatabaseError, match=r"\(of the shop\) has held"):
                switch(shop, BuildLogger(ignore), timeout=0)


@pytest.mark.parametrize("act", [change, roll_back])
def test_of_two_switches_at_once_one_succeeds_and_the_other_reports_it(
    shop: Database, act: Callable[[Database], object]
) -> None:
    build(shop)
    if act is roll_back:
        change(shop)
    told: list[str] = []

    def hand() -> None:
        with closing(shop.another()) as database:
            try:
                act(database)
            except ShelfsightError as error:
                told.append(str(error))
            else:
                told.append("done")

    with psycopg.connect(shop.url) as reader:
        reader.execute('SELECT FROM "ProductEmbeddings"')
        hands = [Thread(target=hand) for _ in range(2)]
        for one in hands:
            one.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while rows(shop, waiting)[0][0] < 2:
            sleep(0.05)
    for one in hands:
        one.join()
    assert sorted(told)[0] == "done"
    assert len(told) == 2
    assert "shelfsight models" in max(told)
    assert models_in_use(shop) == [((OTHERS if act is change else MODELS).text, 30)]


@pytest.mark.parametrize(
    "added",
    [
        'ALTER TABLE "ProductEmbeddings" ADD CONSTRAINT "short" CHECK (length("ImageUrl") < 9999)',
        'ALTER TABLE "ProductEmbeddings" ADD CONSTRAINT "short" UNIQUE ("ProductVariantId", "Id")',
        'CREATE UNIQUE INDEX "short" ON "ProductEmbeddings" ("ProductVariantId", "UserId")',
        'CREATE TRIGGER "short" BEFORE UPDATE ON "ProductEmbeddings" FOR EACH ROW'
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ],
)
def test_a_constraint_added_during_staging_is_not_lost(shop: Database, added: str) -> None:
    build(shop)
    do(shop, added)
    with pytest.raises(SchemaError, match='"ProductEmbeddings" differs in short from the one in'):
        change(shop)
    do(shop, added.replace('"ProductEmbeddings"', f'{STAGED_SCHEMA}."ProductEmbeddings"'))
    change(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]


def test_an_index_built_by_another_process_meanwhile_makes_the_switch_fail_clearly(
    shop: Database,
) -> None:
    for name in ("first", "second"):
        do(shop, f'CREATE INDEX {name} ON "ProductEmbeddings" ("ImageUrl")')
    build(shop)

    def other_hand(message: str) -> None:
        if "Built first" in message:
            with closing(shop.another()) as hand:
                do(hand, f'CREATE INDEX second ON {STAGED_SCHEMA}."ProductEmbeddings" ("ImageUrl")')

    with pytest.raises(SchemaError, match="by another process meanwhile; see: shelfsight models"):
        switch(shop, BuildLogger(other_hand))
    change(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]


def test_init_adds_new_columns_to_a_previous_set_of_an_older_release(
    shop: Database,
) -> None:
    def age(connection: Connection) -> None:
        for place in (STAGED_SCHEMA, "public", PREVIOUS_SCHEMA):
            connection.execute(
                f'ALTER TABLE IF EXISTS {place}."ProductEmbeddings" DROP "ImageFiles"'
            )

    build(shop)
    shop.run(age)
    schema.create(shop)
    fill(shop, 1, first=31)
    assert build(shop) == 1
    change(shop)
    shop.run(age)
    schema.create(shop)
    roll_back(shop)
    assert (models_in_use(shop), due(shop)) == ([(MODELS.text, 30)], 1)
