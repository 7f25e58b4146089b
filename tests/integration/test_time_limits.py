"""`lock_timeout` and `statement_timeout` end nothing: work pauses and goes on in smaller pieces."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.backfill.leases import Checkpoint
from shelfsight.catalog import where_condition, windows
from shelfsight.catalog.imports.import_file import write_products
from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.errors import DatabaseTimeoutError, LockTimeoutError, SelectionError
from shelfsight.fusion import WeightedMean
from shelfsight.postgres.adaptive_size import AdaptiveSize, Part
from shelfsight.postgres.connection import Database
from shelfsight.postgres.pool import DatabasePool
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.records import Selection, Weights
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage import schema
from shelfsight.storage.changes.change_queue import PostgresQueue
from shelfsight.storage.index import build as index_build
from shelfsight.storage.index.build import BuildLogger
from shelfsight.storage.prune import prune
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import HashEmbedder, MemoryFetcher, direction
from tests.integration.scan_server import problem, scan, scan_server
from tests.shop import FUSION, backfill_all, fill, rows

PRODUCTS = 60
SLOW = 0.004
"""Seconds that each row takes. All at once take longer than `LIMIT`, and eight take less."""
LIMIT = 150
"""Milliseconds that a statement may take."""
IDS = 'SELECT "Id"::text FROM "ProductVariants"'


def limited(url: str, name: str, milliseconds: int) -> Database:
    """A database whose URL sets a time limit."""
    return Database(f"{url}&options={quote(f'-c {name}={milliseconds}ms')}")


def make_slow(database: Database, table: str, when: str) -> None:
    """Make each row of a table take `SLOW` seconds when it is written."""

    def work(connection: psycopg.Connection) -> None:
        connection.execute(
            "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN PERFORM pg_sleep({SLOW});"
            " RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END; END $$"
        )
        connection.execute(
            f"CREATE TRIGGER slow BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION slow()"
        )

    database.run(work)


@contextmanager
def locked(url: str, table: str) -> Iterator[Callable[[], None]]:
    """Lock a table like a migration of the shop; yield what waits until somebody gave up twice."""
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as looking:
        holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

        def wait_for_two() -> None:
            seen: set[object] = set()
            while len(seen) < 2:
                query = "SELECT waitstart FROM pg_locks WHERE NOT granted AND waitstart IS NOT NULL"
                seen |= {row for row in looking.execute(query)}

        yield wait_for_two


def embed(database: Database) -> None:
    assert backfill_all(database).embedded == PRODUCTS


def scan_all(database: Database) -> None:
    assert PostgresCatalog(database).due(Selection()).selected == PRODUCTS


def import_all(database: Database) -> None:
    assert write_products(database, [imported(number) for number in range(40)]).new == 40


def imported(number: int) -> ImportedProduct:
    return ImportedProduct(
        line=number + 2, sku=f"new-{number}", product_key=f"new-{number}", title="New", options={}
    )


def prune_all(database: Database) -> None:
    assert prune(database).embeddings == 0


def build_indexes(database: Database) -> None:
    assert len(index_build.build(database, BuildLogger(lambda _line: None))) == 4


def queue_all(database: Database) -> None:
    queue = PostgresQueue(database)
    queue.add([id_ for (id_,) in rows(database, IDS)], as_change=True)
    claimed = 0
    while claim := queue.claim(32, newest=True):
        claimed += len(claim.rows)
        queue.drop(claim)
    assert claimed == PRODUCTS


@pytest.mark.parametrize(
    ("work", "table"),
    [
        (scan_all, '"ProductVariants"'),
        (embed, '"ProductEmbeddings"'),
        (embed, 'shelfsight."BackfillRuns"'),
        (embed, 'shelfsight."BackfillLeases"'),
        (embed, 'shelfsight."EmbeddingFailures"'),
        (queue_all, 'shelfsight."EmbeddingQueue"'),
        (import_all, '"ProductVariants"'),
        (prune_all, '"ProductEmbeddings"'),
        (build_indexes, '"ProductEmbeddings"'),
    ],
)
def test_work_waits_for_a_lock_that_a_migration_of_the_shop_holds(
    database: Database, work: Callable[[Database], None], table: str
) -> None:
    fill(database, PRODUCTS)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with closing(limited(database.url, "lock_timeout", 30)) as impatient:
                work(impatient)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    with locked(database.url, table) as wait_for_two:
        thread.start()
        wait_for_two()
    thread.join()
    assert errors == []


@pytest.mark.parametrize(
    ("work", "table", "when"),
    [
        (embed, '"ProductEmbeddings"', "INSERT"),
        (embed, 'shelfsight."EmbeddingFailures"', "INSERT"),
        (import_all, '"ProductVariants"', "INSERT"),
        (queue_all, 'shelfsight."EmbeddingQueue"', "INSERT OR UPDATE OR DELETE"),
    ],
)
def test_slow_writes_are_made_in_smaller_pieces(
    database: Database, work: Callable[[Database], None], table: str, when: str
) -> None:
    fill(database, PRODUCTS)
    make_slow(database, table, when)
    with closing(limited(database.url, "statement_timeout", LIMIT)) as hurried:
        work(hurried)


def test_slow_deletes_are_made_in_smaller_pieces(database: Database) -> None:
    fill(database, PRODUCTS)
    embed(database)
    database.run(lambda c: c.execute('DELETE FROM "ProductVariants"'))
    make_slow(database, '"ProductEmbeddings"', "DELETE")
    with closing(limited(database.url, "statement_timeout", LIMIT)) as hurried:
        assert prune(hurried).embeddings == PRODUCTS


def test_slow_recombining_is_done_in_smaller_pieces(database: Database) -> None:
    fill(database, PRODUCTS)
    embed(database)
    make_slow(database, '"ProductEmbeddings"', "UPDATE")
    other = WeightedMean(Weights(image=0.5, text=0.5))
    with closing(limited(database.url, "statement_timeout", LIMIT)) as hurried:
        assert PostgresVectorStore(hurried, other).recombine() == PRODUCTS
    assert PostgresVectorStore(database, other).recombine() == 0


@pytest.fixture
def slow_shop(url: str) -> Iterator[Database]:
    """A shop with numbers as ids, each of whose products takes `SLOW` seconds to read."""
    statements = (
        'CREATE TABLE shop ("Id" bigint PRIMARY KEY, "Title" text)',
        f"INSERT INTO shop SELECT i, 'Mug ' || i FROM generate_series(1, {PRODUCTS}) AS i",
        "ANALYZE shop",
        "CREATE FUNCTION slow_row() RETURNS boolean LANGUAGE plpgsql COST 100000 AS"
        f" $$ BEGIN PERFORM pg_sleep({SLOW}); RETURN true; END $$",
        'CREATE VIEW "ProductVariants" AS SELECT * FROM shop WHERE slow_row()',
        'CREATE TABLE "ProductImages"'
        ' ("Id" serial PRIMARY KEY, "ProductVariantId" bigint, "ImageUrl" text)',
    )
    with closing(Database(url)) as database:
        for statement in statements:
            database.run(lambda connection, one=statement: connection.execute(one))
        schema.create(database)
    with closing(limited(url, "statement_timeout", LIMIT)) as hurried:
        yield hurried


def test_a_slow_catalogue_is_read_in_smaller_windows(slow_shop: Database) -> None:
    catalog = PostgresCatalog(slow_shop)
    assert catalog.due(Selection()).products == PRODUCTS
    partitioning = catalog.partition(Selection(), 10)
    assert partitioning.due == PRODUCTS
    read = [
        product.id
        for one in partitioning.ranges
        for page in catalog.pages(Selection(), 7, one)
        for product in page
    ]
    assert read == [str(number + 1) for number in range(PRODUCTS)]


@pytest.mark.parametrize(
    "where", ["pg_sleep(0.1) IS NOT NULL", "(SELECT pg_sleep(10)) IS NOT NULL"]
)
def test_a_condition_that_waits_is_refused_by_name(
    database: Database, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where_condition, "CONDITION_SECONDS", 0.2)
    monkeypatch.setattr(windows, "CONDITION_SECONDS", 0.2)
    fill(database, PRODUCTS)
    catalog = PostgresCatalog(database)
    with pytest.raises(SelectionError, match=r"--where .*pg_sleep.* took more than .*refused"):
        catalog.due(Selection(where=where))
    with pytest.raises(SelectionError, match="pg_sleep"):
        catalog.partition(Selection(where=where), 10)
    with pytest.raises(SelectionError, match="pg_sleep"):
        list(catalog.pages(Selection(where=where), 10))


def test_a_condition_is_refused_too_under_a_lower_limit_of_the_role(database: Database) -> None:
    fill(database, 2)
    with (
        closing(limited(database.url, "statement_timeout", LIMIT)) as hurried,
        pytest.raises(SelectionError, match="for one product"),
    ):
        PostgresCatalog(hurried).due(Selection(where="pg_sleep(5) IS NOT NULL"))


def test_a_condition_that_few_products_meet_may_go_through_a_table_in_pieces(
    slow_shop: Database,
) -> None:
    chosen = Selection(where=f"\"Title\" = 'Mug {PRODUCTS}'")
    assert PostgresCatalog(slow_shop).due(chosen).products == 1


def test_a_condition_cannot_lift_its_limits(database: Database) -> None:
    fill(database, 1)
    for setting, value in (("statement_timeout", "0"), ("transaction_read_only", "off")):
        where = f"set_config('{setting}', '{value}', false) IS NOT NULL"
        with suppress(SelectionError):
            PostgresCatalog(database).due(Selection(where=where))
        assert rows(database, "SHOW transaction_read_only") == [("off",)]
        assert rows(database, "SHOW statement_timeout") == [("0",)]


def test_a_scan_that_times_out_ends_with_its_kind_and_the_next_one_works(
    database: Database,
) -> None:
    fill(database, 3)
    backfill_all(database)
    url = limited(database.url, "lock_timeout", 30).url
    query = SearchQuery(column="text", vector=direction(b"Product 1", 1024))
    with closing(DatabasePool(url, 1, retries=RetryPolicy(busy_seconds=0))) as pool:
        search = PostgresProductSearch(pool)
        with locked(database.url, '"ProductEmbeddings"'), pytest.raises(LockTimeoutError) as error:
            search.candidates(query, Filters(), 3)
        assert "DATABASE_URL" not in str(error.value)
        assert len(search.candidates(query, Filters(), 3)) == 3


def test_a_lock_that_stays_ends_work_in_words_that_blame_no_address(database: Database) -> None:
    url = limited(database.url, "lock_timeout", 10).url
    with closing(Database(url, retries=RetryPolicy(busy_seconds=0.2))) as impatient:
        with locked(database.url, '"ProductVariants"'), pytest.raises(LockTimeoutError) as error:
            impatient.run(lambda c: c.execute('SELECT FROM "ProductVariants"'))
        assert "lock" in str(error.value)
        assert "DATABASE_URL" not in str(error.value)


@pytest.mark.parametrize("setting", ["idle_in_transaction_session_timeout", "transaction_timeout"])
def test_a_session_that_a_time_limit_ends_is_opened_again(database: Database, setting: str) -> None:
    tries: list[int] = []

    def work(connection: psycopg.Connection) -> int:
        tries.append(1)
        connection.execute("SELECT")
        if len(tries) == 1:
            with pytest.raises(psycopg.Error):
                for _ in connection.notifies(timeout=60):
                    pass
        return connection.execute("SELECT 7").fetchall()[0][0]

    with closing(limited(database.url, setting, 200)) as hurried:
        assert hurried.run(work) == 7
    assert len(tries) == 2


@pytest.mark.parametrize("is_stolen", [False, True])
def test_a_claim_that_is_lost_between_two_parts_of_a_page_ends_the_page(
    database: Database, is_stolen: bool
) -> None:
    fill(database, PRODUCTS)
    queue = PostgresQueue(database)
    queue.add([id_ for (id_,) in rows(database, IDS)], as_change=True)
    claim = queue.claim(32, newest=True)
    assert claim is not None
    make_slow(database, '"ProductEmbeddings"', "INSERT")
    if is_stolen:
        for statement in (
            "CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            ' UPDATE shelfsight."EmbeddingQueue" SET "Worker" = \'another\'; RETURN NULL; END $$',
            'CREATE TRIGGER steal AFTER INSERT ON "ProductEmbeddings"'
            " FOR EACH STATEMENT EXECUTE FUNCTION steal()",
        ):
            database.run(lambda connection, one=statement: connection.execute(one))
    (page,) = PostgresCatalog(database).pages(Selection(variants=claim.variants), 32)
    with (
        closing(PageEmbedder(HashEmbedder(), FUSION)) as pages,
        closing(limited(database.url, "statement_timeout", 100)) as hurried,
    ):
        embedded = pages.embed(MemoryFetcher({}).fetch(page))
        saved = PostgresVectorStore(hurried, FUSION).save(
            embedded, HashEmbedder().models, Checkpoint(claim=claim)
        )
    assert len(saved) == (0 if is_stolen else 32)
    assert claim.lost == is_stolen
    ((stored,),) = rows(database, 'SELECT count(*) FROM "ProductEmbeddings"')
    assert 0 < stored < 32 if is_stolen else stored == 32
    ((left,),) = rows(database, 'SELECT count(*) FROM shelfsight."EmbeddingQueue"')
    assert left == (PRODUCTS if is_stolen else PRODUCTS - 32)


def test_a_scan_over_http_that_times_out_says_so_and_the_next_one_works(
    database: Database,
) -> None:
    fill(database, 3)
    backfill_all(database)
    with (
        closing(limited(database.url, "lock_timeout", 30)) as impatient,
        scan_server(impatient) as url,
    ):
        assert scan(url, textQuery="Product 1").status == 200
        with locked(database.url, '"ProductEmbeddings"'):
            answer = scan(url, textQuery="Product 1")
        assert problem(answer) == (503, "database_busy")
        assert "retry-after" in answer.headers
        assert scan(url, textQuery="Product 1").status == 200


@given(count=st.integers(0, 300), most=st.integers(1, 300), largest=st.integers(1, 400))
def test_every_item_is_handled_once_and_in_order_however_few_fit(
    count: int, most: int, largest: int
) -> None:
    handled: list[int] = []
    last: list[bool] = []

    def work(part: Part[int]) -> None:
        if len(part.items) > most:
            raise DatabaseTimeoutError
        handled.extend(part.items)
        last.append(part.is_last)

    for _ in AdaptiveSize(largest).in_parts(range(count), work):
        pass
    assert handled == list(range(count))
    assert last == [False] * (len(last) - 1) + [True]


def test_work_that_does_not_fit_at_all_is_given_up() -> None:
    def work(sizes: list[int], size: int, patient: bool) -> None:
        sizes.append(size)
        assert patient == (size == 1)
        raise DatabaseTimeoutError

    sizes: list[int] = []
    with pytest.raises(DatabaseTimeoutError):
        AdaptiveSize(100).run(partial(work, sizes))
    assert sizes == [100, 12, 1]


def test_a_size_grows_again() -> None:
    size = AdaptiveSize(100)
    size.shrink(100)
    for _ in range(100):
        size.run(lambda _size, _patient: None)
    assert size.current == 100
