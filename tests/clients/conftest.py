"""The embedding server that the clients ask."""

from collections.abc import Iterator

import pytest

from shelfsight.serving.access import ServerKey
from tests.clients.python_clients import KEY
from tests.integration.embedding_server import serving


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with serving(key=ServerKey(KEY)) as url:
        yield url
