"""Several workers share a run: each product is embedded once, even if a worker is lost."""

import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from threading import Barrier, Event, Thread
from time import sleep

import psycopg
import pytest

from shelfsight.backfill.leases import Checkpoint
from shelfsight.backfill.pipeline import Pipeline, backfill
from shelfsight.backfill.progress_json import JsonProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job, Partitioning, Run
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.embedding.page_embedder import PageEmbedder
from shelfsight.postgres.connection import Database
from shelfsight.records import EmbeddedProduct, FetchedProduct, ModelPair, Product, Selection
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.storage.worker_name import is_gone, new_name
from shelfsight.testing import HashEmbedder, MemoryFetcher
from tests.shop import FUSION, fill, rows

ALL = Selection()
ANEW = Selection(skip_existing=False)
SILENCE = 1.0


def job(selection: Selection = ALL, *, batch_size: int = 10, max_batches: int = 0) -> Job:
    return Job(selection=selection, batch_size=batch_size, max_batches=max_batches)


class ObservedStore(PostgresVectorStore):
    """Calls `before_save` with each page before it is stored."""

    def __init__(self, database: Database, before_save: Callable[[], None]) -> None:
        super().__init__(database, FUSION)
        self._before_save = before_save

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        self._before_save()
        return super().save(page, models, checkpoint)


def nothing() -> None:
    """Do nothing."""


@contextmanager
def worker(
    database: Database, before_save: Callable[[], None] = nothing
) -> Iterator[tuple[Pipeline, HashEmbedder]]:
    """A worker's pipeline, with connections of its own."""
    embedder = HashEmbedder()
    with (
        closing(Database(database.url)) as reading,
        closing(Database(database.url)) as writing,
        closing(PageEmbedder(embedder, FUSION)) as pages,
    ):
        yield (
            Pipeline(
                catalog=PostgresCatalog(reading),
                fetcher=MemoryFetcher({}),
                embed=pages.embed,
                models=embedder.models,
                store=ObservedStore(writing, before_save),
                ledger=PostgresLedger(writing),
            ),
            embedder,
        )


def work(pipeline: Pipeline, asked: Job, stop: Event | None = None) -> Report:
    report = Report()
    backfill(pipeline, asked, report, JsonProgress(StringIO()), stop or Event())
    return report


def begin(pipeline: Pipeline, asked: Job) -> tuple[Run, bool]:
    selection = asked.selection

    def partition() -> Partitioning:
        return pipeline.catalog.partition(selection, asked.range_size)

    return pipeline.ledger.begin(asked, pipeline.models, partition, Event(), print)


def runs(database: Database) -> list[Run]:
    return PostgresLedger(database).runs(10)


def skew(database: Database, hours: int) -> None:
    """Shift the expiry of all leases, as if the database had moved to another clock."""
    database.run(
        lambda c: c.execute(
            'UPDATE shelfsight."BackfillLeases" SET "ExpiresAt" = now() + %s * interval \'1 hour\''
            ' WHERE "ExpiresAt" IS NOT NULL',
            [hours],
        )
    )


def stored(database: Database) -> int:
    return int(rows(database, 'SELECT count(*) FROM "ProductEmbeddings"')[0][0])


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ranges of one batch, so that a small shop has many."""
    monkeypatch.setattr("shelfsight.backfill.runs.MIN_RANGE_SIZE", 1)


@pytest.fixture
def soon_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat a worker as silent after `SILENCE` seconds."""
    for module in ("liveness", "lease_keeper", "run_store"):
        monkeypatch.setattr(f"shelfsight.storage.runs.{module}.POLL_SECONDS", SILENCE / 20)


def test_a_finished_run_stays_with_its_job_and_counts(database: Database) -> None:
    fill(database, 25)
    with worker(database) as (pipeline, _):
        work(pipeline, job(max_batches=1))
    (run,) = runs(database)
    assert (run.outcome, run.due, run.done, run.counts["embedded"]) == ("done", 25, 10, 10)
    assert run.job == job(max_batches=1)
    assert run.ended is not None
    assert rows(database, 'SELECT count(*) FROM shelfsight."BackfillLeases"') == [(0,)]


@pytest.mark.usefixtures("small_ranges")
def test_two_workers_share_a_run_and_embed_each_product_once(database: Database) -> None:
    fill(database, 200)
    at_work = Barrier(2)
    reports: list[Report] = []
    embedded: list[int] = []

    def one() -> None:
        begun: list[None] = []

        def meet() -> None:
            if not begun:
                begun.append(None)
                at_work.wait(30)

        with worker(database, meet) as (pipeline, embedder):
            reports.append(work(pipeline, job()))
            embedded.append(embedder.texts_embedded)

    both = [Thread(target=one) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    (run,) = runs(database)
    assert (run.outcome, run.due, run.done) == ("done", 200, 200)
    assert sum(embedded) == 200
    assert sum(report.embedded for report in reports) == 200
    assert min(report.embedded for report in reports) > 0
    assert stored(database) == 200


@pytest.mark.usefixtures("small_ranges", "soon_silent")
@pytest.mark.parametrize("hours", [-1, 1])
def test_the_ranges_of_a_silent_worker_go_to_another(database: Database, hours: int) -> None:
    fill(database, 30)
    with worker(database) as (pipeline, _), worker(database) as (other, _):
        run, is_joined = begin(pipeline, job())
        with pipeline.ledger.leases(run, Event(), print) as leases:
            next(leases)
            skew(database, hours)
            report = work(other, job())
    assert not is_joined
    assert report.embedded == 30
    assert [r.outcome for r in runs(database)] == ["done", "replaced"]


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("holder", [None, "elsewhere/1/0", f"{socket.gethostname()}/{2**22 + 1}/0"])
def test_a_run_whose_range_is_being_written_is_joined_at_once(
    database: Database, holder: str | None
) -> None:
    """Nothing waits for that transaction: its machine may have died."""
    fill(database, 30)
    with worker(database) as (pipeline, _), ThreadPoolExecutor() as threads:
        run, _ = begin(pipeline, job())
        with pipeline.ledger.leases(run, Event(), print) as leases:
            next(leases)
        database.run(
            lambda c: c.execute(
                'UPDATE shelfsight."BackfillLeases" SET "Worker" = %s,'
                ' "ExpiresAt" = now() + %s * interval \'1 minute\' WHERE "Number" = 2',
                [holder, holder and 1],
            )
        )

        def one() -> tuple[Run, bool]:
            with worker(database) as (other, _):
                return begin(other, job())

        with closing(psycopg.connect(database.url)) as storing:
            storing.execute(
                'UPDATE shelfsight."BackfillLeases" SET "Stored" = 1 WHERE "Number" = 2'
            )
            found = [threads.submit(one) for _ in range(2)]
            joined = [future.result(timeout=60) for future in found]
    assert [(one.id, is_joined) for one, is_joined in joined] == 2 * [(run.id, True)]


@pytest.mark.usefixtures("small_ranges")
def test_commands_that_start_together_after_a_worker_was_lost_share_one_run(
    database: Database,
) -> None:
    fill(database, 30)
    with worker(database) as (lost, _):
        old, _ = begin(lost, job())
        with lost.ledger.leases(old, Event(), print) as leases:
            next(leases)
    together = Barrier(8)
    found: list[int] = []

    def one() -> None:
        with worker(database) as (pipeline, _):
            together.wait(30)
            run, _ = begin(pipeline, job())
            found.append(run.id)

    threads = [Thread(target=one) for _ in range(together.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (new,) = {*found}
    assert new != old.id
    assert len(found) == together.parties


@pytest.mark.usefixtures("small_ranges", "soon_silent")
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_live_worker_keeps_its_leases_whatever_the_clock_says(
    database: Database, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Another worker that begins the same job joins the run, and claims none of those leases."""
    monkeypatch.setattr("shelfsight.storage.runs.lease_keeper.HEARTBEAT", timedelta(seconds=0.3))
    fill(database, 200)
    others: list[Thread] = []
    embedded: list[int] = []

    def help_out() -> None:
        with worker(database) as (pipeline, embedder):
            work(pipeline, job())
            embedded.append(embedder.texts_embedded)

    def hang() -> None:
        """Wait until the other worker has nothing else to do, and then past the silence."""
        if not others:
            skew(database, hours)
            others.append(Thread(target=help_out))
            others[0].start()
            free = (
                'SELECT FROM shelfsight."BackfillLeases"'
                ' WHERE "DoneAt" IS NULL AND "Worker" IS NULL'
            )
            while rows(database, free):
                sleep(0.01)
            skew(database, hours)
            sleep(3 * SILENCE)

    with worker(database, hang) as (pipeline, embedder):
        work(pipeline, job())
        others[0].join()
    assert sum(embedded) > 0
    assert embedder.texts_embedded + sum(embedded) == stored(database) == 200
    assert [run.outcome for run in runs(database)] == ["done"]


@pytest.mark.usefixtures("small_ranges", "soon_silent")
def test_a_page_stored_too_late_is_refused(database: Database) -> None:
    """Another worker had claimed the range. It is read again, and the embeddings are reused."""
    fill(database, 20)
    taken: list[None] = []

    def take() -> None:
        """Let another worker claim the first range, and lose it in turn."""
        if not taken:
            taken.append(None)
            database.run(
                lambda c: c.execute(
                    'UPDATE shelfsight."BackfillLeases" SET "Fence" = "Fence" + 1,'
                    ' "ExpiresAt" = now() - interval \'1 second\' WHERE "Number" = 1'
                )
            )

    with worker(database, take) as (pipeline, embedder):
        report = work(pipeline, job())
    assert report.embedded == stored(database) == 20
    assert embedder.texts_embedded == 20
    assert [run.counts["embedded"] for run in runs(database)] == [20]


def test_a_page_whose_commit_a_crash_undid_is_embedded_again(database: Database) -> None:
    """With `synchronous_commit` off, a crash may lose the last commits."""
    fill(database, 30)
    pages: list[None] = []

    def crash() -> None:
        pages.append(None)
        if len(pages) == 2:
            database.run(
                lambda c: c.execute(
                    'WITH gone AS (DELETE FROM "ProductEmbeddings")'
                    ' UPDATE shelfsight."BackfillLeases" SET "Left" = NULL, "Stored" = 0'
                )
            )

    with worker(database, crash) as (pipeline, _):
        work(pipeline, job(ANEW))
    assert stored(database) == 30


@pytest.mark.parametrize("selection", [ALL, ANEW], ids=["what is due", "all anew"])
def test_pages_of_a_claim_that_a_crash_undid_do_not_count_for_the_next_claim(
    database: Database, selection: Selection
) -> None:
    fill(database, 120)
    pages: list[None] = []

    def crash() -> None:
        """Undo the claim, as a crash would."""
        pages.append(None)
        if len(pages) == 1:
            database.run(
                lambda c: c.execute(
                    'UPDATE shelfsight."BackfillLeases" SET "Fence" = 0,'
                    ' "Worker" = NULL, "ExpiresAt" = NULL'
                )
            )

    with worker(database, crash) as (pipeline, _):
        report = work(pipeline, job(selection))
    assert stored(database) == 120
    assert report.embedded == 120
    assert [run.counts["embedded"] for run in runs(database)] == [120]


@pytest.mark.usefixtures("small_ranges", "soon_silent")
def test_a_claim_whose_answer_was_lost_expires(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection broke at the commit, so the worker does not know of its claim."""
    monkeypatch.setattr("shelfsight.storage.runs.lease_keeper.HEARTBEAT", timedelta(seconds=0.1))
    fill(database, 40)
    claimed: list[None] = []

    def claim_unheard() -> None:
        if not claimed:
            claimed.append(None)
            database.run(
                lambda c: c.execute(
                    """UPDATE shelfsight."BackfillLeases" SET "Fence" = "Fence" + 1,
                         "ExpiresAt" = now() + interval '1 second',
                         "Worker" = (SELECT min("Worker") FROM shelfsight."BackfillLeases")
                       WHERE "Number" = 4"""
                )
            )

    with worker(database, claim_unheard) as (pipeline, _):
        assert work(pipeline, job()).embedded == 40
    assert [run.outcome for run in runs(database)] == ["done"]


def test_saving_a_page_twice_advances_its_lease_once(database: Database) -> None:
    """The commit succeeded but its answer was lost, so the page is sent again."""
    fill(database, 10)

    class Twice(ObservedStore):
        def save(
            self,
            page: list[EmbeddedProduct],
            models: ModelPair,
            checkpoint: Checkpoint | None = None,
        ) -> list[EmbeddedProduct]:
            super().save(page, models, checkpoint)
            return super().save(page, models, checkpoint)

    with worker(database) as (pipeline, _), closing(Database(database.url)) as writing:
        twice = Pipeline(
            catalog=pipeline.catalog,
            fetcher=pipeline.fetcher,
            embed=pipeline.embed,
            models=pipeline.models,
            store=Twice(writing, nothing),
            ledger=pipeline.ledger,
        )
        assert work(twice, job(batch_size=5)).embedded == 10
    assert runs(database)[0].counts["embedded"] == 10


@pytest.mark.parametrize("selection", [ALL, ANEW], ids=["what is due", "all anew"])
def test_pages_are_stored_while_one_waits_for_a_picture_and_only_that_one_is_left(
    database: Database, monkeypatch: pytest.MonkeyPatch, selection: Selection
) -> None:
    monkeypatch.setattr("shelfsight.backfill.concurrency.STALLED_SECONDS", 0.01)
    monkeypatch.setattr("shelfsight.backfill.page_size.FIRST_PAGE", 5)  # all pages are of five
    fill(database, 90, pictures=True)
    stop, gone = Event(), Event()

    class Hanging(MemoryFetcher):
        def fetch(self, page: Sequence[Product]) -> list[FetchedProduct]:
            if any(product.title in {"Product 4", "Product 40"} for product in page):
                gone.wait(30)
            return super().fetch(page)

    def stop_at_the_last() -> None:
        if stored(database) == 90 - 2 * 5 - 5:  # this page is the last that nothing holds up
            stop.set()

    with worker(database, stop_at_the_last) as (pipeline, _):
        first = work(replace(pipeline, fetcher=Hanging({})), job(selection, batch_size=10), stop)
        gone.set()
    assert (first.interrupted, stored(database)) == (True, 80)
    with worker(database) as (pipeline, embedder):
        second = work(pipeline, job(selection, batch_size=10))
    assert (second.found, embedder.texts_embedded, stored(database)) == (10, 10, 90)


@pytest.mark.usefixtures("small_ranges")
def test_a_run_of_few_due_products_lists_them_and_includes_later_ones(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfsight.catalog.postgres_catalog.COUNT_WINDOW", 7)
    fill(database, 200)
    with worker(database) as (pipeline, _):
        work(pipeline, job())
    some = 'SELECT "ProductVariantId" FROM "ProductEmbeddings" ORDER BY random() LIMIT 9'
    database.run(
        lambda c: c.execute(f'DELETE FROM "ProductEmbeddings" WHERE "ProductVariantId" IN ({some})')
    )
    known: list[list[str] | None] = []

    def look_and_add() -> None:
        if not known:
            of_ranges = rows(
                database, 'SELECT "Ids" FROM shelfsight."BackfillLeases" ORDER BY "Number"'
            )
            known.extend(ids for (ids,) in of_ranges)
            fill(database, 3, first=1000)

    with worker(database, look_and_add) as (pipeline, embedder):
        report = work(pipeline, job(batch_size=2))
    assert [ids and len(ids) for ids in known] == [2, 2, 2, 2, 1, None]
    assert embedder.texts_embedded == report.embedded == 9 + 3
    assert stored(database) == 203


def test_an_interrupted_run_over_all_products_resumes_where_it_stopped(
    database: Database,
) -> None:
    fill(database, 30)
    with worker(database) as (pipeline, _):
        work(pipeline, job())
    stop = Event()
    with worker(database, stop.set) as (pipeline, _):
        first = work(pipeline, job(ANEW), stop)
    with worker(database) as (pipeline, _):
        second = work(pipeline, job(ANEW))
    assert first.interrupted
    assert 0 < first.embedded < 30
    assert first.embedded + second.embedded == 30
    assert [run.outcome for run in runs(database)] == ["done", "done"]


def test_an_interrupted_run_is_replaced_by_a_new_one_of_what_is_due(database: Database) -> None:
    fill(database, 30)
    stop = Event()
    with worker(database, stop.set) as (pipeline, _):
        first = work(pipeline, job(), stop)
    assert [run.outcome for run in runs(database)] == ["stopped"]
    fill(database, 5, first=100)
    with worker(database) as (pipeline, _):
        second = work(pipeline, job())
    assert first.embedded + second.embedded == 35
    assert [run.outcome for run in runs(database)] == ["done", "replaced"]


def test_different_jobs_are_different_runs(database: Database) -> None:
    fill(database, 10, owner="ann")
    with worker(database) as (pipeline, _):
        run, _ = begin(pipeline, job(Selection(owner="ann")))
        with pipeline.ledger.leases(run, Event(), print) as leases, worker(database) as (other, _):
            next(leases)
            assert work(other, job()).embedded == 10
    assert [run.outcome for run in runs(database)] == ["done", "stopped"]


def test_only_its_own_machine_knows_that_a_worker_has_ended() -> None:
    host, pid, _ = new_name().split("/")
    assert not is_gone(f"{host}/{pid}/0")
    assert is_gone(f"{host}/{2**22 + 1}/0")
    assert not is_gone(f"elsewhere/{2**22 + 1}/0")


@pytest.mark.parametrize(("limit", "left"), [(0, 0), (3, 10)])
def test_a_worker_that_finds_nothing_to_do_says_what_remains_of_the_run(
    database: Database, limit: int, left: int
) -> None:
    fill(database, 40)
    asked = job(max_batches=limit)
    joined, ended = Event(), Event()
    late: list[Report] = []

    class Joining(JsonProgress):
        def notify(self, message: str) -> None:
            if message.startswith("Joined"):
                joined.set()
                assert ended.wait(60)

    def join() -> None:
        with worker(database) as (pipeline, _):
            report = Report()
            backfill(pipeline, asked, report, Joining(StringIO()), Event())
            late.append(report)

    thread = Thread(target=join)

    def before_save() -> None:
        if thread.ident is None:
            thread.start()
            assert joined.wait(60)

    with worker(database, before_save) as (pipeline, _):
        report = work(pipeline, asked)
    ended.set()
    thread.join()
    assert report.remaining == left
    assert [(one.found, one.remaining) for one in late] == [(0, left)]
