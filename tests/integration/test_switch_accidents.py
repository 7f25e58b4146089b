"""What happens beside a switch: rights change, objects are in the way, another hand does it too."""

from collections.abc import Callable
from contextlib import closing
from threading import Thread
from time import sleep

import psycopg
import pytest

from shelfsight.errors import DatabaseError, SchemaError, ShelfsightError
from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage import schema
from shelfsight.storage.index.build import Spoken
from shelfsight.storage.versions import vector_versions
from shelfsight.storage.versions.switch import roll_back, switch
from shelfsight.storage.versions.vector_versions import NEXT, PREVIOUS
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


def test_a_right_that_was_taken_away_does_not_come_back_with_the_old_vectors(
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
        for place in ("", f"{NEXT}."):
            ((rights,),) = rows(shop, f"{own} ('{place}\"ProductEmbeddings\"'::regclass)")
            assert "postgres=arwd" in rights
    finally:
        do(shop, 'DROP OWNED BY "guest 7%"; DROP ROLE "guest 7%"')


def test_statistics_of_several_columns_go_along(shop: Database) -> None:
    do(shop, 'CREATE STATISTICS "pairs" ON "UserId", "SourceType" FROM "ProductEmbeddings"')
    build(shop)
    change(shop)
    roll_back(shop)
    change(shop)
    vector_versions.forget(shop)
    found = rows(
        shop,
        "SELECT stxnamespace::regnamespace::text, stxrelid = '\"ProductEmbeddings\"'::regclass"
        " FROM pg_statistic_ext",
    )
    assert found == [("public", True)]


def test_what_else_lies_in_the_schema_beside_is_named_before_anything_changes(
    shop: Database,
) -> None:
    build(shop)
    do(shop, f"CREATE TABLE {NEXT}.notes (id int)")
    with pytest.raises(SchemaError, match=f"{NEXT} cannot be dropped.*notes"):
        change(shop)
    assert models_in_use(shop) == [(MODELS.text, 30)]


def test_tables_in_two_schemas_change_places_each_in_its_own(shop: Database) -> None:
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
            "SELECT relnamespace::regnamespace::text, relname FROM pg_class WHERE oid IN"
            " ('\"ProductEmbeddings\"'::regclass, '\"EmbeddingFailures\"'::regclass) ORDER BY 2",
        )
        assert found == [("public", "EmbeddingFailures"), ("shop", "ProductEmbeddings")]


def test_tables_of_a_schema_with_an_odd_name_and_ids_of_their_own_change_places(
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
    for table in ("ProductEmbeddings", "EmbeddingFailures", "ProductVariants", "ProductImages"):
        do(shop, f'ALTER TABLE "{table}" SET SCHEMA {odd}')
    do(shop, f'ALTER DATABASE "{name}" SET search_path = {odd}, public')
    with closing(Database(shop.url)) as there:
        build(there)
        change(there)
        roll_back(there)
        change(there)
        vector_versions.forget(there)
        fill(there, 1, first=31)
        assert embed(there, OTHERS) == 1
        assert rows(there, 'SELECT max("Id"), max("Words") FROM "ProductEmbeddings"') == [
            (31, "product 9")
        ]


@pytest.mark.parametrize("text", ["keep until the 3rd of May", "since 2026-99-99 00:00:00+00"])
def test_a_comment_of_the_owner_on_what_is_kept_is_no_date(shop: Database, text: str) -> None:
    build(shop)
    change(shop)
    do(shop, f"COMMENT ON SCHEMA {PREVIOUS} IS '{text}'")
    assert vector_versions.kept_since(shop) is None


def test_when_the_switch_was_is_read_in_any_style_of_dates(shop: Database) -> None:
    name = rows(shop, "SELECT current_database()")[0][0]
    do(shop, f"ALTER DATABASE \"{name}\" SET datestyle = 'SQL, DMY'")
    with closing(Database(shop.url)) as there:
        build(there)
        change(there)
        do(there, f"ALTER DATABASE \"{name}\" SET datestyle = 'ISO, MDY'")
        previous = vector_versions.kept_since(there)
    after = vector_versions.kept_since(shop)
    ((now,),) = rows(shop, "SELECT now()")
    assert previous == after
    assert after is not None
    assert abs((now - after).total_seconds()) < 600


def test_a_process_of_another_database_is_not_blamed(
    shop: Database, server: str, prepared: str
) -> None:
    """A copy of a database has tables of the same numbers."""
    build(shop)
    with (
        created(server, template=prepared) as copy,
        psycopg.connect(copy, application_name="of the copy") as other,
    ):
        other.execute('SELECT FROM "ProductEmbeddings"')
        with psycopg.connect(shop.url, application_name="of the shop") as reader:
            reader.execute('SELECT FROM "ProductEmbeddings"')
            with pytest.raises(DatabaseError, match=r"\(of the shop\) has held"):
                switch(shop, Spoken(ignore), patience=0)


@pytest.mark.parametrize("act", [change, roll_back])
def test_of_two_hands_at_once_one_changes_over_and_the_other_is_told(
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
def test_a_rule_that_was_made_meanwhile_is_not_lost(shop: Database, added: str) -> None:
    build(shop)
    do(shop, added)
    with pytest.raises(SchemaError, match='"ProductEmbeddings" differs in short from the one in'):
        change(shop)
    do(shop, added.replace('"ProductEmbeddings"', f'{NEXT}."ProductEmbeddings"'))
    change(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]


def test_an_index_that_another_hand_builds_meanwhile_ends_the_switch_in_a_line(
    shop: Database,
) -> None:
    for name in ("first", "second"):
        do(shop, f'CREATE INDEX {name} ON "ProductEmbeddings" ("ImageUrl")')
    build(shop)

    def other_hand(message: str) -> None:
        if "Built first" in message:
            with closing(shop.another()) as hand:
                do(hand, f'CREATE INDEX second ON {NEXT}."ProductEmbeddings" ("ImageUrl")')

    with pytest.raises(SchemaError, match="by another process meanwhile; see: shelfsight models"):
        switch(shop, Spoken(other_hand))
    change(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]


def test_what_is_kept_from_an_older_version_gets_its_new_columns_from_init(
    shop: Database,
) -> None:
    def age(connection: Connection) -> None:
        for place in (NEXT, "public", PREVIOUS):
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
