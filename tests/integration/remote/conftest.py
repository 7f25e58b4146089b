"""Fixtures: a scripted embedding server, and clients that are closed at the end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.embedding.remote.remote_embedder import RemoteEmbedder
from tests.integration.remote.scripted_server import QUICK, Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with serving(server.handle) as server.url:
        yield server


@pytest.fixture
def connect() -> Iterator[Callable[..., RemoteEmbedder]]:
    with ExitStack() as opened:

        def connect(url: str, *, load_image_model=None, **config: object) -> RemoteEmbedder:
            config = {"cold_start_timeout": 20, "down_timeout": 20, "retry_policy": QUICK, **config}
            model = RemoteEmbedder(ServerConfig(url=url, **config), load_image_model)
            return opened.enter_context(closing(model))

        yield connect


@pytest.fixture
def model(server: Server, connect) -> RemoteEmbedder:
    model = connect(server.url)
    server.requests.clear()
    return model
