"""Fixtures: one real Postgres for the session, and a fresh database for each test."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.postgres.connection import Database
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.storage import schema
from tests.open_folder import open_folder

NUMBERS = count(1)

# Deadlines, for an example or for making data, are timed assertions: a busy machine fails them.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


LONGEST = (
    *("test_siege.py", "test_kill.py", "test_models_command.py", "test_demo.py"),
    *("test_import_and_scan.py", "test_upgrade_embedded.py", "test_decoder_pool.py"),
    *("test_hostile_pictures.py", "test_scan_answers.py", "test_fetch.py"),
)
"""Files that take longest. They come first: one of them at the end would keep one process at work
while the others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others stay in their random order."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C ends this process and what it starts also where it was started to ignore that.

    `nohup make test &` in a script is: whatever is started inherits that SIGINT is ignored.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(scope="session")
def decoders() -> Iterator[DecoderPool]:
    """Decoder processes that run for the whole session."""
    with closing(DecoderPool()) as pool:
        yield pool


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder that Postgres can read; under root, pytest's own folders are private to root."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[str]:
    """The URL of a Postgres that runs for the whole session."""
    with EmbeddedPostgres(home, database="postgres") as url:
        yield url


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the test's `database`, or of an empty one if it does not use that fixture."""
    if "database" in request.fixturenames:
        yield request.getfixturevalue("prepared_url")
    else:
        with created(server) as url:
            yield url


@pytest.fixture
def database(prepared_url: str) -> Iterator[Database]:
    """A database with the tables that `shelfsight init` creates."""
    database = Database(prepared_url, retries=RetryPolicy(reconnect_seconds=20))
    yield database
    database.close()


@pytest.fixture
def prepared_url(server: str, prepared: str) -> Iterator[str]:
    """The URL of a database with the tables that `shelfsight init` creates."""
    with created(server, template=prepared) as url:
        yield url


@pytest.fixture(scope="session")
def prepared(server: str) -> Iterator[str]:
    """The name of a template database: copying it takes a quarter of the time of `init`."""
    with created(server) as url:
        database = Database(url, retries=RetryPolicy(reconnect_seconds=20))
        schema.create(database)
        database.close()
        yield url.partition("?")[0].rpartition("/")[2]


@contextmanager
def created(server: str, *, template: str = "template1") -> Iterator[str]:
    """Create a database, yield its URL, and drop it afterwards."""
    name = f"test{next(NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        # Copying the files takes half the time of copying through the log.
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
