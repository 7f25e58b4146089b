"""Vectors of other models are staged, switched into use in one transaction, and rolled back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from io import StringIO
from threading import Event, Thread

import psycopg
import pytest

from shelfsight.backfill.leases import QueueClaim
from shelfsight.backfill.pipeline import Pipeline, backfill
from shelfsight.backfill.progress_json import JsonProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.errors import DatabaseError, ModelError, ModelMismatchError, SchemaError
from shelfsight.ports import Advanced
from shelfsight.ports import ignore as nothing_new
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import Failure, ModelPair, Selection, Vector
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage.changes.change_queue import PostgresQueue
from shelfsight.storage.index import build as index_build
from shelfsight.storage.index.build import BuildLogger
from shelfsight.storage.prune import prune
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.storage.versions import clone_table, vector_versions
from shelfsight.storage.versions.switch import roll_back, switch
from shelfsight.storage.versions.vector_versions import PREVIOUS_SCHEMA, STAGED_SCHEMA
from shelfsight.testing import MODELS, HashEmbedder, MemoryFetcher
from tests.shop import FUSION, fill, rows

OTHERS = ModelPair(image="other-pixels@1", text="other-words@1")
THIRD = ModelPair(image="third-pixels@1", text="third-words@1")


class ModelEmbedder(HashEmbedder):
    """Gives each model its own vectors for the same texts."""

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = nothing_new
    ) -> list[Vector | Failure]:
        named = [f"{self.models.text} {text}" for text in texts]
        return super().embed_texts(named, query=query, advanced=advanced)


def ignore(_: object) -> None:
    """Ignore a message."""


def nothing() -> None:
    """Do nothing."""


@contextmanager
def parts_for(
    database: Database, models: ModelPair, before_page: Callable[[], None]
) -> Iterator[tuple[Pipeline, HashEmbedder]]:
    embedder = ModelEmbedder(models=models)
    with (
        closing(database.another()) as reading,
        closing(database.another()) as writing,
        closing(PageEmbedder(embedder, FUSION)) as pages,
    ):
        yield (
            Pipeline(
                catalog=PostgresCatalog(reading),
                fetcher=MemoryFetcher({}),
                embed=lambda page: (before_page(), pages.embed(page))[1],
                models=models,
                store=PostgresVectorStore(writing, FUSION),
                ledger=PostgresLedger(writing),
            ),
            embedder,
        )


def embed(
    database: Database,
    models: ModelPair = MODELS,
    *,
    selection: Selection | None = None,
    stop: Event | None = None,
    before_page: Callable[[], None] = nothing,
) -> int:
    """Run a backfill with these models; return how many texts were embedded."""
    with parts_for(database, models, before_page) as (pipeline, embedder):
        job = Job(
            selection=selection or Selection(),
            batch_size=10,
            max_batches=0,
            staged=database.schema is not None,
        )
        backfill(pipeline, job, Report(), JsonProgress(StringIO()), stop or Event())
        return embedder.texts_embedded


@pytest.fixture
def shop(database: Database) -> Database:
    """Create thirty products with vectors by `MODELS`."""
    fill(database, 30)
    embed(database)
    return database


def build(database: Database, models: ModelPair = OTHERS) -> int:
    with closing(vector_versions.prepare_staged(database, models)) as new:
        return embed(new, models)


def change(database: Database) -> list[str]:
    return switch(database, BuildLogger(ignore))


def do(database: Database, statement: str) -> None:
    database.run(lambda connection: connection.execute(statement))


def models_in_use(database: Database) -> list[tuple[str, int]]:
    return rows(
        database,
        'SELECT "ModelVersions" ->> \'text\', count(*) FROM "ProductEmbeddings" GROUP BY 1',
    )


def due(database: Database) -> int:
    return PostgresCatalog(database).due(Selection()).products


def best(database: Database, models: ModelPair, text: str) -> float:
    """Return the text score of the best match for a text."""
    (vector,) = ModelEmbedder(models=models).embed_texts([text])
    search = PostgresProductSearch(database)
    search.require(models)
    found = search.candidates(SearchQuery(column="text", vector=vector, text=vector), Filters(), 5)
    return max(candidate.text_score or 0 for candidate in found)


def test_changes_are_claimed_while_the_staged_tables_are_created(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes an advisory lock, and not the same one."""
    impatient = Database(f"{shop.url}&options=-c%20statement_timeout%3D20s")
    claimed: list[QueueClaim | None] = []
    create = clone_table.create

    def create_while_claiming(connection: Connection, schema: str) -> None:
        create(connection, schema)
        with closing(impatient):
            claimed.append(PostgresQueue(impatient).claim(1, newest=True))

    monkeypatch.setattr(clone_table, "create", create_while_claiming)
    build(shop)
    assert claimed == [None]


def test_a_staged_set_is_invisible_until_the_switch_and_in_use_right_after_it(
    shop: Database,
) -> None:
    assert build(shop) == 30
    assert models_in_use(shop) == [(MODELS.text, 30)]
    assert best(shop, MODELS, "Product 7") > 0.99
    change(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]
    assert best(shop, OTHERS, "Product 7") > 0.99
    with pytest.raises(ModelMismatchError):
        best(shop, MODELS, "Product 7")
    assert vector_versions.existing_schemas(shop) == {PREVIOUS_SCHEMA}
    assert vector_versions.switched_at(shop) is not None
    assert due(shop) == 0


def test_a_stopped_staging_resumes_and_embeds_no_product_twice(shop: Database) -> None:
    stop = Event()
    with closing(vector_versions.prepare_staged(shop, OTHERS)) as new:
        first = embed(new, OTHERS, stop=stop, before_page=stop.set)
        left = due(new)
    assert 0 < first < 30
    assert left == 30 - first
    assert build(shop) == left
    assert due(shop) == 0


def test_edits_and_deletes_during_staging_reach_both_sets(shop: Database) -> None:
    build(shop)
    do(shop, 'UPDATE "ProductVariants" SET "Title" = \'New\' WHERE "Sku" = \'sku-1\'')
    do(shop, 'DELETE FROM "ProductVariants" WHERE "Sku" = \'sku-2\'')
    with closing(vector_versions.open_staged(shop)) as new:
        assert (due(shop), due(new)) == (1, 1)
    assert build(shop) == 1
    change(shop)
    assert prune(shop).embeddings == 1
    assert (due(shop), models_in_use(shop)) == (0, [(OTHERS.text, 29)])


def test_a_rollback_puts_the_previous_set_in_use_and_changed_products_are_due(
    shop: Database,
) -> None:
    build(shop)
    change(shop)
    do(shop, 'UPDATE "ProductVariants" SET "Title" = \'New\' WHERE "Sku" = \'sku-1\'')
    assert embed(shop, OTHERS) == 1
    roll_back(shop)
    assert models_in_use(shop) == [(MODELS.text, 30)]
    assert vector_versions.existing_schemas(shop) == {STAGED_SCHEMA}
    assert due(shop) == 1
    change(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]
    assert due(shop) == 0


def test_the_staged_and_the_previous_set_can_be_dropped(shop: Database) -> None:
    build(shop)
    vector_versions.drop_staged(shop)
    assert vector_versions.existing_schemas(shop) == set()
    build(shop)
    change(shop)
    vector_versions.drop_previous(shop)
    assert vector_versions.existing_schemas(shop) == set()
    assert models_in_use(shop) == [(OTHERS.text, 30)]
    assert rows(shop, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'shelfsight\\_%'") == []


def test_each_set_keeps_its_own_failures(shop: Database) -> None:
    def failed() -> list[tuple[object, ...]]:
        return rows(
            shop, 'SELECT "VectorSet", "Kind" FROM shelfsight."EmbeddingFailures" ORDER BY 1'
        )

    def fail(kind: str, vector_set: str) -> None:
        do(
            shop,
            'INSERT INTO shelfsight."EmbeddingFailures" ("ProductVariantId", "Stage", "Kind",'
            ' "Message", "SourceHash", "VectorSet")'
            f" SELECT \"Id\", 'fetch', '{kind}', '', '', '{vector_set}'"
            ' FROM "ProductVariants" WHERE "Sku" = \'sku-1\'',
        )

    fail("of_a_staged_set_dropped_by_hand", STAGED_SCHEMA)
    build(shop)
    fail("old", "in_use")
    fail("new", STAGED_SCHEMA)
    fail("of_a_previous_set_dropped_by_hand", PREVIOUS_SCHEMA)
    change(shop)
    assert failed() == [("in_use", "new"), (PREVIOUS_SCHEMA, "old")]
    roll_back(shop)
    assert failed() == [("in_use", "old"), (STAGED_SCHEMA, "new")]
    change(shop)
    vector_versions.drop_previous(shop)
    assert failed() == [("in_use", "new")]


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (change, "no vectors are staged"),
        (roll_back, "no vectors are kept"),
        (vector_versions.drop_staged, "no vectors are staged"),
        (vector_versions.drop_previous, "no vectors are kept"),
    ],
)
def test_a_missing_set_is_reported(
    shop: Database, act: Callable[[Database], object], what: str
) -> None:
    with pytest.raises(SchemaError, match=what):
        act(shop)


def test_staging_the_models_in_use_is_refused(shop: Database) -> None:
    with pytest.raises(ModelError, match="are by hashed-pixels@1 and hashed-words@1 already"):
        vector_versions.prepare_staged(shop, MODELS)
    assert vector_versions.existing_schemas(shop) == set()


def test_two_machines_can_start_staging_at_the_same_time(shop: Database) -> None:
    failed: list[Exception] = []

    def begin() -> None:
        with closing(shop.another()) as database:
            try:
                vector_versions.prepare_staged(database, OTHERS)
            except DatabaseError as error:
                failed.append(error)

    both = [Thread(target=begin) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert failed == []
    assert build(shop) == 30


def test_vectors_of_a_third_pair_are_not_mixed_into_the_staged_set(shop: Database) -> None:
    build(shop)
    with pytest.raises(ModelMismatchError, match="models --discard"):
        vector_versions.prepare_staged(shop, THIRD)


def test_a_second_switch_does_not_drop_the_previous_set(shop: Database) -> None:
    build(shop)
    change(shop)
    build(shop, THIRD)
    with pytest.raises(SchemaError, match="models --forget"):
        change(shop)
    with pytest.raises(SchemaError, match="models --discard"):
        roll_back(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]


def test_a_run_in_progress_writes_nothing_after_the_switch(shop: Database) -> None:
    build(shop)
    fill(shop, 20, first=31)
    pages: list[None] = []

    def other_hand() -> None:
        pages.append(None)
        if len(pages) == 2:
            with closing(shop.another()) as hand:
                change(hand)

    with pytest.raises(ModelMismatchError, match="switched to those of other models"):
        embed(shop, MODELS, before_page=other_hand)
    assert models_in_use(shop) == [(OTHERS.text, 30)]


@pytest.mark.parametrize("act", [vector_versions.drop_staged, change])
def test_a_staged_run_writes_nothing_after_its_tables_are_gone(
    shop: Database, act: Callable[[Database], object]
) -> None:
    """The table names alone would mean the tables in use."""
    build(shop)
    fill(shop, 20, first=31)
    pages: list[None] = []

    def other_hand() -> None:
        pages.append(None)
        if len(pages) == 2:
            with closing(shop.another()) as hand:
                act(hand)

    with (
        closing(vector_versions.open_staged(shop)) as new,
        pytest.raises(SchemaError, match="switched or dropped meanwhile"),
    ):
        embed(new, OTHERS, before_page=other_hand)
    by = OTHERS if act is change else MODELS
    (stored,) = models_in_use(shop)
    assert stored[0] == by.text
    assert [run.outcome for run in PostgresLedger(shop).runs(1)] == ["replaced"]


def test_the_new_table_has_the_indexes_grants_and_comments_of_the_old(shop: Database) -> None:
    def prepare(connection: Connection) -> None:
        connection.execute("CREATE ROLE guest")
        connection.execute('GRANT SELECT ON "ProductEmbeddings" TO guest WITH GRANT OPTION')
        connection.execute('GRANT UPDATE ("ImageUrl") ON "ProductEmbeddings" TO guest')
        connection.execute('ALTER TABLE "ProductEmbeddings" ENABLE ROW LEVEL SECURITY')
        connection.execute(
            'CREATE POLICY own ON "ProductEmbeddings" FOR SELECT TO guest'
            " USING (\"UserId\" = 'it''s 100%')"
        )
        connection.execute("COMMENT ON TABLE \"ProductEmbeddings\" IS 'by 100% hand'")
        connection.execute('CREATE INDEX "byUrl" ON "ProductEmbeddings" (lower("ImageUrl"))')
        connection.execute('ALTER TABLE "ProductEmbeddings" SET (fillfactor = 90)')

    try:
        shop.run(prepare)
        index_build.build(shop, BuildLogger(ignore))
        previous = shape(shop)
        build(shop)
        change(shop)
        assert shape(shop) == previous
        roll_back(shop)
        assert shape(shop) == previous
        change(shop)
        assert shape(shop) == previous
        vector_versions.drop_previous(shop)
        assert shape(shop) == previous
    finally:
        do(shop, "DROP OWNED BY guest; DROP ROLE guest")


def shape(database: Database) -> list[object]:
    """Describe the table of vectors, as psql would."""
    found: list[object] = []
    name = "'\"ProductEmbeddings\"'::regclass"
    found += rows(
        database,
        f"SELECT relacl::text, reloptions, relrowsecurity, relowner, relnamespace,"
        f" obj_description(oid, 'pg_class') FROM pg_class WHERE oid = {name}",
    )
    found += rows(
        database,
        f"SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index"
        f" WHERE indrelid = {name} ORDER BY 1",
    )
    found += rows(
        database,
        f"SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE conrelid = {name} ORDER BY 1",
    )
    found += rows(
        database,
        f"SELECT attname, format_type(atttypid, atttypmod), attnotnull, attacl::text"
        f" FROM pg_attribute WHERE attrelid = {name} AND attnum > 0 ORDER BY attnum",
    )
    found += rows(
        database,
        "SELECT policyname, roles, cmd, qual, with_check FROM pg_policies"
        " WHERE tablename = 'ProductEmbeddings' AND schemaname = 'public'",
    )
    return found


def test_a_sequence_of_ids_continues_after_the_previous_set_is_dropped(shop: Database) -> None:
    def with_numbers(connection: Connection) -> None:
        connection.execute('ALTER TABLE "ProductEmbeddings" DROP COLUMN "Id"')
        connection.execute('ALTER TABLE "ProductEmbeddings" ADD COLUMN "Id" serial PRIMARY KEY')

    shop.run(with_numbers)
    build(shop)
    change(shop)
    roll_back(shop)
    change(shop)
    vector_versions.drop_previous(shop)
    fill(shop, 1, first=31)
    assert embed(shop, OTHERS) == 1
    numbers = [id_ for (id_,) in rows(shop, 'SELECT "Id" FROM "ProductEmbeddings" ORDER BY 1')]
    assert numbers == [*range(1, 31), 61]


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ('MATERIALIZED VIEW "Shown" AS SELECT "Id" FROM "ProductEmbeddings"', 'view "Shown"'),
        ('VIEW "Shown" AS SELECT e FROM "ProductEmbeddings" AS e', 'view "Shown"'),
        (
            'FUNCTION shown() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM "ProductEmbeddings";'
            " END",
            "function shown()",
        ),
    ],
)
def test_what_still_reads_the_old_table_is_named(shop: Database, statement: str, name: str) -> None:
    do(shop, f"CREATE {statement}")
    build(shop)
    assert [one.removeprefix("materialized ") for one in change(shop)] == [name]
    with pytest.raises(SchemaError, match="depends on"):
        vector_versions.drop_previous(shop)
    assert vector_versions.existing_schemas(shop) == {PREVIOUS_SCHEMA}


def test_a_foreign_key_to_the_vectors_is_reported_before_anything_is_built(
    shop: Database,
) -> None:
    do(
        shop,
        'CREATE TABLE "Liked" ("EmbeddingId" uuid REFERENCES "ProductEmbeddings" ("Id"))',
    )
    with pytest.raises(SchemaError, match='"Liked" refers to rows of "ProductEmbeddings"'):
        vector_versions.prepare_staged(shop, OTHERS)


def test_a_column_added_during_staging_is_not_lost(shop: Database) -> None:
    build(shop)
    do(shop, 'ALTER TABLE "ProductEmbeddings" ADD "Note" text')
    with pytest.raises(SchemaError, match='"ProductEmbeddings" differs in Note'):
        change(shop)
    assert models_in_use(shop) == [(MODELS.text, 30)]


def test_a_role_without_a_privilege_is_told_which_to_ask_for(shop: Database) -> None:
    name = rows(shop, "SELECT current_database()")[0][0]
    do(shop, "CREATE ROLE keeper LOGIN")
    try:
        do(shop, 'ALTER TABLE "ProductEmbeddings" OWNER TO keeper')
        do(shop, "GRANT USAGE ON SCHEMA shelfsight TO keeper")
        for schema in ("public", "shelfsight"):
            do(shop, f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO keeper")
        url = shop.url.replace("postgres@", "keeper@")
        with closing(Database(url)) as theirs:
            with pytest.raises(DatabaseError, match=f'GRANT CREATE ON DATABASE "{name}" TO "keep'):
                vector_versions.prepare_staged(theirs, OTHERS)
            do(shop, f'GRANT CREATE ON DATABASE "{name}" TO keeper')
            with pytest.raises(DatabaseError, match='GRANT CREATE ON SCHEMA "public" TO "keeper"'):
                vector_versions.prepare_staged(theirs, OTHERS)
            do(shop, "GRANT CREATE ON SCHEMA public TO keeper")
            build(theirs)
            change(theirs)
            assert models_in_use(theirs) == [(OTHERS.text, 30)]
    finally:
        do(shop, "REASSIGN OWNED BY keeper TO postgres; DROP OWNED BY keeper")
        do(shop, "DROP ROLE keeper")


def test_a_long_transaction_makes_the_switch_fail_and_is_named(shop: Database) -> None:
    build(shop)
    with psycopg.connect(shop.url, application_name="report of the year") as reader:
        reader.execute('SELECT count(*) FROM "ProductEmbeddings"')
        with pytest.raises(DatabaseError, match=r"process \d+ \(report of the year\) has held"):
            switch(shop, BuildLogger(ignore), timeout=0)
    assert models_in_use(shop) == [(MODELS.text, 30)]
    change(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]


def test_a_switch_waits_for_readers_and_scans_never_see_both_sets(shop: Database) -> None:
    """Each transaction reads one set, or is refused."""
    build(shop)
    over = Event()
    wrong: list[object] = []
    seen: set[str] = set()

    def read() -> None:
        with closing(Database(shop.url)) as database:
            while not over.is_set():
                stored = models_in_use(database)
                if len(stored) != 1 or stored[0][1] != 30:
                    wrong.append(stored)
                seen.update(name for name, _ in stored)

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(3):
            change(shop)
            roll_back(shop)
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert seen == {MODELS.text, OTHERS.text}


def test_a_search_with_the_old_models_is_refused_right_after_the_switch(shop: Database) -> None:
    """Its cache is valid for a minute, but the table has changed."""
    build(shop)
    (vector,) = ModelEmbedder(models=MODELS).embed_texts(["Product 7"])
    search = PostgresProductSearch(shop)
    search_query = SearchQuery(column="text", vector=vector, text=vector)
    search.require(MODELS)
    assert search.candidates(search_query, Filters(), 5)
    with closing(shop.another()) as hand:
        change(hand)
    search.require(MODELS)
    with pytest.raises(ModelMismatchError):
        search.candidates(search_query, Filters(), 5)
    with closing(shop.another()) as hand:
        roll_back(hand)
    search.require(MODELS)
    assert search.candidates(search_query, Filters(), 5)
