"""How the page looks: layout, accessibility, touch, pictures and the map."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from shelfsight.postgres.connection import Database
from shelfsight.testing import HashEmbedder
from tests.browser.actions import ask, cards, wait_for_answer
from tests.browser.conftest import DESK, PHONE, Open
from tests.browser.shop import Shop
from tests.integration.scan_server import in_png, scan_server
from tests.shop import backfill_all, fill, picture


class PictureHost(ThreadingHTTPServer):
    """Serves a picture at every path, and records the Referer headers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), PictureHandler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.referrers: set[str | None] = set()


class PictureHandler(BaseHTTPRequestHandler):
    server: PictureHost

    def do_GET(self) -> None:
        self.server.referrers.add(self.headers.get("Referer"))
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(in_png(picture(1)))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def picture_host() -> Iterator[PictureHost]:
    host = PictureHost()
    thread = threading.Thread(target=host.serve_forever)
    thread.start()
    yield host
    host.shutdown()
    host.server_close()
    thread.join()


def violations(page: Page) -> list[tuple[str, str]]:
    """The rules of axe-core (WCAG 2.2 A and AA, best practices) that elements violate."""
    found = Axe().run(page).response["violations"]
    return [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(
    open_page: Open, site: str, shop: Shop, viewport: dict[str, int], scheme: str
) -> None:
    page = open_page(site, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator("#counts")).to_contain_text("Products")
    expect(page.locator("#map-products circle").first).to_be_attached()
    assert violations(page) == []
    page.set_input_files("#file", shop.photographs[0][0])
    expect(page.locator("#map-photo circle").first).to_be_attached()
    cards(page).first.get_by_role("button", name="Right").click()
    cards(page).nth(1).get_by_role("button", name="Wrong").click()
    expect(cards(page).nth(1)).to_have_attribute("data-judged", "wrong")
    assert violations(page) == []
    page.get_by_role("button", name="API key").click()
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 375, 760, 1024, 1280, 1920])
def test_nothing_lies_beyond_the_edge(open_page: Open, site: str, shop: Shop, width: int) -> None:
    page = open_page(site, viewport={"width": width, "height": 800})
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.set_input_files("#file", shop.photographs[0][0])
        wait_for_answer(page)
        expect(page.locator("#map-photo circle").first).to_be_attached()


def test_a_phone_takes_the_photo_and_is_led_to_the_answer(
    open_page: Open, site: str, shop: Shop
) -> None:
    page = open_page(site, viewport=PHONE, has_touch=True, is_mobile=True)
    expect(page.get_by_role("button", name="Open the camera")).to_be_visible()
    camera = page.locator("#camera")
    assert camera.get_attribute("capture") == "environment"
    camera.set_input_files(shop.photographs[0][0])
    wait_for_answer(page)
    expect(cards(page).first.locator("h3")).to_be_in_viewport()


def test_fingers_hit_the_buttons(open_page: Open, site: str, shop: Shop) -> None:
    page = open_page(site, viewport=PHONE, has_touch=True, is_mobile=True)
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    for button in page.locator("button:visible").all():
        box: Any = button.bounding_box()
        assert box["height"] >= 44, button.inner_text()


def test_pictures_of_the_folder_are_shown_and_missing_ones_said(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    picture = cards(page).first.locator("img")
    expect(picture).to_have_js_property("naturalWidth", 320)
    expect(picture).to_have_attribute(
        "alt", str(cards(page).first.locator(".title").text_content())
    )
    ask(page, "GONE")
    gone = cards(page).filter(has_text="A thing whose picture is gone")
    expect(gone.locator(".picture")).to_have_class("picture lacking")


def test_pictures_on_the_web_are_shown_and_not_told_who_asks(
    open_page: Open, database: Database, picture_host: PictureHost
) -> None:
    fill(database, 3, pictures=True)
    backfill_all(database)
    rows = 'UPDATE "ProductEmbeddings" SET "ImageUrl" = replace("ImageUrl", %s, %s)'
    values = ["http://shop.test", picture_host.address]
    database.run(lambda connection: connection.execute(rows, values).rowcount)
    with scan_server(database, HashEmbedder()) as url:
        page = open_page(url, pictures=picture_host.address)
        ask(page, "sku-2")
        expect(cards(page).first.locator("img")).to_have_js_property("naturalWidth", 8)
    assert picture_host.referrers == {None}


def test_html_in_a_title_is_words(page: Page) -> None:
    ask(page, "HOSTILE")
    first = cards(page).first
    expect(first.locator(".title")).to_have_text("Lamp & shade")
    expect(first.locator("h3 img, h3 b, script")).to_have_count(0)
    assert page.title() == "Shelfsight"


def test_the_photo_lands_on_the_map_among_its_matches(page: Page, shop: Shop) -> None:
    dots = page.locator("#map-products circle")
    expect(dots.first).to_be_attached()
    count = dots.count()
    page.set_input_files("#file", shop.photographs[0][0])
    expect(page.locator("#map-photo circle")).to_have_count(2)
    marks = page.locator("#map-matches .mark")
    assert marks.count() + dots.count() == count
    expect(page.get_by_role("img", name="Your photo lies near")).to_be_visible()
    cards(page).first.hover()
    expect(page.locator(".mark.pointed text")).to_have_text("1")


def test_the_map_tells_what_lies_under_the_pointer(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    expect(page.locator("#map-photo circle").first).to_be_attached()
    box: Any = page.locator(".mark", has_text="1").locator("circle").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    title = cards(page).first.locator(".title").text_content()
    expect(page.locator("#tip")).to_contain_text(str(title))
    expect(page.locator("#tip img")).to_have_js_property("complete", True)


def test_what_is_found_is_said_to_screen_readers(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    title = cards(page).first.locator(".title").text_content()
    expect(page.get_by_role("status")).to_contain_text(str(title))
    named = cards(page).first.get_by_role("button", name=f"Right: {title}")
    expect(named).to_be_visible()


def test_the_state_of_the_catalogue_is_told(page: Page) -> None:
    expect(page.locator("#state-sentences")).to_contain_text("There are 20 products.")
    expect(page.locator("#state-sentences")).to_contain_text("3 problems with pictures or texts")
    expect(page.locator("#counts")).to_be_hidden()
    page.locator("#state-details summary").click()
    expect(page.locator("#counts")).to_contain_text("Embedded")
    expect(page.locator("#failed")).to_contain_text("file_not_found")


def test_who_wants_no_motion_gets_none(open_page: Open, site: str) -> None:
    page = open_page(site, reduced_motion="reduce")
    page.evaluate("document.getElementById('scan').classList.add('busy')")
    frame = page.locator(".frame")
    assert frame.evaluate("(frame) => getComputedStyle(frame, '::after').animationName") == "none"
