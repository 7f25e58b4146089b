"""The page as an installed app: its manifest, and what opens without a network."""

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urljoin

import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shelfsight.postgres.connection import Database
from shelfsight.serving.scan_api.page import static_files
from shelfsight.testing import HashEmbedder
from tests.browser.actions import cards, wait_for_answer
from tests.browser.conftest import PHONE, Open
from tests.browser.shop import Shop
from tests.browser.test_looks import violations
from tests.integration.embedding_server import running
from tests.integration.scan_server import scan_server, until

KEPT = """async () => {
  const addresses = [];
  for (const name of await caches.keys()) {
    for (const { url } of await (await caches.open(name)).keys()) addresses.push(url);
  }
  return addresses;
}"""
"""The addresses of all that the browser keeps."""

AWAY = "Object.defineProperty(navigator, 'onLine', { value: false, configurable: true })"
"""What a browser without a network says; Chromium's emulation of that forgets it on a reload."""

READY = """async () => {
  const { active } = await navigator.serviceWorker.ready;
  if (active.state === "activated") return;
  await new Promise((resolve) => {
    active.onstatechange = () => { if (active.state === "activated") resolve(); };
  });
}"""


def kept(page: Page) -> set[str]:
    return set(page.evaluate(KEPT))


def open_installed(open_page: Open, address: str) -> Page:
    """Open the page twice: the second time its service worker is at work."""
    page = open_page(
        address, viewport=PHONE, service_workers="allow", expected="Failed to load resource"
    )
    page.evaluate(READY)
    page.reload()
    assert page.evaluate("navigator.serviceWorker.controller !== null")
    return page


@pytest.mark.parametrize("path", ["/", "/api/"])
def test_the_manifest_is_of_the_page_where_it_is_served(
    open_page: Open, site: str, path: str
) -> None:
    page = open_page(site + path)
    address = page.locator("link[rel=manifest]").evaluate("(link) => link.href")
    answer = page.request.get(address)
    assert answer.headers["content-type"] == "application/manifest+json"
    manifest = answer.json()
    for key in ("start_url", "scope"):
        assert urljoin(address, manifest[key]) == site + path
    for icon in manifest["icons"]:
        drawn = page.request.get(urljoin(address, icon["src"]))
        assert drawn.headers["content-type"] == icon["type"]
        if icon["sizes"] != "any":
            width, height = Image.open(BytesIO(drawn.body())).size
            assert icon["sizes"] == f"{width}x{height}"


def test_without_a_network_it_opens_and_says_so_once(
    open_page: Open, site: str, shop: Shop
) -> None:
    page = open_installed(open_page, f"{site}/api/")
    away = page.get_by_text("You are not connected.")
    page.context.set_offline(True)
    expect(away).to_be_visible()
    page.add_init_script(AWAY)
    page.reload()
    expect(away).to_be_visible()
    expect(away).to_have_count(1)
    assert violations(page) == []
    page.context.set_offline(False)
    page.evaluate("delete navigator.onLine; dispatchEvent(new Event('online'))")
    expect(page.locator("#offline")).to_be_hidden()
    expect(page.locator("#state-sentences")).to_contain_text("There are 20 products.")
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    expect(cards(page).first.locator("img")).to_have_js_property("naturalWidth", 320)
    expect(page.locator("#map-photo circle").first).to_be_attached()
    files = {path.removeprefix("/") for path, _ in static_files.assets()}
    assert kept(page) == {f"{site}/api/{file}" for file in files - {static_files.WORKER}}


LOSE_NETWORK = """() => {
  window.fetch = async () => {
    Object.defineProperty(navigator, "onLine", { value: false, configurable: true });
    dispatchEvent(new Event("offline"));
    throw new TypeError("Failed to fetch");
  };
  dispatchEvent(new Event("online"));
}"""
"""The network goes while the page fetches what it shows of the catalogue."""


def test_a_network_that_goes_while_the_page_loads_is_said_once(open_page: Open, site: str) -> None:
    page = open_page(site)
    page.evaluate(LOSE_NETWORK)
    away = page.get_by_text("You are not connected.")
    expect(page.locator("#offline")).to_be_visible()
    page.wait_for_timeout(200)
    expect(away).to_have_count(1)


def test_while_the_server_is_away_it_opens_and_says_so(open_page: Open, database: Database) -> None:
    with scan_server(database, HashEmbedder()) as url:
        page = open_installed(open_page, url)
    page.reload()
    expect(page.locator("#state-sentences")).to_contain_text("The server does not answer")


class Releases:
    """Serves the page from a folder that may change, as a server after an update does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        handlers = dict(static_files.assets(self.folder))
        handler = handlers.get(scope["path"], handlers["/"])
        response = await handler(Request(scope))
        await response(scope, receive, send)


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Releases]:
    shutil.copytree(Path(str(static_files.STATIC)), tmp_path / "first")
    yield Releases(tmp_path / "first")


def test_an_update_replaces_what_is_kept(
    open_page: Open, releases: Releases, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    shutil.copytree(releases.folder, second)
    (second / "plain.js").unlink()
    (second / "text.js").write_text("// another file")
    app: ASGIApp = releases
    with running(app) as url:
        page = open_page(url, service_workers="allow", expected="")
        page.evaluate(READY)
        assert f"{url}/page/plain.js" in kept(page)
        releases.folder = second
        page.goto(f"{url}/")
        until(lambda: f"{url}/page/text.js" in kept(page))
        until(lambda: f"{url}/page/plain.js" not in kept(page))
