"""The seed's table of settings, in all combinations: each run gets on, ends, and the sum is whole.

As 3,089 products need 7 calls of 10 batches of 50, the 124 products here need 7 of 5 batches of 4.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from itertools import product
from threading import Event

import pytest

from shelfsight.backfill.pipeline import Pipeline, backfill
from shelfsight.backfill.progress import LineProgress, Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import Selection
from shelfsight.settings import Settings, load
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.testing import HashEmbedder
from shelfsight.wiring.embedder import open_embedder
from shelfsight.wiring.pipeline import open_pipeline
from tests.integration.remote.scripted_server import Server, serving
from tests.shop import fill, rows

PRODUCTS = 124


@pytest.fixture(scope="module")
def embedding_server() -> Iterator[str]:
    models = Server()
    with serving(models.handle) as url:
        yield url


@contextmanager
def models_of(settings: Settings) -> Iterator[Embedder]:
    """Open the models behind the embedding server, or fast ones in this process."""
    if settings.embedding_server_url is None:
        yield HashEmbedder()
    else:
        with open_embedder(settings, print) as embedder:
            yield embedder


def run_with(
    pipeline: Pipeline, settings: Settings, selection: Selection | None = None
) -> tuple[Report, str]:
    """Run what `shelfsight backfill` runs with these settings; return its report and output."""
    report, out = Report(), StringIO()
    progress = LineProgress(out)
    job = Job(
        selection=selection or Selection(skip_existing=settings.skip_existing),
        batch_size=settings.batch_size,
        max_batches=settings.max_batches,
    )
    backfill(pipeline, job, report, progress, Event())
    progress.finish(report, "shelfsight backfill --all")
    return report, out.getvalue()


def call(
    database: Database,
    embedder: Embedder,
    settings: Settings,
    selection: Selection | None = None,
) -> tuple[Report, str]:
    """Do the same with a pipeline of its own, as another command has it."""
    with open_pipeline(settings, database, embedder, Progress()) as pipeline:
        return run_with(pipeline, settings, selection)


def versions(database: Database) -> list[tuple[str, object]]:
    """Return each stored row's product and the transaction that wrote it last."""
    return rows(
        database, 'SELECT "ProductVariantId"::text, xmin::text FROM "ProductEmbeddings" ORDER BY 1'
    )


TABLE = list(product((None, "4"), (None, "0", "5"), (None, "false")))


@pytest.mark.parametrize("with_server", [False, True], ids=["in process", "server"])
def test_each_call_gets_on_and_all_together_embed_every_product_once(
    database: Database,
    embedding_server: str,
    monkeypatch: pytest.MonkeyPatch,
    with_server: bool,
) -> None:
    fill(database, PRODUCTS)
    if with_server:
        monkeypatch.setenv("EMBEDDING_SERVER_URL", embedding_server)
    with (
        models_of(load()) as embedder,
        open_pipeline(load(), database, embedder, Progress()) as pipeline,
    ):
        for values in TABLE:
            given = dict(zip(("BATCH_SIZE", "MAX_BATCHES", "SKIP_EXISTING"), values, strict=True))
            with monkeypatch.context() as environment:
                for name, value in given.items():
                    if value is not None:
                        environment.setenv(name, value)
                check_calls(database, pipeline, load())


def check_calls(database: Database, pipeline: Pipeline, settings: Settings) -> None:
    """Call until every product is embedded, from an empty store or, to replace all, a full one."""

    def empty(connection: Connection) -> None:
        connection.execute('TRUNCATE "ProductEmbeddings", shelfsight."BackfillRuns" CASCADE')

    database.run(empty)
    if not settings.skip_existing:
        run_with(pipeline, Settings(max_batches=0, skip_existing=True))
    before, left = versions(database), PRODUCTS
    a_call = settings.max_batches * settings.batch_size or PRODUCTS
    for _ in range(-(-PRODUCTS // a_call)):
        report, out = run_with(pipeline, settings)
        assert report.found == report.whole == min(a_call, left)
        left -= report.found
        assert report.remaining == left
        assert (f"{left} products remain. Go on with: " in out) == (left > 0)
    assert (left, report.exit_status, len(versions(database))) == (0, 0, PRODUCTS)
    assert not set(before) & set(versions(database))
    further, _ = run_with(pipeline, settings)
    assert further.found == (0 if settings.skip_existing else min(a_call, PRODUCTS))


@pytest.fixture
def shop(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A shop with vectors of all products, and settings that embed 20 of them again."""
    fill(database, PRODUCTS)
    call(database, HashEmbedder(), Settings(max_batches=0))
    for name, value in {"SKIP_EXISTING": "false", "BATCH_SIZE": "4", "MAX_BATCHES": "5"}.items():
        monkeypatch.setenv(name, value)
    return database


def test_the_advised_command_does_the_rest_whatever_its_batches(shop: Database) -> None:
    embedder = HashEmbedder()
    call(shop, embedder, load())
    larger = Settings(batch_size=20, max_batches=0)
    rest, out = call(shop, embedder, larger)
    assert rest.found == PRODUCTS - 20
    assert f"20 of {PRODUCTS} products are done. To begin anew, add --new" in out
    assert f"is done: {PRODUCTS} products in all. The same command starts anew." in out
    assert embedder.texts_embedded == PRODUCTS
    assert [run.outcome for run in PostgresLedger(shop).runs(2)] == ["done", "done"]


def test_a_bound_that_ends_on_the_last_product_ends_the_run(shop: Database) -> None:
    def drop(connection: Connection) -> None:
        connection.execute('DELETE FROM "ProductVariants" WHERE "Price" > 40')

    shop.run(drop)
    found = [call(shop, HashEmbedder(), load())[0].found for _ in range(3)]
    assert found == [20, 20, 20]
    outcomes = [run.outcome for run in PostgresLedger(shop).runs(2)]
    assert outcomes == ["stopped", "done"]


@pytest.mark.parametrize(
    "selection",
    [Selection(retry_failed=True), Selection(retry_failed=True, only_failed=True)],
    ids=["--retry-failed", "retry"],
)
def test_failures_that_last_do_not_keep_a_bounded_retry_at_the_first_products(
    database: Database, selection: Selection
) -> None:
    fill(database, 20)
    broken = HashEmbedder(broken=frozenset(f"Product {n}" for n in range(1, 13)))
    call(database, broken, Settings(max_batches=0))
    settings = Settings(batch_size=5, max_batches=1)
    for found in (5, 5, 2):
        report, _ = call(database, broken, settings, selection)
        assert report.found == report.failed == found
    attempts = rows(database, 'SELECT DISTINCT "Attempts" FROM shelfsight."EmbeddingFailures"')
    assert attempts == [(2,)]


def test_two_workers_share_a_bounded_run_and_each_keeps_its_bound(shop: Database) -> None:
    with closing(Database(shop.url)) as other:
        first, _ = call(shop, HashEmbedder(), load())
        second, _ = call(other, HashEmbedder(), load())
    assert (first.found, second.found) == (20, 20)
    (run, _) = PostgresLedger(shop).runs(2)
    assert (run.done, run.outcome, run.due) == (40, "stopped", PRODUCTS)
