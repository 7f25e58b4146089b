"""The servers that the clients ask."""

from collections.abc import Iterator

import pytest

from shelfsight.serving.access import ServerKey
from tests.clients.python_clients import KEY
from tests.integration.embedding_server import serving
from tests.integration.scan_server import prepared, scan_server
from tests.shop import backfill_all, fill


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with serving(key=ServerKey(KEY)) as url:
        yield url


@pytest.fixture(scope="session")
def site(server: str) -> Iterator[str]:
    """A scan server of five products, `sku-1` to `sku-5`; see `tests.shop.fill`."""
    with prepared(server, "clients") as shop:
        fill(shop, 5, pictures=True)
        backfill_all(shop)
        with scan_server(shop, product_url="https://shop.test/{sku}") as url:
            yield url
