"""The page for a shopkeeper: words, languages, problems, and both pictures in large."""

import base64
import json
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from shelfsight.postgres.connection import Database
from shelfsight.storage.api_keys import ApiKeys
from shelfsight.testing import HashEmbedder
from tests.browser.actions import ask, cards, sent_by, wait_for_answer
from tests.browser.conftest import PHONE, Open
from tests.browser.shop import Shop
from tests.browser.test_looks import violations
from tests.integration.scan_server import scan_server
from tests.shop import backfill_all, fill

LANGUAGES = {"de": "Suchen", "fr": "Chercher", "es": "Buscar", "da": "Søg", "pt": "Find"}
SCAN = "**/quick-scan"


def nothing_found(page: Page) -> None:
    """Scan with a threshold that nothing reaches."""

    def out_of_reach(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        route.continue_(post_data=json.dumps({**body, "threshold": 1}))

    page.route(SCAN, out_of_reach, times=1)
    ask(page, "a steam locomotive")
    wait_for_answer(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_speaks_the_language_of_the_browser(
    open_page: Open, site: str, shop: Shop, language: str
) -> None:
    page = open_page(site, locale=language, viewport=PHONE)
    expect(page.locator("#find")).to_have_text(LANGUAGES[language])
    spoken = "en" if language == "pt" else language
    expect(page.locator("html")).to_have_attribute("lang", spoken)
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    if language == "de":
        expect(page.locator("#state-sentences")).to_contain_text("Es gibt 20 Produkte.")
        assert violations(page) == []


def test_a_page_that_runs_right_to_left_holds(open_page: Open, site: str, shop: Shop) -> None:
    page = open_page(site, viewport=PHONE)
    page.evaluate("document.documentElement.dir = 'rtl'")
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert violations(page) == []


def test_how_sure_a_match_is_stands_in_one_line(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    for badge in page.locator(".confidence").all():
        assert str(badge.text_content()).split(",")[0] in {"Sure", "Perhaps", "A guess"}
        box = badge.bounding_box()
        assert box is not None
        assert box["height"] < 30


@pytest.mark.parametrize(
    ("status", "sentence", "button"),
    [
        (503, "The server does not answer; it may be waking up.", "Try again"),
        (429, "That was a lot at once. Try again in 5 s.", "Try again"),
        (403, "The key was refused or is missing.", "Enter the key"),
        (415, "This photo cannot be read.", "Choose another photo"),
        (424, "There is no picture to be had at this address.", "Choose another photo"),
        (500, "Something went wrong on the server.", "Try again"),
    ],
)
def test_a_problem_is_one_sentence_and_one_thing_to_do(
    page: Page, status: int, sentence: str, button: str
) -> None:
    answer = {"detail": "in the words of the server"}
    page.route(SCAN, lambda route: route.fulfill(status=200, json={"status": status, **answer}))
    page.evaluate(  # a real status would be an error in the console
        """(status) => {
          const send = window.fetch;
          window.fetch = async (...request) => {
            const response = await send(...request);
            const body = request[0].includes("quick-scan") && await response.text();
            return body ? new Response(body, { status }) : response;
          };
        }""",
        status,
    )
    ask(page, "a mug")
    wait_for_answer(page)
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.locator("#problem-box button")).to_have_text(button)
    page.locator("#problem-details summary").click()
    expect(page.get_by_text("in the words of the server")).to_be_visible()
    assert violations(page) == []


def test_without_a_network_one_can_try_again(page: Page, shop: Shop) -> None:
    page.evaluate("void (window.fetchAway = window.fetch)")
    page.evaluate("void (window.fetch = () => Promise.reject(new TypeError('no network')))")
    page.evaluate("void Object.defineProperty(navigator, 'onLine', { value: false })")
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    expect(page.get_by_role("alert")).to_contain_text("You are not connected.")
    page.evaluate("void (window.fetch = window.fetchAway)")
    page.get_by_role("button", name="Try again").click()
    expect(cards(page).first).to_contain_text(shop.photographs[0][1])
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_key_that_is_withheld_can_be_entered_afterwards(
    open_page: Open, database: Database
) -> None:
    fill(database, 3, owner="ann")
    backfill_all(database)
    key = ApiKeys(database).create("ann", "")[1]
    with scan_server(database, HashEmbedder()) as url:
        page = open_page(url, refusals=True)
        page.get_by_role("button", name="Cancel").click()
        ask(page, "sku-2")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("alert")).to_contain_text("The key was refused or is missing.")
        page.get_by_role("button", name="Enter the key").click()
        page.get_by_label("Key", exact=True).fill(key)
        page.keyboard.press("Enter")
        expect(cards(page).first).to_contain_text("sku-2")
        expect(page.locator("#counts")).to_contain_text("Products3")
        page.wait_for_load_state("networkidle")


def test_what_is_not_in_the_catalogue_can_be_looked_for_otherwise(page: Page) -> None:
    nothing_found(page)
    expect(page.locator("#results-title")).to_have_text("Not in your catalogue")
    assert violations(page) == []
    add = page.get_by_role("link", name="Add it to the shop")
    expect(add).to_have_attribute("href", "https://shop.example/admin/new")
    page.get_by_role("button", name="Search by words").click()
    expect(page.get_by_label("Words")).to_be_focused()
    page.get_by_role("button", name="Show the nearest").click()
    expect(cards(page).first).to_be_visible()
    expect(page.locator("#absent")).to_be_hidden()


def test_both_pictures_are_shown_in_large(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    cards(page).first.get_by_role("button", name="Compare in large").click()
    panes = page.locator("#zoom img")
    for index in range(2):
        expect(panes.nth(index)).not_to_have_js_property("naturalWidth", 0)
    before = panes.first.bounding_box()
    page.get_by_label("Magnify").fill("2")
    after = panes.first.bounding_box()
    assert before is not None
    assert after is not None
    assert round(after["width"] / before["width"]) == 2
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#zoom")).to_be_hidden()


def test_while_it_works_one_sees_what_is_done(page: Page, shop: Shop) -> None:
    expect(page.locator("#state-sentences")).to_contain_text("20 products")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(SCAN, hold)
    page.set_input_files("#file", shop.photographs[0][0])
    expect(page.locator("#results-note")).to_have_text("Comparing with 16 products …")
    moving = "(frame) => getComputedStyle(frame, '::after').animationName"
    assert page.locator(".frame").evaluate(moving) == "look"
    assert violations(page) == []
    held[0].continue_()
    wait_for_answer(page)
    expect(cards(page).first).to_be_visible()


def test_a_product_is_one_match_with_its_variants_as_chips(page: Page) -> None:
    ask(page, "Swim short")
    short = cards(page).filter(has_text="Swim short")
    expect(short).to_have_count(1)
    large = short.get_by_role("button", name="L · navy")
    large.click()
    expect(large).to_have_attribute("aria-pressed", "true")
    expect(short.get_by_role("button", name="M · navy")).to_have_attribute("aria-pressed", "false")
    expect(short.locator(".price")).to_have_text("€21.00")
    expect(short.locator(".sku")).to_have_text("SHORT-L")
    expect(short.locator(".because")).to_have_text("because of words")
    assert violations(page) == []


def test_a_match_leads_to_the_product_in_the_shop(page: Page, shop: Shop) -> None:
    sku = shop.photographs[0][1]
    ask(page, sku)
    link = cards(page).first.locator("h3 a")
    expect(link).to_have_attribute("href", f"https://shop.example/p/{sku}")


def test_a_box_over_the_photo_is_what_is_looked_for(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    photo = page.locator("#preview").bounding_box()
    assert photo is not None
    with page.expect_request(SCAN) as sent:
        page.mouse.move(photo["x"] + photo["width"] * 0.4, photo["y"] + photo["height"] * 0.3)
        page.mouse.down()
        page.mouse.move(photo["x"] + photo["width"] * 0.6, photo["y"] + photo["height"] * 0.8)
        page.mouse.up()
    box = json.loads(sent.value.post_data or "")["box"]
    assert round(box["y"], 1) == 0.3
    assert round(box["height"], 1) == 0.5
    wait_for_answer(page)
    assert violations(page) == []
    page.get_by_role("button", name="Whole photo").click()
    expect(page.locator("#box")).to_be_hidden()


def test_a_box_is_marked_by_keys(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    page.get_by_role("button", name="Mark the thing meant").click()
    expect(page.locator("#box")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("-")
    with page.expect_request(SCAN) as sent:
        page.keyboard.press("Enter")
    box = json.loads(sent.value.post_data or "")["box"]
    assert {name: round(part, 2) for name, part in box.items()} == {
        "x": 0.3,
        "y": 0.25,
        "width": 0.45,
        "height": 0.45,
    }
    wait_for_answer(page)


def test_a_box_in_a_large_photo_is_sent_at_full_size(page: Page, tmp_path: Path) -> None:
    photo = Image.new("RGB", (3000, 2000), "white")
    photo.paste("red", (1000, 500, 2500, 1500))
    photo.save(tmp_path / "large.png")
    sent_by(page, tmp_path / "large.png")
    page.get_by_role("button", name="Mark the thing meant").click()
    for key in ("ArrowRight", "ArrowRight", "-", "-", "-", "-"):
        page.keyboard.press(key)
    with page.expect_request(SCAN) as sent:
        page.keyboard.press("Enter")
    body = json.loads(sent.value.post_data or "")
    part = Image.open(BytesIO(base64.b64decode(body["imageBase64"])))
    assert "box" not in body
    assert abs(part.width - 900) <= 1
    assert abs(part.height - 600) <= 1
    for corner in ((2, 2), (part.width - 3, part.height - 3)):
        red, green, _ = part.getpixel(corner)
        assert red > 200
        assert green < 50
    wait_for_answer(page)
