"""A browser, and the page over a small shop."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.shop import Shop, open_shop
from tests.integration.embedding_server import in_process
from tests.integration.scan_server import prepared, scan_server

DESK = {"width": 1280, "height": 860}
PHONE = {"width": 375, "height": 812}

PATIENCE = 20_000
"""Milliseconds to wait for what should happen at once."""

expect.set_options(timeout=PATIENCE)

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; as root it has no sandbox of its own."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path is not None, "install a browser: apt-get install chromium"
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def shop(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with prepared(server, "browser") as database:
        yield open_shop(database, in_process(), Path(tmp_path_factory.mktemp("browser")))


@pytest.fixture(scope="session")
def site(shop: Shop) -> Iterator[str]:
    with scan_server(shop.database, in_process(), image_root=shop.folder, models="lite") as url:
        yield url


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens an address; afterwards sees that nothing was complained of or asked of other hosts."""
    complaints: list[str] = []
    contexts = []

    def open_(
        address: str, *, refusals: bool = False, pictures: str = "blob:", **options: object
    ) -> Page:
        """`refusals` may be logged: a browser tells of each answer of 400 and more.

        `pictures` is the only other host that may be asked.
        """
        context = browser.new_context(**{"viewport": DESK, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)

        def heard(kind: str, text: str) -> None:
            if kind in {"error", "warning"} and not (refusals and "status of 4" in text):
                complaints.append(text)

        def asked(url: str) -> None:
            if not url.startswith((address, pictures, "blob:")):
                complaints.append(f"asked for {url}")

        page.on("console", lambda message: heard(message.type, message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked(request.url))
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Open, site: str) -> Page:
    """The page on a desk."""
    return open_page(site)
