"""The shop keeps rows of its own in `"ProductEmbeddings"`: they have no `"SourceHash"`."""

from contextlib import closing
from itertools import combinations, pairwise

import psycopg
import pytest

from shelfsight.backfill.losses import RunPolicy
from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import Selection
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage import schema
from shelfsight.storage.index import indexes
from shelfsight.storage.index.build import BuildLogger, build
from shelfsight.storage.index.recall import measure
from shelfsight.storage.prune import prune
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.search.sample import CatalogueSample
from shelfsight.storage.status import read as read_status
from shelfsight.storage.versions.vector_versions import count_by_model
from shelfsight.testing import MODELS, HashEmbedder
from tests.shop import backfill_all, fill, rows

THEIRS = """
    INSERT INTO "ProductEmbeddings" ("ProductVariantId", "ImageEmbedding", "TextEmbedding",
      "CombinedEmbedding", "ProductText", "SourceType", "ModelVersions")
    SELECT e."ProductVariantId", e."ImageEmbedding", e."TextEmbedding", e."CombinedEmbedding",
      'theirs ' || e."ProductText", 'quick_scan', '{"image": "theirs@1", "text": "theirs@1"}'
    FROM "ProductEmbeddings" AS e, generate_series(1, 3)
    WHERE e."SourceHash" IS NOT NULL
"""
"""The shop's own INSERT: three rows more for each product, with vectors that are near any query."""

STORED = 'SELECT to_jsonb(e) FROM "ProductEmbeddings" AS e WHERE "SourceHash" IS NULL ORDER BY "Id"'

OLDER = """
    DROP INDEX "ProductEmbeddings_variant_unique", "ProductEmbeddings_variant_lookup";
    CREATE UNIQUE INDEX ON "ProductEmbeddings" ("ProductVariantId")
"""
"""What `init` of older releases made."""


def run(database: Database, *statements: str) -> None:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    database.run(work)


def ignore(_: object) -> None:
    """Ignore a message."""


def found(database: Database, text: str) -> list[str | None]:
    (vector,) = HashEmbedder().embed_texts([text])
    search = PostgresProductSearch(database)
    search.require(MODELS)
    query = SearchQuery(column="text", vector=vector, text=vector, words=text)
    return [candidate.title for candidate in search.candidates(query, Filters(), 3)]


def reports(database: Database) -> list[object]:
    """Return everything that counts or finds rows."""
    sample = CatalogueSample(database)
    return [
        read_status(database),
        sample.counts(None),
        sorted(one.id for one in sample.spread(None, 100)),
        count_by_model(database),
        [(one.index.name, one.rows) for one in indexes.read(database)],
        found(database, "Product 3"),
        found(database, "theirs Product 3"),
        PostgresProductSearch(database).coverage(Filters()),
        prune(database, dry_run=True),
    ]


def test_the_shops_rows_of_embedded_products_are_stored_and_never_read_as_ours(
    database: Database,
) -> None:
    fill(database, 9, pictures=True)
    backfill_all(database)
    before = reports(database)
    run(database, THEIRS)
    assert reports(database) == before
    theirs = rows(database, STORED)
    assert len(theirs) == 27
    run(database, """UPDATE "ProductVariants" SET "Title" = 'New ' || "Title" """)
    assert backfill_all(database).embedded == 9
    assert backfill_all(database).found == 0
    assert backfill_all(database, selection=Selection(skip_existing=False)).embedded == 9
    assert rows(database, STORED) == theirs
    run(database, 'DELETE FROM "ProductImages"', 'UPDATE "ProductVariants" SET "Title" = NULL')
    backfill_all(database, policy=RunPolicy(accepts_losses=True))
    assert rows(database, STORED) == theirs
    assert read_status(database).total == 0


def test_a_product_with_rows_of_the_shop_alone_is_new(database: Database) -> None:
    fill(database, 4)
    run(
        database,
        'INSERT INTO "ProductEmbeddings" ("ProductVariantId", "TextEmbedding")'
        ' SELECT "Id", array_fill(1, ARRAY[1024])::vector FROM "ProductVariants", (VALUES (1), (2))'
        " AS twice",
    )
    theirs = rows(database, STORED)
    report = backfill_all(database)
    assert (report.found, report.embedded) == (4, 4)
    assert rows(database, STORED) == theirs
    assert read_status(database).total == 4


def test_archived_products_are_pruned_and_the_shops_rows_of_them_stay(database: Database) -> None:
    fill(database, 5)
    backfill_all(database)
    run(database, THEIRS, 'ALTER TABLE "ProductVariants" ADD "IsArchived" boolean DEFAULT true')
    theirs = rows(database, STORED)
    assert prune(database).embeddings == 5
    assert rows(database, STORED) == theirs


def test_rows_with_a_source_hash_and_without_a_product_are_the_shops(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(
            'CREATE TABLE "ProductEmbeddings" ("Id" serial PRIMARY KEY,'
            ' "ProductVariantId" uuid, "SourceHash" text)'
        )
        connection.execute(
            "INSERT INTO \"ProductEmbeddings\" (\"SourceHash\") VALUES ('a'), ('a'), ('b')"
        )
    with closing(Database(url)) as database:
        schema.create(database)
        assert read_status(database).total == 0
        assert prune(database).embeddings == 0
        assert rows(database, 'SELECT count(*) FROM "ProductEmbeddings"') == [(3,)]


def test_init_replaces_the_unique_index_that_older_releases_made(database: Database) -> None:
    fill(database, 3)
    run(database, OLDER)
    assert backfill_all(database).embedded == 3
    with pytest.raises(DatabaseError, match="duplicate key"):
        run(database, THEIRS)
    assert schema.create(database) == [
        'created unique index on "ProductEmbeddings" ("ProductVariantId") for our rows',
        'created index on "ProductEmbeddings" ("ProductVariantId")',
    ]
    run(database, THEIRS)
    assert schema.create(database) == []
    with pytest.raises(DatabaseError, match="duplicate key"):
        run(database, """UPDATE "ProductEmbeddings" SET "SourceHash" = 'mine'""")


def test_a_unique_constraint_of_the_shop_stays_and_its_row_is_filled(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute('CREATE TABLE "ProductEmbeddings" ("ProductVariantId" uuid UNIQUE)')
        connection.execute('ALTER TABLE "ProductEmbeddings" ADD "SourceUrl" text')
    with closing(Database(url)) as database:
        schema.create(database)
        fill(database, 3)
        run(
            database,
            'INSERT INTO "ProductEmbeddings" ("ProductVariantId", "SourceUrl")'
            ' SELECT "Id", "Sku" FROM "ProductVariants"',
        )
        assert backfill_all(database).embedded == 3
        stored = rows(
            database, 'SELECT "SourceUrl", "ProductText" FROM "ProductEmbeddings" ORDER BY 1'
        )
        assert stored == [(f"sku-{n}", f"Product {n}") for n in (1, 2, 3)]


def test_deleting_a_product_does_not_read_all_vectors(database: Database) -> None:
    """The foreign key looks for all rows of the product, also for those of the shop."""
    assert "ProductEmbeddings_variant_lookup" in database.run(_plan_of_delete)


def _plan_of_delete(connection: Connection) -> str:
    connection.execute("SET LOCAL enable_seqscan = off")
    plan = connection.execute(
        'EXPLAIN DELETE FROM "ProductEmbeddings"'
        " WHERE \"ProductVariantId\" = '00000000-0000-0000-0000-000000000001'"
    )
    return str(plan.fetchall())


@pytest.mark.parametrize("is_old", [False, True])
def test_searches_use_the_indexes_of_this_release_and_of_older_ones(
    database: Database, is_old: bool
) -> None:
    fill(database, 5_100)
    run(
        database,
        'INSERT INTO "ProductEmbeddings" ("ProductVariantId", "TextEmbedding", "SourceHash",'
        ' "ModelVersions") SELECT "Id", (SELECT array_agg(random() - 0.5) FROM'
        " generate_series(1, 1024) WHERE \"Price\" > 0)::vector, 'x',"
        f' \'{{"text": "{MODELS.text}"}}\' FROM "ProductVariants"',
    )
    name = "shelfsight_text_hnsw"
    if is_old:
        run(
            database,
            f'CREATE INDEX {name} ON "ProductEmbeddings"'
            ' USING hnsw (("TextEmbedding"::halfvec(1024)) halfvec_cosine_ops)',
        )
    else:
        build(database, BuildLogger(ignore), [name])
    run(database, "ANALYZE")
    used = f"SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '{name}'"
    found(database, "Product 3")
    run(database, "SELECT pg_stat_force_next_flush()")
    assert rows(database, used)[0][0] > 0
    (state,) = (one for one in indexes.read(database) if one.index.name == name)
    assert measure(database, state)[0].value > 0.3


FAULTS = {
    'RENAME "VariantId" TO "ProductVariantId"': (
        'ALTER TABLE "ProductEmbeddings" RENAME "ProductVariantId" TO "VariantId"'
    ),
    "vector(512)": 'ALTER TABLE "ProductEmbeddings" ALTER "ImageEmbedding" TYPE vector(512)',
    'ALTER "TextEmbedding" DROP NOT NULL': (
        'ALTER TABLE "ProductEmbeddings" ALTER "TextEmbedding" SET NOT NULL'
    ),
    'ALTER "Note" DROP NOT NULL': 'ALTER TABLE "ProductEmbeddings" ADD "Note" text NOT NULL',
    "is json; it must be jsonb": (
        'ALTER TABLE "ProductEmbeddings" ALTER "ModelVersions" TYPE json'
    ),
    "is text; it must be jsonb": 'ALTER TABLE "ProductEmbeddings" ALTER "ImageFiles" TYPE text',
    '"SourceHash" is integer': (
        'ALTER TABLE "ProductEmbeddings" DROP "SourceHash", ADD "SourceHash" integer NOT NULL'
    ),
    'ALTER "Their ""own"" note" DROP NOT NULL': (
        'ALTER TABLE "ProductEmbeddings" ADD "Their ""own"" note" text NOT NULL'
    ),
    'ALTER "Number" ADD GENERATED': (
        'ALTER TABLE "ProductEmbeddings" DROP "Id", ADD "Number" bigint PRIMARY KEY'
    ),
    'ALTER "Code" SET DEFAULT gen_random_uuid()::text': (
        'ALTER TABLE "ProductEmbeddings" ADD "Code" text,'
        ' DROP CONSTRAINT IF EXISTS "ProductEmbeddings_pkey", ADD PRIMARY KEY ("Code")'
    ),
}
"""What the message says of each fault, and what causes it."""

TOGETHER = [fault for fault in FAULTS if '"Number"' not in fault]
SEVERAL = [
    *combinations(FAULTS, 1),
    *pairwise(TOGETHER),
    tuple(TOGETHER),
]  # one primary key at most


@pytest.mark.parametrize("faults", SEVERAL, ids=lambda faults: " and ".join(faults)[:60])
def test_one_init_names_all_faults_and_its_statements_mend_them(
    database: Database, faults: tuple[str, ...]
) -> None:
    run(database, *(FAULTS[fault] for fault in faults))
    with pytest.raises(SchemaError) as refused:
        schema.create(database)
    message = str(refused.value)
    with pytest.raises(SchemaError) as named:
        database.run(schema.check, read_only=True)
    assert str(named.value) == message
    assert [fault for fault in faults if fault not in message] == []
    assert message.count("ALTER TABLE") >= len(faults)
    for line in message.replace("; run: ", "\n  ").replace("; then:", ";\n").splitlines():
        if line.startswith("  "):
            run(database, line)
    schema.create(database)
    fill(database, 3)
    assert backfill_all(database).embedded == 3


def test_several_rows_of_ours_for_one_product_are_left_to_the_shop(database: Database) -> None:
    fill(database, 3)
    backfill_all(database)
    run(
        database,
        'DROP INDEX "ProductEmbeddings_variant_unique"',
        THEIRS,
        """UPDATE "ProductEmbeddings" SET "SourceHash" = 'mine'""",
    )
    with pytest.raises(SchemaError, match="several rows") as refused:
        schema.create(database)
    run(database, str(refused.value).partition("run: ")[2].partition("; then")[0])
    schema.create(database)
    assert rows(database, 'SELECT count(*), count("SourceHash") FROM "ProductEmbeddings"') == [
        (12, 3)
    ]
