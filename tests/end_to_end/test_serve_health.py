"""`shelfsight serve` says what is wrong, soon, and ends when it is told to, whatever is stuck."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.end_to_end.command import Command, address_of
from tests.end_to_end.picture_host import PictureHost
from tests.end_to_end.shop_tables import add_product, create_tables, run
from tests.end_to_end.stoppable_postgres import Network, StoppablePostgres, stoppable_postgres
from tests.integration.embedding_server import Answer
from tests.integration.scan_server import problem, scan, send, until
from tests.open_folder import open_folder

CLIENTS = 8
REQUESTS = 200

TOLD_SECONDS = 60
"""Seconds for all requests together: at the 3 s of each former retry they took several minutes."""

STOP_SECONDS = 90
"""Seconds to end: it takes up to 30, and a busy machine takes longer."""

READY_SECONDS = 15
"""Seconds for `/ready`: it takes up to 5, and a busy machine takes longer."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[StoppablePostgres]:
    with open_folder() as home, stoppable_postgres(home) as server:
        yield server


@pytest.fixture(scope="module")
def shop(
    postgres: StoppablePostgres, tmp_path_factory: pytest.TempPathFactory, pictures: PictureHost
) -> Command:
    """The command, with a shop whose products are embedded by the lite models."""
    create_tables(postgres.url)
    folder = tmp_path_factory.mktemp("health")
    shelfsight = Command(
        folder, DATABASE_URL=postgres.url, MODELS="lite", ALLOW_PRIVATE_IMAGES=pictures.host
    )
    add_product(postgres.url, "A mug", pictures.draw(1)[0])
    assert shelfsight("backfill", "--all").returncode == 0
    return shelfsight


@pytest.fixture
def running(postgres: StoppablePostgres) -> Iterator[StoppablePostgres]:
    """The server, which answers again after the test."""
    yield postgres
    postgres.thaw()
    postgres.start()


@contextmanager
def serving(shop: Command, **settings: str) -> Iterator[tuple[str, object]]:
    with shop.started("serve", "--port", "0", **settings) as process:
        _, url = address_of(process)
        assert scan(url, textQuery="mug").status == 200
        yield url, process


def kinds(answer: Answer) -> list[str]:
    return [one["kind"] for one in answer.json["problems"]]


def is_found(url: str) -> bool:
    return scan(url, textQuery="mug").status == 200


def told_soon(url: str) -> None:
    """Assert that many clients are told at once that the database is away, and health knows it."""
    started = monotonic()
    ready = send(url + "/ready")
    assert monotonic() - started < READY_SECONDS
    assert (ready.status, kinds(ready)) == (503, ["database_away"])
    started = monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda _: scan(url, textQuery="mug"), range(REQUESTS)))
    assert monotonic() - started < TOLD_SECONDS
    assert {problem(answer) for answer in answers} == {(503, "database_away")}
    assert send(url + "/health").status == 200  # a restart of the server would not help


def test_a_killed_database_is_told_at_once_and_used_again(
    shop: Command, running: StoppablePostgres
) -> None:
    with serving(shop) as (url, _):
        running.kill()
        told_soon(url)
        running.start()
        until(lambda: is_found(url))
        until(lambda: send(url + "/ready").json == {"ready": True, "problems": [], "notes": []})


def test_a_database_that_hangs_is_told_soon_and_used_again(
    shop: Command, running: StoppablePostgres
) -> None:
    with serving(shop) as (url, _):
        running.freeze()
        told_soon(url)
        running.thaw()
        until(lambda: is_found(url))


def test_a_network_that_swallows_everything_is_told_soon(
    shop: Command, postgres: StoppablePostgres
) -> None:
    folder = parse_qs(urlsplit(postgres.url).query)["host"][0]
    with closing(Network(f"{folder}/.s.PGSQL.5432")) as network:
        database = postgres.url.partition("?")[0].replace("@", f"@127.0.0.1:{network.port}")
        with serving(shop, DATABASE_URL=database) as (url, _):
            network.cut()
            told_soon(url)
            network.mend()
            until(lambda: is_found(url))


def test_sigterm_ends_it_well_while_the_database_hangs(
    shop: Command, running: StoppablePostgres
) -> None:
    with serving(shop) as (url, process), ThreadPoolExecutor(CLIENTS) as clients:
        running.freeze()
        waiting = [clients.submit(scan, url, textQuery="mug") for _ in range(CLIENTS)]
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=STOP_SECONDS)
        assert process.returncode == 0, error
        for request in waiting:
            request.exception()  # told, or not yet accepted


def test_models_that_did_not_make_the_stored_vectors_are_told_at_startup_and_by_ready(
    shop: Command, postgres: StoppablePostgres
) -> None:
    versions = 'UPDATE "ProductEmbeddings" SET "ModelVersions" = "ModelVersions" || %s'
    with psycopg.connect(postgres.url) as connection:
        ((before,),) = connection.execute('SELECT "ModelVersions" FROM "ProductEmbeddings"')
    run(postgres.url, versions, [Jsonb({"image": "another@1"})])
    try:
        with shop.started("serve", "--port", "0") as process:
            output, url = address_of(process)
            assert "not ready (models_differ): " in output
            assert problem(scan(url, textQuery="mug")) == (503, "models_differ")
            ready = send(url + "/ready")
            assert (ready.status, kinds(ready)) == (503, ["models_differ"])
            assert send(url + "/health").status == 200
            run(postgres.url, versions, [Jsonb(before)])
            until(lambda: send(url + "/ready").status == 200)
            assert is_found(url)
    finally:
        run(postgres.url, versions, [Jsonb(before)])
