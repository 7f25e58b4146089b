"""A real Postgres for every test that asks for a database, and a fresh database for each."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from shelfsight.database import Database
from shelfsight.embedded.postgres import EmbeddedPostgres
from shelfsight.storage import schema
from tests.open_folder import open_folder

NUMBERS = count(1)

# A deadline would be a timed assertion, and so is that data is soon made: a busy machine fails it.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


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
def home() -> Iterator[Path]:
    """A folder that the server's user can reach, which pytest's own is not for root."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[str]:
    """The address of a Postgres that runs for the whole session."""
    with EmbeddedPostgres(home, database="postgres") as url:
        yield url


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of `database` where that is asked for too, else of an empty one."""
    if "database" in request.fixturenames:
        yield request.getfixturevalue("prepared_url")
    else:
        with created(server) as url:
            yield url


@pytest.fixture
def database(prepared_url: str) -> Iterator[Database]:
    """A database that `shelfsight init` has prepared."""
    database = Database(prepared_url, reconnect_seconds=20)
    yield database
    database.close()


@pytest.fixture
def prepared_url(server: str, prepared: str) -> Iterator[str]:
    """The address of a database that `shelfsight init` has prepared."""
    with created(server, template=prepared) as url:
        yield url


@pytest.fixture(scope="session")
def prepared(server: str) -> Iterator[str]:
    """The name of a database to copy: that costs a quarter of preparing each."""
    with created(server) as url:
        database = Database(url, reconnect_seconds=20)
        schema.create(database)
        database.close()
        yield url.partition("?")[0].rpartition("/")[2]


@contextmanager
def created(server: str, *, template: str = "template1") -> Iterator[str]:
    """Create a database, give its address, and drop it."""
    name = f"test{next(NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
