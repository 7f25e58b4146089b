"""A watch embeds whatever changes in the shop's tables, without any further command."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from threading import Event, Thread

import psycopg
import pytest

from shelfsight.backfill.pipeline import Pipeline
from shelfsight.backfill.poller import ChangePoller
from shelfsight.backfill.report import Report
from shelfsight.backfill.watch import PAGE_SIZE, WatchContext, watch
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.embedded_postgres import keeper
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.errors import SchemaError
from shelfsight.postgres.connection import Database
from shelfsight.postgres.pool import DatabasePool
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.records import EmbeddedProduct, FetchedProduct, Pixels
from shelfsight.settings import Settings
from shelfsight.storage.changes import triggers
from shelfsight.storage.changes.change_queue import PostgresQueue
from shelfsight.storage.changes.listener import ChangeListener
from shelfsight.storage.orphans import PostgresOrphanPruner
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import HashEmbedder, MemoryFetcher
from shelfsight.wiring.database import is_back, open_database
from tests.open_folder import open_folder
from tests.shop import FUSION, backfill_all, fill, picture, rows

PATIENCE = 60.0
RETRIES = RetryPolicy(reconnect_seconds=0.5, busy_seconds=0.1)
NEVER = 3600.0
PICTURES = {f"http://shop.test/{n}.png": picture(n) for n in range(1, 100)}
ONE = "00000000-0000-0000-0000-000000000001"


class WatchObserver:
    """Records what the watch reports."""

    def __init__(self) -> None:
        self.pages: list[list[EmbeddedProduct]] = []
        self.said: list[str] = []
        self.idle = Event()

    def in_progress(self, products: int) -> None:
        """Ignore how many products are in progress."""

    def changed(self, page: Sequence[EmbeddedProduct], seconds: float) -> None:
        del seconds
        self.pages.append(list(page))

    def waiting(self, *, is_told: bool) -> None:
        del is_told
        self.idle.set()

    def notify(self, message: str) -> None:
        self.said.append(message)

    @property
    def ids(self) -> list[str]:
        return [item.product.id for page in self.pages for item in page]


class Watch:
    """Runs a watch with in-memory models in background threads; the context ends it."""

    def __init__(
        self,
        url: str,
        *,
        every: float = NEVER,
        before_embed: Callable[[Sequence[FetchedProduct]], object] = lambda _: None,
        is_back: Callable[[], bool] = lambda: True,
        pictures: Mapping[str, Pixels] = PICTURES,
    ) -> None:
        self.heard = WatchObserver()
        self.report = Report()
        self.embedder = HashEmbedder()
        self._url = url
        self._every = every
        self._before_embed = before_embed
        self._is_back = is_back
        self._pictures = dict(pictures)
        self._stop = Event()
        self._errors: list[BaseException] = []
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self._errors:
            raise self._errors[0]

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Wait until a condition holds in the database."""
        end = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < end and not self._errors, (self.heard.said, self._errors)
            time.sleep(0.02)

    def wait_until_ended(self) -> None:
        """Wait until it has ended by itself."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def wait_until_idle(self) -> None:
        """Wait until the watch has caught up."""
        assert self.heard.idle.wait(PATIENCE), self._errors

    def _run(self) -> None:
        try:
            with ExitStack() as opening:
                context = self._context(opening)
                watch(context, self.report, self.heard, self._stop)
        except BaseException as error:
            self._errors.append(error)

    def _context(self, opening: ExitStack) -> WatchContext:
        pool = opening.enter_context(closing(DatabasePool(self._url, 2, retries=RETRIES)))
        catalog = PostgresCatalog(pool, models=self.embedder.models)
        queue = PostgresQueue(pool)
        orphans = PostgresOrphanPruner(pool, self.heard.notify)
        poller = ChangePoller(catalog, queue, orphans, self._every)
        return WatchContext(
            catalog=catalog,
            queue=queue,
            poller=opening.enter_context(closing(poller)),
            open_pipeline=self._parts,
            listen=opening.enter_context(closing(ChangeListener(self._url))).wait,
            is_back=self._is_back,
        )

    def _parts(self) -> AbstractContextManager[Pipeline]:
        @contextmanager
        def opened() -> Iterator[Pipeline]:
            with (
                closing(Database(self._url, retries=RETRIES)) as writing,
                closing(PageEmbedder(self.embedder, FUSION)) as pages,
            ):

                def embed(page: Sequence[FetchedProduct]) -> list[EmbeddedProduct]:
                    self._before_embed(page)
                    return pages.embed(page)

                yield Pipeline(
                    catalog=PostgresCatalog(writing),
                    fetcher=MemoryFetcher(self._pictures),
                    embed=embed,
                    models=self.embedder.models,
                    store=PostgresVectorStore(writing, FUSION),
                    ledger=PostgresLedger(writing),
                )

        return opened()


def run(database: Database, statement: str) -> None:
    """Run a statement as the shop would."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(statement)


def texts(database: Database) -> dict[str, str]:
    """Return the embedded text of each product."""
    return {
        str(id_): text
        for id_, text in rows(
            database, 'SELECT "ProductVariantId", "ProductText" FROM "ProductEmbeddings"'
        )
    }


def queued(database: Database) -> list[str]:
    """Return the waiting products, oldest first."""
    query = 'SELECT "ProductVariantId"::text FROM shelfsight."EmbeddingQueue" ORDER BY "Number"'
    return [id_ for (id_,) in rows(database, query)]


def is_empty(database: Database) -> bool:
    return not queued(database)


@pytest.fixture
def told(database: Database) -> Database:
    """A database with triggers on the shop's tables."""
    assert len(triggers.create(database)) == 6
    return database


def test_products_due_at_the_start_are_embedded(database: Database) -> None:
    fill(database, 100)
    with Watch(database.url) as watched:
        watched.wait_until(lambda: len(texts(database)) == 100)
        watched.wait_until(lambda: is_empty(database))
    assert watched.report.embedded == watched.embedder.texts_embedded == 100


def test_a_new_product_an_edited_title_and_pictures_are_embedded_as_they_change(
    told: Database,
) -> None:
    fill(told, 3)
    with Watch(told.url) as watched:
        watched.wait_until_idle()
        fill(told, 1, first=10)
        watched.wait_until(lambda: len(texts(told)) == 4)
        run(told, f'UPDATE "ProductVariants" SET "Title" = \'A new one\' WHERE "Id" = \'{ONE}\'')
        watched.wait_until(lambda: texts(told)[ONE] == "A new one")

        def fetched() -> object:
            query = 'SELECT "ImageUrl" FROM "ProductEmbeddings" WHERE "ProductVariantId" = '
            return rows(told, f"{query}'{ONE}'")[0][0]

        run(
            told,
            'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl")'
            f" VALUES ('{ONE}', 'http://shop.test/1.png')",
        )
        watched.wait_until(lambda: fetched() == "http://shop.test/1.png")
        run(told, 'UPDATE "ProductImages" SET "ImageUrl" = \'http://shop.test/2.png\'')
        watched.wait_until(lambda: fetched() == "http://shop.test/2.png")
        run(told, 'DELETE FROM "ProductImages"')
        watched.wait_until(lambda: fetched() is None)
        run(told, f'DELETE FROM "ProductVariants" WHERE "Id" = \'{ONE}\'')
        watched.wait_until(lambda: ONE not in texts(told))
        watched.wait_until(lambda: is_empty(told))
    assert watched.embedder.images_embedded == 2
    assert watched.report.failed == 0


def test_a_change_of_other_columns_is_ignored(told: Database) -> None:
    fill(told, 3, pictures=True)
    run(told, 'TRUNCATE shelfsight."EmbeddingQueue"')
    run(told, 'UPDATE "ProductVariants" SET "Price" = 1, "Title" = "Title"')
    run(told, 'UPDATE "ProductImages" SET "AltText" = \'seen\'')
    assert is_empty(told)


def test_without_triggers_the_watch_polls_for_changes(database: Database) -> None:
    fill(database, 3)
    with Watch(database.url, every=0.5) as watched:
        watched.wait_until_idle()
        watched.wait_until(lambda: len(texts(database)) == 3)
        run(database, 'UPDATE "ProductVariants" SET "Title" = \'Other\'')
        watched.wait_until(lambda: set(texts(database).values()) == {"Other"})


def test_a_change_during_its_own_embedding_is_not_lost(told: Database) -> None:
    fill(told, 1)
    seen: list[str] = []

    def edit(page: Sequence[FetchedProduct]) -> None:
        seen.append(page[0].product.title)
        if len(seen) < 4:
            run(told, f'UPDATE "ProductVariants" SET "Title" = \'Edit {len(seen)}\'')

    with Watch(told.url, before_embed=edit) as watched:
        watched.wait_until(lambda: texts(told) == {ONE: "Edit 3"})
        watched.wait_until(lambda: is_empty(told))
    assert seen == ["Product 1", "Edit 1", "Edit 2", "Edit 3"]


def test_a_product_has_one_row_however_often_it_changes(told: Database) -> None:
    fill(told, 2)
    for number in range(10):
        run(told, f'UPDATE "ProductVariants" SET "Title" = \'{number}\' WHERE "Id" = \'{ONE}\'')
    assert len(queued(told)) == 2
    assert queued(told)[-1] == ONE, "the newest change is the last"


def test_two_watches_embed_each_change_once(told: Database) -> None:
    fill(told, 400)
    with Watch(told.url) as one, Watch(told.url) as other:
        one.wait_until(lambda: len(texts(told)) == 400)
        run(told, 'UPDATE "ProductVariants" SET "Title" = \'New \' || "Sku"')
        one.wait_until(lambda: is_empty(told))
        one.wait_until(lambda: all(text.startswith("New") for text in texts(told).values()))
    assert one.embedder.texts_embedded + other.embedder.texts_embedded == 800


def test_a_flood_of_changes_does_not_delay_a_later_change(told: Database) -> None:
    """Not even if that product was in the flood."""
    fill(told, 20 * PAGE_SIZE)
    backfill_all(told)
    run(told, 'TRUNCATE shelfsight."EmbeddingQueue"')
    run(told, 'UPDATE "ProductVariants" SET "Title" = \'Flood \' || "Sku"')
    later = rows(told, 'SELECT "Id"::text FROM "ProductVariants" ORDER BY "Id" OFFSET 300')[0][0]
    gate, reached = Event(), Event()

    def hold(_page: Sequence[FetchedProduct]) -> None:
        reached.set()
        assert gate.wait(PATIENCE)

    with Watch(told.url, before_embed=hold) as watched:
        assert reached.wait(PATIENCE)
        run(told, f'UPDATE "ProductVariants" SET "Title" = \'Later\' WHERE "Id" = \'{later}\'')
        gate.set()
        watched.wait_until(lambda: is_empty(told))
    assert texts(told)[later] == "Later"
    place = max(n for n, id_ in enumerate(watched.heard.ids) if id_ == later)
    assert place < 8 * PAGE_SIZE, "those in hand, and two takes, came before it"
    oldest = watched.heard.ids.index(ONE)
    assert oldest < 8 * PAGE_SIZE, "nor do the newest keep the oldest waiting"


def test_claims_of_a_lost_watch_are_claimed_again(told: Database) -> None:
    fill(told, 1)
    with closing(DatabasePool(told.url, 1)) as pool:
        other = PostgresQueue(pool)
        claim = other.claim(PAGE_SIZE, newest=True)
        assert claim is not None
        assert PostgresQueue(pool).claim(PAGE_SIZE, newest=True) is None
        run(
            told,
            'UPDATE shelfsight."EmbeddingQueue" SET "ExpiresAt" = now() - interval \'1 second\'',
        )
        with Watch(told.url) as watched:
            watched.wait_until(lambda: len(texts(told)) == 1)
            watched.wait_until(lambda: is_empty(told))
    assert watched.embedder.texts_embedded == 1


def test_a_page_stored_too_late_is_refused(told: Database) -> None:
    """Another watch has claimed the change; older vectors must not replace its vectors."""
    fill(told, 1)

    def steal(_page: Sequence[FetchedProduct]) -> None:
        run(told, 'UPDATE shelfsight."EmbeddingQueue" SET "Worker" = \'another\'')

    with Watch(told.url, before_embed=steal) as watched:
        watched.wait_until(lambda: watched.embedder.texts_embedded == 1)
        watched.wait_until_idle()
    assert texts(told) == {}
    assert watched.heard.pages == []


@pytest.mark.parametrize(
    "table", ['shelfsight."EmbeddingQueue"', '"ProductVariants"', '"ProductEmbeddings"']
)
def test_a_watch_waits_for_a_lock_longer_than_lock_timeout(
    told: Database, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfsight.backfill.watch.BUSY_PAUSE_SECONDS", 0.05)
    fill(told, 70)

    def has_waited() -> bool:
        return sum("waiting for" in line for line in watched.heard.said) > 1

    with Watch(f"{told.url}&options=-c%20lock_timeout%3D20ms") as watched:
        with psycopg.connect(told.url) as migration:
            migration.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            watched.wait_until(has_waited)
        watched.wait_until(lambda: len(texts(told)) == 70)
        watched.wait_until(lambda: is_empty(told))
    assert not any("DATABASE_URL" in line for line in watched.heard.said)


def test_a_failed_product_is_retried_when_its_next_attempt_is_due(database: Database) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database, pictures={})
    assert rows(database, 'SELECT "Kind" FROM shelfsight."EmbeddingFailures"') == [("http_404",)]
    run(database, 'UPDATE shelfsight."EmbeddingFailures" SET "NextAttemptAt" = now()')
    with Watch(database.url) as watched:
        watched.wait_until(
            lambda: rows(database, 'SELECT FROM shelfsight."EmbeddingFailures"') == []
        )
    assert watched.report.image == 1


def test_after_lost_connections_nothing_is_missed(told: Database) -> None:
    fill(told, 3)
    with Watch(told.url) as watched:
        watched.wait_until_idle()
        watched.wait_until(lambda: len(texts(told)) == 3)
        run(
            told,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        run(told, 'UPDATE "ProductVariants" SET "Title" = \'After\'')
        watched.wait_until(lambda: set(texts(told).values()) == {"After"})


def test_during_a_backfill_due_products_are_left_to_it(database: Database) -> None:
    fill(database, 50)
    held, go_on = Event(), Event()

    def hold(_page: object) -> None:
        held.set()
        assert go_on.wait(PATIENCE)

    backfill = Thread(target=backfill_all, args=(database,), kwargs={"before_save": hold})
    backfill.start()
    assert held.wait(PATIENCE)
    with Watch(database.url, every=0.5) as watched:
        watched.wait_until_idle()
        go_on.set()
        backfill.join(PATIENCE)
    assert watched.report.found == 0
    assert len(texts(database)) == 50


def test_a_database_without_the_queue_is_reported(database: Database) -> None:
    run(database, 'DROP TABLE shelfsight."EmbeddingQueue"')
    missing = pytest.raises(SchemaError, match=r"EmbeddingQueue.*shelfsight init")
    with missing, Watch(database.url) as watched:
        watched.wait_until_ended()


def test_a_killed_server_is_started_again_and_nothing_is_missed() -> None:
    """The embedded server. A watch waits for any other server to come back."""
    with ExitStack() as stack:
        home = stack.enter_context(open_folder())
        settings = Settings.model_construct(shelfsight_home=home)
        database = stack.enter_context(open_database(settings))
        fill(database, 3)
        triggers.create(database)
        with Watch(database.url, is_back=partial(is_back, settings)) as watched:
            watched.wait_until(lambda: len(texts(database)) == 3)
            killed = keeper.find_server(home.resolve() / "postgres")
            assert killed is not None
            os.kill(killed.pid, signal.SIGKILL)
            watched.wait_until(lambda: len(watched.heard.said) == 2)
            run(database, 'UPDATE "ProductVariants" SET "Title" = \'After\'')
            watched.wait_until(lambda: set(texts(database).values()) == {"After"})
            watched.wait_until(lambda: is_empty(database))
        assert watched.heard.said[0].endswith("; waiting for it")
        assert watched.heard.said[1].startswith("the database is back after")
