"""Fixtures for whole runs: databases, a picture host and the command; some shared per file."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from tests.conftest import created
from tests.end_to_end.command import PASSWORD, Command
from tests.end_to_end.picture_host import PictureHost, picture_host
from tests.integration.embedding_server import serving
from tests.open_folder import open_folder

NUMBERS = count(1)


@pytest.fixture(scope="module")
def module_url(server: str) -> Iterator[str]:
    """The URL of an empty database, shared by the tests of a file."""
    name = f"file{next(NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def pictures() -> Iterator[PictureHost]:
    """A picture host, shared by the tests of a file."""
    with picture_host() as host:
        yield host


@pytest.fixture
def copied_url(server: str, module_url: str, pictures: PictureHost) -> Iterator[str]:
    """The address of a copy of the file's database, for a test that changes it, or the host."""
    name = module_url.partition("?")[0].rpartition("/")[2]
    with created(server, template=name) as url, pictures.restored():
        yield url


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """The address of an embedding server with the lite models.

    Commands that use it start in half the time, because they load no models themselves.
    """
    with serving() as address:
        yield address


@pytest.fixture
def shelfsight(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Command:
    """The command with the lite models and an empty database; its URL contains a password.

    The models run in the command's own process, or on the `model_server` if a test uses that.
    """
    if "model_server" in request.fixturenames:
        return command(url, tmp_path, EMBEDDING_SERVER_URL=request.getfixturevalue("model_server"))
    return command(url, tmp_path)


def command(url: str, folder: Path, **variables: str) -> Command:
    """Return the command with the lite models and this database; its URL contains a password."""
    address = url.replace("postgres@", f"postgres:{PASSWORD}@")
    return Command(folder, DATABASE_URL=address, MODELS="lite", **variables)


@pytest.fixture
def home_of_its_own() -> Iterator[str]:
    """A folder for an embedded database of the test's own, accessible to the server's user."""
    with open_folder() as folder:
        yield str(folder)
