"""A real Postgres for every test that asks for a database, and a fresh database for each."""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from shelfsight.database import Database
from shelfsight.storage import schema
from shelfsight.storage.embedded import EmbeddedPostgres

NUMBERS = count(1)

# A deadline would be a timed assertion: it fails on a busy machine.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder that the server's user can reach, which pytest's own is not for root."""
    folder = Path(tempfile.mkdtemp(prefix="shelfsight-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[str]:
    """The address of a Postgres that runs for the whole session."""
    with EmbeddedPostgres(home, database="postgres") as url:
        yield url


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """The address of an empty database that has the extension vector."""
    name = f"test{next(NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database that `shelfsight init` has prepared."""
    database = Database(url, reconnect_seconds=20)
    schema.create(database)
    yield database
    database.close()
