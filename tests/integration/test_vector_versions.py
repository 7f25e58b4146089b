"""Vectors of other models are staged next to those in use, switched to at once, and back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from io import StringIO
from threading import Event, Thread

import psycopg
import pytest

from shelfsight.backfill.leases import QueueClaim
from shelfsight.backfill.pipeline import Pipeline, backfill
from shelfsight.backfill.progress import JsonProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.errors import DatabaseError, ModelError, ModelMismatchError, SchemaError
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import Failure, ModelPair, Selection, Vector
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage.changes.change_queue import PostgresQueue
from shelfsight.storage.index import build as index_build
from shelfsight.storage.index.build import Spoken
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.storage.versions import clone_table, vector_versions
from shelfsight.storage.versions.switch import roll_back, switch
from shelfsight.storage.versions.vector_versions import NEXT, PREVIOUS
from shelfsight.testing import MODELS, HashEmbedder, MemoryFetcher
from tests.shop import FUSION, fill, rows

OTHERS = ModelPair(image="other-pixels@1", text="other-words@1")
THIRD = ModelPair(image="third-pixels@1", text="third-words@1")


class Reading(HashEmbedder):
    """Other models give other vectors of the same texts."""

    def embed_texts(self, texts: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        return super().embed_texts([f"{self.models.text} {t}" for t in texts], query=query)


def ignore(_: object) -> None:
    """Hear, and do nothing."""


def nothing() -> None:
    """Do nothing."""


@contextmanager
def parts_for(
    database: Database, models: ModelPair, before_page: Callable[[], None]
) -> Iterator[tuple[Pipeline, HashEmbedder]]:
    embedder = Reading(models=models)
    with (
        closing(database.another()) as reading,
        closing(database.another()) as writing,
        closing(PageEmbedder(embedder, FUSION, ignore)) as pages,
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
    stop: Event | None = None,
    before_page: Callable[[], None] = nothing,
) -> int:
    """Run the real path with these models; gives how many texts were embedded."""
    with parts_for(database, models, before_page) as (pipeline, embedder):
        job = Job(
            selection=Selection(),
            batch_size=10,
            max_batches=0,
            staged=database.schema is not None,
        )
        backfill(pipeline, job, Report(), JsonProgress(StringIO()), stop or Event())
        return embedder.texts_embedded


@pytest.fixture
def shop(database: Database) -> Database:
    """Thirty products with the vectors of `MODELS`."""
    fill(database, 30)
    embed(database)
    return database


def build(database: Database, models: ModelPair = OTHERS) -> int:
    with closing(vector_versions.prepare(database, models)) as new:
        return embed(new, models)


def change(database: Database) -> list[str]:
    return switch(database, Spoken(ignore))


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
    """The score of the product that fits a text best."""
    (vector,) = Reading(models=models).embed_texts([text])
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


def test_a_staged_set_is_not_seen_before_the_switch_and_at_once_after_it(
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
    assert vector_versions.schemas(shop) == {PREVIOUS}
    assert vector_versions.kept_since(shop) is not None
    assert due(shop) == 0


def test_a_build_that_is_stopped_goes_on_and_embeds_no_product_twice(shop: Database) -> None:
    stop = Event()
    with closing(vector_versions.prepare(shop, OTHERS)) as new:
        first = embed(new, OTHERS, stop=stop, before_page=stop.set)
        left = due(new)
    assert 0 < first < 30
    assert left == 30 - first
    assert build(shop) == left
    assert due(shop) == 0


def test_edits_and_deletes_meanwhile_reach_both(shop: Database) -> None:
    build(shop)
    do(shop, 'UPDATE "ProductVariants" SET "Title" = \'New\' WHERE "Sku" = \'sku-1\'')
    do(shop, 'DELETE FROM "ProductVariants" WHERE "Sku" = \'sku-2\'')
    with closing(vector_versions.staged(shop)) as new:
        assert (due(shop), due(new)) == (1, 1)
        assert rows(new, 'SELECT count(*) FROM "ProductEmbeddings"') == [(29,)]
    assert rows(shop, 'SELECT count(*) FROM "ProductEmbeddings"') == [(29,)]
    assert build(shop) == 1
    change(shop)
    assert (due(shop), models_in_use(shop)) == (0, [(OTHERS.text, 29)])


def test_rolling_back_uses_the_old_again_and_tells_what_has_changed_since(shop: Database) -> None:
    build(shop)
    change(shop)
    do(shop, 'UPDATE "ProductVariants" SET "Title" = \'New\' WHERE "Sku" = \'sku-1\'')
    assert embed(shop, OTHERS) == 1
    roll_back(shop)
    assert models_in_use(shop) == [(MODELS.text, 30)]
    assert vector_versions.schemas(shop) == {NEXT}
    assert due(shop) == 1
    change(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]
    assert due(shop) == 0


def test_what_is_not_in_use_can_be_dropped(shop: Database) -> None:
    build(shop)
    vector_versions.discard(shop)
    assert vector_versions.schemas(shop) == set()
    build(shop)
    change(shop)
    vector_versions.forget(shop)
    assert vector_versions.schemas(shop) == set()
    assert models_in_use(shop) == [(OTHERS.text, 30)]
    assert rows(shop, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'shelfsight%'") == []


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (change, "no vectors are staged"),
        (roll_back, "no vectors are kept"),
        (vector_versions.discard, "no vectors are staged"),
        (vector_versions.forget, "no vectors are kept"),
    ],
)
def test_what_is_not_there_is_told(
    shop: Database, act: Callable[[Database], object], what: str
) -> None:
    with pytest.raises(SchemaError, match=what):
        act(shop)


def test_models_that_are_in_use_have_nothing_to_replace(shop: Database) -> None:
    with pytest.raises(ModelError, match="are by hashed-pixels@1 and hashed-words@1 already"):
        vector_versions.prepare(shop, MODELS)
    assert vector_versions.schemas(shop) == set()


def test_two_machines_may_begin_at_the_same_time(shop: Database) -> None:
    failed: list[Exception] = []

    def begin() -> None:
        with closing(shop.another()) as database:
            try:
                vector_versions.prepare(database, OTHERS)
            except DatabaseError as error:
                failed.append(error)

    both = [Thread(target=begin) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert failed == []
    assert build(shop) == 30


def test_a_third_pair_does_not_mix_with_what_is_half_built(shop: Database) -> None:
    build(shop)
    with pytest.raises(ModelMismatchError, match="models --discard"):
        vector_versions.prepare(shop, THIRD)


def test_a_second_switch_does_not_drop_what_is_kept(shop: Database) -> None:
    build(shop)
    change(shop)
    build(shop, THIRD)
    with pytest.raises(SchemaError, match="models --forget"):
        change(shop)
    with pytest.raises(SchemaError, match="models --discard"):
        roll_back(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]


def test_a_run_that_was_at_work_writes_nothing_after_the_switch(shop: Database) -> None:
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


@pytest.mark.parametrize("act", [vector_versions.discard, change])
def test_a_staged_run_writes_nothing_where_its_table_is_gone(
    shop: Database, act: Callable[[Database], object]
) -> None:
    """Its names would reach the table in use."""
    build(shop)
    fill(shop, 20, first=31)
    pages: list[None] = []

    def other_hand() -> None:
        pages.append(None)
        if len(pages) == 2:
            with closing(shop.another()) as hand:
                act(hand)

    with (
        closing(vector_versions.staged(shop)) as new,
        pytest.raises(SchemaError, match="switched or dropped meanwhile"),
    ):
        embed(new, OTHERS, before_page=other_hand)
    by = OTHERS if act is change else MODELS
    (stored,) = models_in_use(shop)
    assert stored[0] == by.text
    assert [run.outcome for run in PostgresLedger(shop).runs(1)] == ["replaced"]


def test_the_new_table_has_the_indexes_rights_and_comments_of_the_old(shop: Database) -> None:
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
        index_build.build(shop, Spoken(ignore))
        previous = shape(shop)
        build(shop)
        change(shop)
        assert shape(shop) == previous
        roll_back(shop)
        assert shape(shop) == previous
        change(shop)
        assert shape(shop) == previous
        vector_versions.forget(shop)
        assert shape(shop) == previous
    finally:
        do(shop, "DROP OWNED BY guest; DROP ROLE guest")


def shape(database: Database) -> list[object]:
    """What psql would say of the two tables."""
    found: list[object] = []
    for table in ("ProductEmbeddings", "EmbeddingFailures"):
        name = f"'\"{table}\"'::regclass"
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
            f" WHERE tablename = '{table}' AND schemaname = 'public'",
        )
    return found


def test_ids_from_a_sequence_go_on_after_the_old_is_dropped(shop: Database) -> None:
    def with_numbers(connection: Connection) -> None:
        connection.execute('ALTER TABLE "ProductEmbeddings" DROP COLUMN "Id"')
        connection.execute('ALTER TABLE "ProductEmbeddings" ADD COLUMN "Id" serial PRIMARY KEY')

    shop.run(with_numbers)
    build(shop)
    change(shop)
    roll_back(shop)
    change(shop)
    vector_versions.forget(shop)
    fill(shop, 1, first=31)
    assert embed(shop, OTHERS) == 1
    numbers = [id_ for (id_,) in rows(shop, 'SELECT "Id" FROM "ProductEmbeddings" ORDER BY 1')]
    assert numbers == list(range(31, 62))


def test_a_view_that_goes_on_reading_the_old_table_is_named(shop: Database) -> None:
    do(shop, 'CREATE VIEW "Shown" AS SELECT "ImageUrl" FROM "ProductEmbeddings"')
    build(shop)
    assert change(shop) == ['view "Shown"']
    with pytest.raises(SchemaError, match='view "Shown" depends on'):
        vector_versions.forget(shop)
    assert vector_versions.schemas(shop) == {PREVIOUS}


def test_a_table_that_refers_to_the_vectors_is_told_before_anything_is_built(
    shop: Database,
) -> None:
    do(
        shop,
        'CREATE TABLE "Liked" ("EmbeddingId" uuid REFERENCES "ProductEmbeddings" ("Id"))',
    )
    with pytest.raises(SchemaError, match='"Liked" refers to rows of "ProductEmbeddings"'):
        vector_versions.prepare(shop, OTHERS)


def test_a_column_added_meanwhile_is_not_lost(shop: Database) -> None:
    build(shop)
    do(shop, 'ALTER TABLE "ProductEmbeddings" ADD "Note" text')
    with pytest.raises(SchemaError, match='"ProductEmbeddings" differs in Note'):
        change(shop)
    assert models_in_use(shop) == [(MODELS.text, 30)]


def test_a_role_without_the_right_is_told_what_to_ask_for(shop: Database) -> None:
    name = rows(shop, "SELECT current_database()")[0][0]
    do(shop, "CREATE ROLE keeper LOGIN")
    try:
        for table in ("ProductEmbeddings", "EmbeddingFailures"):
            do(shop, f'ALTER TABLE "{table}" OWNER TO keeper')
        do(shop, "GRANT ALL ON ALL TABLES IN SCHEMA public TO keeper")
        url = shop.url.replace("postgres@", "keeper@")
        with closing(Database(url)) as theirs:
            with pytest.raises(DatabaseError, match=f'GRANT CREATE ON DATABASE "{name}" TO "keep'):
                vector_versions.prepare(theirs, OTHERS)
            do(shop, f'GRANT CREATE ON DATABASE "{name}" TO keeper')
            with pytest.raises(DatabaseError, match='GRANT CREATE ON SCHEMA "public" TO "keeper"'):
                vector_versions.prepare(theirs, OTHERS)
            do(shop, "GRANT CREATE ON SCHEMA public TO keeper")
            build(theirs)
            change(theirs)
            assert models_in_use(theirs) == [(OTHERS.text, 30)]
    finally:
        do(shop, "REASSIGN OWNED BY keeper TO postgres; DROP OWNED BY keeper")
        do(shop, "DROP ROLE keeper")


def test_a_long_reader_ends_the_switch_with_its_name_and_changes_nothing(shop: Database) -> None:
    build(shop)
    with psycopg.connect(shop.url, application_name="report of the year") as reader:
        reader.execute('SELECT count(*) FROM "ProductEmbeddings"')
        with pytest.raises(DatabaseError, match=r"process \d+ \(report of the year\) has held"):
            switch(shop, Spoken(ignore), patience=0)
    assert models_in_use(shop) == [(MODELS.text, 30)]
    change(shop)
    assert models_in_use(shop) == [(OTHERS.text, 30)]


def test_a_switch_waits_for_a_reader_and_scans_never_see_a_mixture(shop: Database) -> None:
    """Each transaction reads one generation, or is refused."""
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


def test_a_search_that_remembers_the_old_models_is_refused_at_once(shop: Database) -> None:
    """What it knows of the table is fresh for a minute, the table is not."""
    build(shop)
    (vector,) = Reading(models=MODELS).embed_texts(["Product 7"])
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
