"""Nothing of the shop's changes, whatever our commands do, and in whatever order."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shelfsight.errors import SchemaError, ShelfsightError
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import ModelPair, Selection
from shelfsight.storage import schema
from shelfsight.storage.index.build import BuildLogger
from shelfsight.storage.index.build import build as build_indexes
from shelfsight.storage.prune import prune
from shelfsight.storage.versions import vector_versions
from shelfsight.storage.versions.switch import roll_back, switch
from shelfsight.storage.versions.vector_versions import PREVIOUS_SCHEMA
from tests.conftest import created
from tests.integration.shop_dump import assert_unchanged, dump
from tests.integration.test_vector_versions import (
    MODELS,
    OTHERS,
    build,
    change,
    do,
    embed,
    ignore,
    models_in_use,
)
from tests.shop import fill, rows

COLUMNS: dict[str, tuple[str, object]] = {
    "SourceUrl": ("text", None),
    "ScrapedData": ("json", None),
    "Keywords": ("text[] NOT NULL DEFAULT '{}'", []),
    "Reviewed": ("boolean NOT NULL DEFAULT false", False),
    "Slot": ("integer UNIQUE", None),
    "Number": ("bigint GENERATED ALWAYS AS IDENTITY (START WITH 7 INCREMENT BY 3) UNIQUE", ...),
    "Seen": ("timestamptz DEFAULT clock_timestamp()", ...),
    "Size": ('integer DEFAULT 3 CHECK ("Size" > 0)', 3),
    "100% {mine}": ("text DEFAULT '5% {}'", "5% {}"),
    "Words": ('text GENERATED ALWAYS AS (lower("ProductText")) STORED', ...),
}
"""Columns of the shop: the SQL type, and the default (`...` if it differs from row to row)."""

OBJECTS = (
    'CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON "ProductEmbeddings" FOR EACH ROW'
    " EXECUTE FUNCTION note()",
    'CREATE TRIGGER always AFTER INSERT ON "ProductEmbeddings" FOR EACH ROW'
    ' EXECUTE FUNCTION note(); ALTER TABLE "ProductEmbeddings" ENABLE ALWAYS TRIGGER always;'
    " COMMENT ON TRIGGER always ON \"ProductEmbeddings\" IS 'always'",
    'CREATE TRIGGER off AFTER INSERT ON "ProductEmbeddings" FOR EACH ROW'
    ' EXECUTE FUNCTION note(); ALTER TABLE "ProductEmbeddings" DISABLE TRIGGER off',
    'ALTER TABLE "ProductEmbeddings" ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON'
    ' "ProductEmbeddings" FOR SELECT USING (EXISTS (SELECT FROM "ProductEmbeddings" AS other'
    " WHERE other.\"UserId\" = 'it''s 100%')); COMMENT ON POLICY own ON \"ProductEmbeddings\""
    " IS 'own'",
    'CREATE VIEW "Shown" WITH (security_invoker = true) AS SELECT "Id", "ImageUrl"'
    ' FROM "ProductEmbeddings"; GRANT SELECT ON "Shown" TO PUBLIC',
    'GRANT SELECT ON "ProductEmbeddings" TO PUBLIC;'
    ' GRANT UPDATE ("ImageUrl") ON "ProductEmbeddings" TO PUBLIC',
    'CREATE INDEX "byUrl" ON "ProductEmbeddings" (lower("ImageUrl"));'
    ' ALTER TABLE "ProductEmbeddings" CLUSTER ON "byUrl"; COMMENT ON INDEX "byUrl" IS \'url\'',
    'CREATE STATISTICS "pairs" (ndistinct) ON "UserId", "SourceType" FROM "ProductEmbeddings"',
    'ALTER TABLE "ProductEmbeddings" ADD CONSTRAINT "theirs" FOREIGN KEY ("ProductVariantId")'
    ' REFERENCES "ProductVariants" ("Id") ON UPDATE CASCADE DEFERRABLE;'
    ' COMMENT ON CONSTRAINT "theirs" ON "ProductEmbeddings" IS \'theirs\'',
    'ALTER TABLE "ProductEmbeddings" ADD CONSTRAINT "unchecked" FOREIGN KEY ("ProductId")'
    ' REFERENCES "Products" ("Id") ON DELETE SET NULL NOT VALID',
    'ALTER TABLE "ProductEmbeddings" REPLICA IDENTITY FULL, SET (fillfactor = 90),'
    ' ALTER "ImageUrl" SET STATISTICS 7, ALTER "UserId" SET STORAGE MAIN;'
    ' COMMENT ON COLUMN "ProductEmbeddings"."ImageUrl" IS \'100%\'',
)
"""Statements of the shop, each with other objects on the table."""

SETUP = """
    CREATE TABLE "Log" (what text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN INSERT INTO "Log" VALUES (TG_OP); RETURN NULL; END';
    ALTER TABLE "ProductEmbeddings" ALTER "ProductVariantId" DROP NOT NULL;
    ALTER TABLE "ProductVariants" ADD "IsArchived" boolean
"""

PRODUCTS = 6


class Shop:
    """A shop that uses our commands and writes to `"ProductEmbeddings"` itself."""

    def __init__(self, database: Database, columns: Sequence[str]) -> None:
        self.database = database
        self.columns = columns
        self.turn = 0

    @property
    def defaults(self) -> dict[str, object]:
        return {name: COLUMNS[name][1] for name in self.columns if name != "Words"}

    def backfill(self) -> None:
        embed(self.database, self._in_use())

    def again(self) -> None:
        do(
            self.database,
            'UPDATE "ProductEmbeddings" SET "SourceHash" = \'old\''
            ' WHERE "SourceHash" IS NOT NULL AND "ProductVariantId" IS NOT NULL',
        )
        embed(self.database, self._in_use())

    def retry(self) -> None:
        embed(self.database, self._in_use(), selection=Selection(retry_failed=True))

    def stage(self) -> None:
        build(self.database, OTHERS if self._in_use() == MODELS else MODELS)

    def switch(self) -> None:
        self._quietly(lambda: change(self.database))

    def roll_back(self) -> None:
        self._quietly(lambda: roll_back(self.database))

    def forget(self) -> None:
        self._quietly(lambda: vector_versions.drop_previous(self.database))

    def discard(self) -> None:
        self._quietly(lambda: vector_versions.drop_staged(self.database))

    def prune(self) -> None:
        prune(self.database)

    def index(self) -> None:
        build_indexes(self.database, BuildLogger(ignore), ["shelfsight_text_hnsw"])

    def init(self) -> None:
        assert schema.create(self.database) == []

    def empty(self) -> None:
        """Empty the text of a product, whose vector is then deleted."""
        do(self.database, 'UPDATE "ProductVariants" SET "Title" = NULL WHERE "Price" = 2')
        self.backfill()

    def archive(self) -> None:
        do(self.database, 'UPDATE "ProductVariants" SET "IsArchived" = "Price" < 3')
        self.prune()

    def restore(self) -> None:
        do(self.database, 'UPDATE "ProductVariants" SET "IsArchived" = false, "Title" = "Sku"')
        self.backfill()

    def _in_use(self) -> ModelPair:
        found = dict(models_in_use(self.database))
        return OTHERS if OTHERS.text in found else MODELS

    def _quietly(self, act: Callable[[], object]) -> None:
        """Act, and assert that no trigger of the shop was fired."""
        before = rows(self.database, 'SELECT count(*) FROM "Log"')
        act()
        assert rows(self.database, 'SELECT count(*) FROM "Log"') == before

    def write(self) -> None:
        """Write rows and values of the shop."""
        self.turn += 1
        turn = self.turn
        table = '"ProductEmbeddings"'
        do(self.database, f"DELETE FROM {table} WHERE \"SourceType\" = 'theirs {turn - 2}'")
        do(
            self.database,
            f'INSERT INTO {table} ("ProductVariantId", "SourceType", "TextEmbedding")'
            f" SELECT NULL, 'theirs {turn}', array_fill({turn}, ARRAY[1024])::vector"
            f' UNION ALL SELECT "Id", \'theirs {turn}\', NULL FROM "ProductVariants"'
            f' WHERE "Price" = {turn % PRODUCTS}',
        )
        values = {
            "SourceUrl": f"'http://{turn}'",
            "ScrapedData": f"'{{\"turn\": {turn}}}'",
            "Keywords": f"ARRAY['{turn}']",
            "Reviewed": "true",
            "Slot": f'(hashtext("Id"::text) + {turn})',
            "Size": f"{turn + 10}",
            "100% {mine}": f"'{turn}%'",
        }
        written = [f'"{name}" = {values[name]}' for name in self.columns if name in values]
        if written:
            do(
                self.database,
                f'UPDATE {table} SET {", ".join(written)} WHERE "ProductVariantId" IN (SELECT "Id"'
                f' FROM "ProductVariants" WHERE ("Price"::int + {turn}) % 3 = 0)',
            )


COMMANDS = (
    *("backfill", "again", "stage", "switch", "roll_back", "forget", "discard", "prune", "index"),
    *("init", "empty", "archive", "restore", "retry"),
)
LIFE = (
    *("backfill", "write", "stage", "write", "switch", "write", "empty", "roll_back", "write"),
    *("stage", "switch", "archive", "write", "forget", "restore", "stage", "discard", "again"),
    *(
        "index",
        "stage",
        "archive",
        "switch",
        "write",
        "restore",
        "forget",
        "init",
        "empty",
        "retry",
    ),
)
"""Every command at least once, with writes of the shop between."""


@contextmanager
def shop_with(
    server: str, prepared: str, columns: Sequence[str], objects: Sequence[str]
) -> Iterator[Shop]:
    with (
        created(server, template=prepared) as url,
        closing(Database(url)) as database,
    ):
        do(database, SETUP)
        for name in columns:
            do(database, f'ALTER TABLE "ProductEmbeddings" ADD "{name}" {COLUMNS[name][0]}')
        for statement in objects:
            do(database, statement)
        fill(database, PRODUCTS)
        yield Shop(database, columns)


def check(shop: Shop, commands: Sequence[str], *, refusals: type[Exception] | None = None) -> None:
    """Run the commands; after each that is not the shop's own, nothing of the shop differs."""
    shop.backfill()
    shop.write()
    for command in commands:
        before = dump(shop.database)
        with suppress(*([refusals] if refusals else [])):
            getattr(shop, command)()
        if command != "write":
            assert_unchanged(before, dump(shop.database), shop.defaults)


@pytest.mark.parametrize("is_full", [True, False])
def test_nothing_of_the_shop_changes_in_the_life_of_a_set(
    server: str, prepared: str, is_full: bool
) -> None:
    columns, objects = (sorted(COLUMNS), OBJECTS) if is_full else ([], [])
    with shop_with(server, prepared, columns, objects) as shop:
        check(shop, LIFE)


@settings(max_examples=8, suppress_health_check=list(HealthCheck), database=None)
@given(
    columns=st.sets(st.sampled_from(sorted(COLUMNS))),
    objects=st.sets(st.sampled_from(OBJECTS)),
    commands=st.lists(st.sampled_from((*COMMANDS, *["write", "stage", "switch"] * 3)), max_size=10),
)
def test_nothing_of_the_shop_changes_in_any_order_of_commands(
    server: str, prepared: str, columns: set[str], objects: set[str], commands: list[str]
) -> None:
    with shop_with(server, prepared, sorted(columns), sorted(objects)) as shop:
        check(shop, commands, refusals=ShelfsightError)


def test_a_set_of_an_older_release_is_not_dropped_while_it_has_the_only_copy(
    server: str, prepared: str
) -> None:
    with shop_with(server, prepared, ["SourceUrl"], []) as shop:
        shop.backfill()
        shop.write()
        before = dump(shop.database)
        shop.stage()
        shop.switch()
        do(shop.database, f"COMMENT ON SCHEMA {PREVIOUS_SCHEMA} IS 'of an older release'")
        do(
            shop.database,
            'DELETE FROM "ProductEmbeddings" WHERE "SourceHash" IS NULL;'
            ' UPDATE "ProductEmbeddings" SET "SourceUrl" = NULL',
        )
        with pytest.raises(SchemaError, match="models --rollback"):
            shop.forget()
        shop.roll_back()
        assert_unchanged(before, dump(shop.database), shop.defaults)
        shop.switch()
        shop.forget()
        assert_unchanged(before, dump(shop.database), shop.defaults)


def test_what_the_shop_writes_while_the_indexes_are_built_is_carried_too(
    server: str, prepared: str
) -> None:
    with shop_with(server, prepared, ["SourceUrl", "Number", "Slot"], [OBJECTS[6]]) as shop:
        shop.backfill()
        shop.write()
        shop.stage()

        def write(_message: str) -> None:
            with closing(shop.database.another()) as hand:
                Shop(hand, shop.columns).write()

        written = []
        switch(shop.database, BuildLogger(lambda message: written.append(write(message))))
        assert written
        after = dump(shop.database)
        with closing(vector_versions.open_previous(shop.database)) as previous:
            before = previous.run(_values)
        assert shop.database.run(_values) == before
        assert len(after.rows) > 2


def _values(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        'SELECT "Id", "ProductVariantId", "SourceUrl", "Number", "Slot", "SourceHash" IS NULL'
        ' FROM "ProductEmbeddings" ORDER BY "Id"'
    ).fetchall()


def test_unique_values_that_two_rows_have_exchanged_are_carried(server: str, prepared: str) -> None:
    with shop_with(server, prepared, ["Slot"], []) as shop:
        shop.backfill()
        do(shop.database, 'UPDATE "ProductEmbeddings" SET "Slot" = hashtext("Id"::text)')
        shop.stage()
        shop.switch()
        do(
            shop.database,
            'ALTER TABLE "ProductEmbeddings" DROP CONSTRAINT "ProductEmbeddings_Slot_key";'
            ' UPDATE "ProductEmbeddings" AS e SET "Slot" = (SELECT hashtext(max(o."Id"::text))'
            ' FROM "ProductEmbeddings" AS o WHERE o."Id" <> e."Id")'
            ' WHERE e."Id" IN (SELECT "Id" FROM "ProductEmbeddings" ORDER BY "Id"::text DESC'
            " LIMIT 2);"
            ' ALTER TABLE "ProductEmbeddings" ADD UNIQUE ("Slot")',
        )
        before = dump(shop.database)
        shop.roll_back()
        assert_unchanged(before, dump(shop.database), shop.defaults)


def test_rows_of_the_shop_without_any_key_are_carried(server: str, prepared: str) -> None:
    with shop_with(server, prepared, ["SourceUrl"], []) as shop:
        do(shop.database, 'ALTER TABLE "ProductEmbeddings" DROP "Id"')
        shop.backfill()
        count = 'SELECT "SourceUrl", count(*) FROM "ProductEmbeddings" GROUP BY 1 ORDER BY 1'
        shop.write()
        shop.write()
        before = rows(shop.database, count)
        shop.stage()
        shop.switch()
        assert rows(shop.database, count) == before
        shop.write()
        before = rows(shop.database, count)
        shop.roll_back()
        assert rows(shop.database, count) == before
