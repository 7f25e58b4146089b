"""A product file that lies at an http(s) address."""

from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.imported import Item
from shelfsight.errors import ImportFileError
from shelfsight.settings import Settings
from shelfsight.wiring import product_download, product_file

FEED = (Path(__file__).parent / "exports" / "google.xml").read_bytes()
ALLOWED = Settings(_env_file=None, allow_private_images="127.0.0.1")


class Host(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        bodies = {"/feeds/google.xml?key=1": FEED, "/broken": FEED[:1100], "/large": 9 * FEED}
        body = bodies.get(self.path, b"-")
        status = 302 if self.path == "/feed" else 200 if self.path in bodies else 404
        self.send_response(status)
        self.send_header("Location", "/feeds/google.xml?key=1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def read(address: str, settings: Settings = ALLOWED) -> list[Item]:
    with product_file.open_product_file(settings, address, ImportOptions()) as file:
        assert str(file) == address
        return list(file)


def skus(items: list[Item]) -> list[str]:
    return [getattr(item, "sku", "") for item in items]


def test_a_feed_is_downloaded_also_through_a_redirect(host: str) -> None:
    assert skus(read(f"{host}/feed")) == ["tee-red-s", "tee-blue-m", "mug-1"]


def test_a_broken_feed_gives_the_products_before_the_break(host: str) -> None:
    *products, broken = read(f"{host}/broken")
    assert skus(products) == ["tee-red-s"]
    assert "is not XML: " in getattr(broken, "reason", "")


@pytest.mark.parametrize(
    ("path", "options", "says"),
    [
        ("/none", {}, "404"),
        ("/feed", {"allow_private_images": ""}, "ALLOW_PRIVATE_IMAGES=127.0.0.1"),
        ("/large", {}, "larger than 2,000 bytes"),
    ],
)
def test_what_cannot_be_downloaded_is_refused_with_the_reason(
    host: str, monkeypatch: pytest.MonkeyPatch, path: str, options: dict[str, str], says: str
) -> None:
    settings = ALLOWED.model_copy(update=options)
    limits = replace(product_download.FEED_LIMITS, max_bytes=2_000)
    monkeypatch.setattr(product_download, "FEED_LIMITS", limits)
    with pytest.raises(ImportFileError, match="cannot be read: ") as caught:
        read(host + path, settings)
    assert str(caught.value).startswith(f"{host}{path} ")
    assert says in str(caught.value)
