"""Fixtures: a browser, a small shop, a server for it, and pages."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from tests.browser.shop import Shop, open_shop
from tests.conftest import created
from tests.integration.embedding_server import in_process
from tests.integration.scan_server import scan_server

DESK = {"width": 1280, "height": 860}
PHONE = {"width": 375, "height": 812}

PATIENCE = 20_000
"""Milliseconds before an expectation or an action fails."""

expect.set_options(timeout=PATIENCE)

IN_THE_SHOP = {
    "product_url": "https://shop.example/p/{sku}",
    "add_product_url": "https://shop.example/admin/new",
    "currency": "EUR",
}
"""What the page knows of the shop."""

PLAIN_HTTP = "The Cross-Origin-Opener-Policy header has been ignored"
"""What Chromium says of every page over plain HTTP from another machine."""

NO_WORKER = "Service Worker registration blocked by Playwright"

Open = Callable[..., Page]


Launch = Callable[..., Browser]


@pytest.fixture(scope="session")
def launch() -> Iterator[Launch]:
    """Starts Debian's Chromium with further flags, without its sandbox when run as root."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path is not None, "install a browser: apt-get install chromium"
    always = ["--no-sandbox"] if os.geteuid() == 0 else []
    launched = []
    with sync_playwright() as playwright:

        def launch_(*flags: str) -> Browser:
            browser = playwright.chromium.launch(executable_path=path, args=[*always, *flags])
            launched.append(browser)
            return browser

        yield launch_
        for browser in launched:
            browser.close()


@pytest.fixture(scope="session")
def browser(launch: Launch) -> Browser:
    return launch()


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return in_process()


@pytest.fixture(scope="session")
def embedded_shop(
    server: str, prepared: str, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Shop]]:
    """A database to copy, by its name, and the shop in it, whose connections are closed."""
    with created(server, template=prepared) as url:
        with closing(Database(url)) as database:
            shop = open_shop(database, embedder, tmp_path_factory.mktemp("browser"))
        yield url.partition("?")[0].rpartition("/")[2], shop


@pytest.fixture(scope="session")
def photographs(embedded_shop: tuple[str, Shop]) -> list[tuple[Path, str]]:
    return embedded_shop[1].photographs


@pytest.fixture
def shop(server: str, embedded_shop: tuple[str, Shop]) -> Iterator[Shop]:
    """The shop of one test: what others scanned or judged is not in it."""
    template, shop = embedded_shop
    with created(server, template=template) as url, closing(Database(url)) as database:
        yield replace(shop, database=database)


@pytest.fixture
def site(shop: Shop, embedder: Embedder) -> Iterator[str]:
    with scan_server(
        shop.database, embedder, image_root=shop.folder, models="lite", **IN_THE_SHOP
    ) as url:
        yield url


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens pages; afterwards checks for console errors and for requests to other hosts."""
    if "site" in request.fixturenames:
        request.getfixturevalue("site")  # stops only after the pages are closed
    complaints: list[str] = []
    contexts = []

    def open_(
        address: str,
        *,
        within: Browser = browser,
        refusals: bool = False,
        expected: str = PLAIN_HTTP,
        pictures: str = "blob:",
        **options: object,
    ) -> Page:
        """Open a URL. With `refusals`, responses of 4xx may be logged to the console.

        Messages with the text `expected` may be too. `pictures` is the only other host that the
        page may send requests to. It has no service worker, unless `service_workers="allow"`.
        """
        always = {"viewport": DESK, "service_workers": "block"}
        context = within.new_context(**{**always, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)

        def check_console(kind: str, text: str) -> None:
            parts = [expected, NO_WORKER, *(["status of 4"] if refusals else [])]
            if kind in {"error", "warning"} and not any(part in text for part in parts):
                complaints.append(text)

        def check_host(url: str) -> None:
            if not url.startswith((address, pictures, "blob:")):
                complaints.append(f"request to {url}")

        page.on("console", lambda message: check_console(message.type, message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: check_host(request.url))
        page.goto(address)
        expect(page.locator("#find")).to_be_enabled()  # its scripts have run
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Open, site: str) -> Page:
    """The page in a window of desktop size."""
    return open_page(site)
