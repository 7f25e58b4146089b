"""A database of each released schema is migrated with every row, while it is in use."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import psycopg
import pytest

from shelfsight.errors import SchemaError
from shelfsight.postgres.connection import Database
from shelfsight.postgres.statements import trusted
from shelfsight.storage import schema
from shelfsight.storage.api_keys import ApiKeys
from shelfsight.storage.changes.change_queue import PostgresQueue
from shelfsight.storage.migrations import apply, version
from shelfsight.storage.migrations.files import Migration, migrations
from shelfsight.storage.migrations.version import check, latest
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.storage.versions.vector_versions import drop_previous, drop_staged
from shelfsight.testing import HashEmbedder
from tests.integration.scan_server import photo, scan, scan_server, skus
from tests.integration.test_vector_versions import embed
from tests.shop import fill
from tests.upgrade.released import DUMPS, IN_USE, KEY, SETS, TABLES, contents, load, of_columns

ONE = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(params=DUMPS, ids=lambda dump: dump.stem)
def older(request: pytest.FixtureRequest, url: str) -> Iterator[Database]:
    """A database of an earlier release."""
    dump: Path = request.param
    load(url, dump)
    with closing(Database(url)) as database:
        yield database


def execute(database: Database, statement: str) -> None:
    database.run(lambda connection: connection.execute(statement))


def test_every_row_is_as_before_and_nothing_of_ours_is_left_elsewhere(older: Database) -> None:
    before = contents(older.url)
    assert all(before[name] for name in (*TABLES, *SETS)), "the dump must fill each table"
    done = schema.create(older)
    assert f"applied migration {latest():04}" in done[-1]
    assert of_columns(contents(older.url), before) == before
    assert schema.create(older) == []
    with psycopg.connect(older.url) as connection:
        elsewhere = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class AS c"
            " JOIN pg_namespace AS n ON n.oid = relnamespace"
            " WHERE n.nspname <> 'shelfsight' AND relkind IN ('r', 'S') AND EXISTS"
            " (SELECT FROM unnest(%s::text[]) AS one WHERE starts_with(relname, one))"
            " UNION SELECT n.nspname, proname FROM pg_proc JOIN pg_namespace AS n"
            " ON n.oid = pronamespace WHERE proname LIKE '%%queue_changed%%'"
            " AND n.nspname <> 'shelfsight'",
            [list(TABLES)],
        ).fetchall()
    assert elsewhere == []


def test_what_was_begun_goes_on_after_the_migration(older: Database) -> None:
    schema.create(older)
    key = ApiKeys(older).find(KEY)
    assert key is not None
    assert key.owner == "ann"
    (run, *_) = PostgresLedger(older).runs(10)
    assert (run.outcome, run.counts, run.failures) == (
        "stopped",
        {"embedded": 1},
        {"http_404": 1},
    )
    queue = PostgresQueue(older)
    waiting = queue.claim(10, newest=True)
    assert waiting is not None
    execute(older, f'UPDATE "ProductVariants" SET "Title" = \'Newest\' WHERE "Id" = \'{ONE}\'')
    changed = queue.claim(10, newest=True)
    assert changed is None, "a product whose row is claimed is left to its claim"
    queue.drop(waiting)
    changed = queue.claim(10, newest=True)
    assert changed is not None
    assert changed.variants == (ONE,)
    assert max(changed.rows) > max(waiting.rows)
    assert embed(older, IN_USE) > 0
    drop_staged(older)
    drop_previous(older)
    assert {row["VectorSet"] for row in contents_of_failures(older)} <= {"in_use"}


def contents_of_failures(database: Database) -> list[dict[str, object]]:
    with psycopg.connect(database.url, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute('SELECT * FROM shelfsight."EmbeddingFailures"').fetchall()


@contextmanager
def older_backfill(database: Database, ended: Event) -> Iterator[None]:
    """A backfill of that release: it renews its lease, and at last stores a page and ends.

    Its statements find the tables as that release did.
    """

    def renew() -> None:
        with psycopg.connect(database.url, autocommit=True) as connection:
            while not ended.wait(0.05):
                beat(connection, timedelta(seconds=60))
            with connection.transaction():
                connection.execute(
                    'UPDATE "ProductEmbeddings" SET "ProductText" = \'stored at last\''
                    ' WHERE "ProductVariantId" = %s',
                    [ONE],
                )
                connection.execute('UPDATE "EmbeddingFailures" SET "Attempts" = "Attempts" + 1')
                beat(connection, timedelta())

    def beat(connection: psycopg.Connection, lease: timedelta) -> None:
        updated = connection.execute(
            'UPDATE "BackfillLeases" SET "Worker" = \'elsewhere/4711/0a0a0a0a\','
            ' "ExpiresAt" = now() + %s WHERE "Number" = 2',
            [lease],
        )
        assert updated.rowcount == 1
        began.set()

    began = Event()
    worker = Thread(target=renew)
    worker.start()
    assert began.wait(20)
    try:
        yield
    finally:
        ended.set()
        worker.join()


def test_while_a_backfill_is_under_way_init_waits_and_scans_are_answered(older: Database) -> None:
    """`serve` of this release runs on the older schema, during the migration, and after it."""
    before = contents(older.url)
    ended, migrated = Event(), Event()
    answers: list[tuple[str, ...]] = []
    with scan_server(older, HashEmbedder(models=IN_USE), rate_limit=0) as site:

        def ask() -> None:
            while not migrated.is_set() or len(answers) < 20:
                found = scan(site, key=KEY, imageBase64=photo(1), threshold=-1)
                answers.append(tuple(sorted(skus(found))))

        asking = Thread(target=ask)
        asking.start()
        with older_backfill(older, ended):
            with pytest.raises(SchemaError, match=r"elsewhere/4711/0a0a0a0a.*init --wait"):
                schema.create(older)
            assert contents(older.url)["ApiKeys"] == before["ApiKeys"]
            waited: list[str] = []

            def end_soon(message: str) -> None:
                waited.append(message)
                Thread(target=lambda: (sleep(1), ended.set())).start()

            began = monotonic()
            done = schema.create(older, end_soon)
            assert monotonic() - began >= 1
        assert len(waited) == 1
        assert f"applied migration {latest():04}" in done[-1]
        seen = len(answers)
        while len(answers) < seen + 10 and asking.is_alive():
            sleep(0.01)
        migrated.set()
        asking.join()
    assert set(answers) == {("sku-1", "sku-2", "sku-3")}
    after = of_columns(contents(older.url), before)
    assert {row["ProductText"] for row in after["public"]} >= {"stored at last"}
    assert [row["Attempts"] for row in after["EmbeddingFailures"] if row["VectorSet"] == "in_use"]
    for name in ("BackfillRuns", "ApiKeys", "ScanFeedback", "EmbeddingQueue", *SETS[1:]):
        assert after[name] == before[name]


def test_the_shop_writes_throughout_and_each_change_is_queued(older: Database) -> None:
    """The triggers call a function that the migration moves with the queue."""
    stop = Event()
    written: list[int] = []

    def write(number: int) -> None:
        count = 0
        with psycopg.connect(older.url, autocommit=True) as connection:
            while not stop.is_set() or count < 5:
                connection.execute(
                    'INSERT INTO "ProductVariants" ("Title", "Sku") VALUES (%s, %s)',
                    [f"{number} {count}", "of the shop"],
                )
                connection.execute(
                    'UPDATE "ProductVariants" SET "Title" = "Title" || \'!\' WHERE "Id" = %s',
                    [ONE],
                )
                count += 1
        written.append(count)

    writers = [Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    sleep(0.2)
    schema.create(older)
    sleep(0.2)
    stop.set()
    for writer in writers:
        writer.join()
    assert len(written) == len(writers)
    with psycopg.connect(older.url) as connection:
        ((queued,),) = connection.execute(
            'SELECT count(DISTINCT v."Id") FROM "ProductVariants" AS v'
            ' JOIN shelfsight."EmbeddingQueue" AS q ON q."ProductVariantId" = v."Id"'
            " WHERE \"Sku\" = 'of the shop'"
        ).fetchall()
    assert queued == sum(written)


@pytest.mark.parametrize(
    "claim",
    [
        'UPDATE "BackfillLeases" SET "ExpiresAt" = now() + interval \'50 s\' WHERE "Number" = 1',
        'UPDATE "EmbeddingQueue" SET "ExpiresAt" = now() + interval \'9 min\'',
    ],
    ids=["between_two_ranges", "watch"],
)
def test_a_worker_between_two_ranges_and_a_watch_are_at_work_too(
    older: Database, claim: str
) -> None:
    before = contents(older.url)
    execute(older, claim)
    with pytest.raises(SchemaError, match=r"elsewhere/471.*shelfsight init --wait"):
        schema.create(older)
    execute(older, claim.replace("now() + ", "now() - "))
    schema.create(older)
    assert len(contents(older.url)["EmbeddingQueue"]) == len(before["EmbeddingQueue"])


def test_columns_that_older_tables_lack_are_added(older: Database) -> None:
    execute(
        older,
        'ALTER TABLE "EmbeddingFailures" DROP "Host";'
        'ALTER TABLE shelfsight_next."EmbeddingFailures" DROP "Host";'
        'ALTER TABLE "BackfillLeases" DROP "Ids", DROP "Left", DROP "Stored"',
    )
    schema.create(older)
    failed = contents(older.url)["EmbeddingFailures"]
    assert {(row["VectorSet"], row["Host"]) for row in failed} == {
        ("in_use", None),
        ("shelfsight_next", None),
        ("shelfsight_previous", "shop.test"),
    }


def test_tables_of_the_shop_that_have_our_names_stay(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('CREATE TABLE "ApiKeys" ("Id" int, "Token" text)')
        connection.execute("INSERT INTO \"ApiKeys\" VALUES (1, 'theirs')")
    with closing(Database(url)) as database:
        schema.create(database)
        assert not ApiKeys(database).exist()
        ApiKeys(database).create(None, "")
        assert ApiKeys(database).exist()
    with psycopg.connect(url) as connection:
        assert connection.execute('SELECT * FROM "ApiKeys"').fetchall() == [(1, "theirs")]


def test_a_role_that_is_called_as_our_schema_finds_the_shop_and_us_apart(url: str) -> None:
    """For it `"$user"`, the first schema of the search path, is `shelfsight`."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE shelfsight SUPERUSER LOGIN")
        try:
            with closing(Database(url.replace("postgres@", "shelfsight@"))) as database:
                schema.create(database)
                assert schema.create(database) == []
                ApiKeys(database).create(None, "")
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1"
            assert connection.execute(tables, ["public"]).fetchall() == [
                ("ProductEmbeddings",),
                ("ProductImages",),
                ("ProductVariants",),
                ("Products",),
            ]
            found = {name for (name,) in connection.execute(tables, ["shelfsight"])}
            assert found == {
                *TABLES,
                "SchemaVersion",
                "Catalog",
                "CatalogueColumns",
                "Calibrations",
                "ConfirmedPhotos",
                "EmbeddingAttempts",
            }
        finally:
            connection.execute("DROP OWNED BY shelfsight CASCADE")
            connection.execute("DROP ROLE shelfsight")


def test_a_newer_schema_is_refused_and_an_older_one_named(database: Database) -> None:
    newer = latest() + 1
    execute(
        database,
        'INSERT INTO shelfsight."SchemaVersion" ("Version", "Name", "Program")'
        f" VALUES ({newer}, 'to_come', '9')",
    )
    words = f"version {newer} .* newer release; .*version {latest()}: upgrade shelfsight"
    with pytest.raises(SchemaError, match=words):
        database.run(check)
    with pytest.raises(SchemaError, match=words):
        schema.create(database)
    execute(database, 'DELETE FROM shelfsight."SchemaVersion"')
    with pytest.raises(SchemaError, match=r"version 0 .*run: shelfsight init"):
        database.run(check)


def test_a_server_that_runs_answers_while_a_newer_release_migrates(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next migration of our tables, as a later release will bring it."""
    fill(database, 3)
    embed(database)
    following = Migration(
        latest() + 1,
        "to_come",
        trusted('ALTER TABLE shelfsight."ScanMeans" ADD "Note" text DEFAULT now()::text'),
    )
    with scan_server(database, rate_limit=0) as site:
        assert len(skus(scan(site, textQuery="Product 1", threshold=-1))) == 3
        with monkeypatch.context() as newer:
            every = (*migrations(), following)
            newer.setattr(apply, "migrations", lambda: every)
            newer.setattr(version, "migrations", lambda: every)
            done = schema.create(database)
            assert done == [f"applied migration {following.version:04} (to come)"]
        for _ in range(3):
            assert len(skus(scan(site, textQuery="Product 1", threshold=-1))) == 3
    with pytest.raises(SchemaError, match="upgrade shelfsight"):
        database.run(check)


def test_a_migration_that_fails_leaves_everything_as_it_was(
    older: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(older.url)
    (first, *_) = migrations()
    broken = first._replace(
        statements=trusted(first.statements.as_string() + "\nSELECT 1 / (SELECT 0)")
    )
    with monkeypatch.context() as broken_release:
        broken_release.setattr(apply, "migrations", lambda: (broken,))
        with pytest.raises(psycopg.errors.DivisionByZero):
            schema.create(older)
    assert of_columns(contents(older.url), before) == before
    schema.create(older)
    assert of_columns(contents(older.url), before) == before


KEYS = """
    SELECT n.nspname, t.relname, conname
    FROM pg_constraint AS k JOIN pg_class AS t ON t.oid = conrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE contype = 'f' AND t.relname <> 'BackfillLeases' ORDER BY 1, 2, 3
"""


def keys(database: Database) -> list[tuple[str, ...]]:
    return database.run(lambda connection: connection.execute(KEYS).fetchall())


def test_foreign_keys_to_the_shop_go_and_those_of_the_shop_stay(older: Database) -> None:
    theirs = {
        ("public", "Likes", "Likes_ProductVariantId_fkey"),
        ("public", "ProductEmbeddings", "theirs"),
        ("public", "ProductImages", "theirs"),
    }
    key = 'FOREIGN KEY ("ProductVariantId") REFERENCES "ProductVariants" ("Id") ON DELETE CASCADE'
    execute(
        older,
        f'CREATE TABLE "Likes" ("Id" int, "ProductVariantId" uuid, {key});'
        f' ALTER TABLE "ProductEmbeddings" ADD CONSTRAINT "theirs" {key};'
        f' ALTER TABLE "ProductImages" ADD CONSTRAINT "theirs" {key};'
        # a copy as a staged set had it
        f' ALTER TABLE shelfsight_next."ProductEmbeddings" ADD CONSTRAINT "theirs" {key}',
    )
    assert len(set(keys(older)) - theirs) >= 3, "the dump must have keys of that release"
    schema.create(older)
    assert set(keys(older)) == theirs
    execute(older, 'DROP TABLE "Likes"; ALTER TABLE "ProductEmbeddings" DROP CONSTRAINT "theirs"')
    execute(older, 'ALTER TABLE "ProductImages" DROP CONSTRAINT "theirs"')
    execute(older, 'UPDATE "ProductVariants" SET "Id" = gen_random_uuid()')
    execute(older, 'TRUNCATE "ProductVariants"')
    execute(older, 'ALTER TABLE "ProductVariants" DROP COLUMN "Title"')
    execute(older, 'DROP TABLE "ProductVariants"')


def test_a_key_that_an_orm_of_the_shop_made_under_our_name_stays(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(
            'CREATE TABLE "ProductVariants" ("Id" uuid PRIMARY KEY, "Title" text);'
            ' CREATE TABLE "ProductEmbeddings" ("Id" uuid PRIMARY KEY, "ProductVariantId" uuid'
            ' REFERENCES "ProductVariants" ("Id") ON DELETE CASCADE, "Note" text);'
            ' CREATE TABLE "ProductImages" ("Id" uuid, "ImageUrl" text, "ProductVariantId" uuid'
            ' REFERENCES "ProductVariants" ("Id") ON DELETE CASCADE)'
        )
    with closing(Database(url)) as database:
        before = keys(database)
        schema.create(database)
        assert keys(database) == before
        assert len(before) == 2
