"""Scans on the page: photos and words, matches, feedback, keys."""

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from shelfsight.postgres.connection import Database
from shelfsight.storage.api_keys import ApiKeys
from shelfsight.testing import HashEmbedder
from tests.browser.actions import ask, cards, drop, paste, sent_by, wait_for_answer
from tests.browser.conftest import PHONE, Open
from tests.browser.shop import Shop
from tests.integration.scan_server import scan_server
from tests.shop import backfill_all, fill, rows


def feedback(shop: Shop) -> list[tuple[object, ...]]:
    """The stored feedback: SKU, verdict, rank, and whether it has an image score."""
    return rows(
        shop.database,
        'SELECT v."Sku", "Verdict", "Rank", "ImageScore" IS NOT NULL'
        ' FROM shelfsight."ScanFeedback" AS f'
        ' LEFT JOIN "ProductVariants" AS v ON v."Id"::text = f."ProductVariantId"',
    )


def test_a_dropped_photo_finds_its_product_and_right_is_stored(page: Page, shop: Shop) -> None:
    photograph, sku = shop.photographs[0]
    drop(page, photograph)
    first = cards(page).first
    expect(first).to_contain_text(sku)
    expect(first.locator("h3")).not_to_be_empty()
    first.get_by_text("Details").click()
    expect(first.locator(".scores").get_by_text("Photo")).to_be_visible()
    right = first.get_by_role("button", name="Right")
    right.click()
    expect(right).to_have_attribute("aria-pressed", "true")
    assert feedback(shop) == [(sku, "right", 1, True)]


def test_a_pasted_photo_finds_its_product_and_wrong_is_stored(page: Page, shop: Shop) -> None:
    photograph, sku = shop.photographs[1]
    paste(page, photograph)
    first = cards(page).first
    expect(first).to_contain_text(sku)
    wrong = first.get_by_role("button", name="Wrong")
    wrong.click()
    expect(wrong).to_have_attribute("aria-pressed", "true")
    assert feedback(shop) == [(sku, "wrong", 1, True)]


def test_none_of_them_is_stored(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[2][0])
    expect(cards(page).first).to_be_visible()
    page.get_by_role("button", name="None of these").click()
    expect(page.get_by_text("Noted: none of these")).to_be_visible()
    assert feedback(shop) == [(None, "none", 1, True)]


def test_words_alone_and_with_the_photo(page: Page, shop: Shop) -> None:
    photograph, sku = shop.photographs[0]
    ask(page, sku)
    expect(cards(page).first).to_contain_text("Exact code")
    expect(page.locator("#results-title")).to_have_text("This is it")
    page.set_input_files("#file", photograph)
    scores = cards(page).first.locator(".scores")
    expect(scores).to_contain_text("Photo")
    expect(scores).to_contain_text("Words")
    page.get_by_role("button", name="Another photo").click()
    expect(page.get_by_text("Choose photos")).to_be_visible()


def test_it_can_be_done_without_a_mouse(page: Page, shop: Shop) -> None:
    sku = shop.photographs[0][1]
    page.get_by_label("Words").focus()
    page.keyboard.type(sku)
    page.keyboard.press("Enter")
    wait_for_answer(page)
    for _ in range(
        4
    ):  # details of the answer; of the first match: picture, link to the shop, "Right"
        page.keyboard.press("Tab")
    right = cards(page).first.get_by_role("button", name="Right")
    expect(right).to_be_focused()
    page.keyboard.press("Enter")
    expect(right).to_have_attribute("aria-pressed", "true")
    assert feedback(shop) == [(sku, "right", 1, False)]


def test_the_way_in_by_keyboard_starts_with_the_photo(page: Page) -> None:
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.className")
        )
    assert reached == ["skip", "key-button", "camera-start", "file", "words", "find"]


def test_a_large_photo_is_sent_small_and_upright(page: Page, tmp_path: Path) -> None:
    photo = Image.new("RGB", (3000, 2000), "white")
    photo.paste((200, 0, 0), (0, 0, 3000, 200))  # the edge that stands at the right, once upright
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a phone"
    photo.save(tmp_path / "large.jpg", exif=exif)
    body = sent_by(page, tmp_path / "large.jpg")
    sent = Image.open(BytesIO(base64.b64decode(str(body["imageBase64"]))))
    assert (sent.format, sent.size) == ("JPEG", (853, 1280))
    red, green, _ = sent.getpixel((840, 640))
    assert red > 150 > green
    assert dict(sent.getexif()) == {}


def test_a_small_photo_is_sent_as_it_is(page: Page, shop: Shop) -> None:
    photograph = shop.photographs[0][0]
    body = sent_by(page, photograph)
    assert base64.b64decode(str(body["imageBase64"])) == photograph.read_bytes()


def test_what_is_not_a_picture_is_refused_in_plain_words(
    open_page: Open, site: str, tmp_path: Path
) -> None:
    page = open_page(site, refusals=True)
    (tmp_path / "page.jpg").write_text("<html>no picture</html>")
    page.set_input_files("#file", tmp_path / "page.jpg")
    expect(page.get_by_role("alert")).to_have_text("This photo cannot be read. Choose another.")
    expect(page.locator("#problem-details")).to_contain_text("this is a web page, not a picture")
    expect(page.get_by_role("button", name="Choose another photo")).to_be_visible()
    (tmp_path / "list.txt").write_text("no picture")
    drop(page, tmp_path / "list.txt", "text/plain")
    expect(page.get_by_role("alert")).to_have_text("That file is not a picture. Choose a photo.")


def test_an_empty_catalogue_says_what_to_run(open_page: Open, database: Database) -> None:
    with scan_server(database, HashEmbedder()) as url:
        page = open_page(url)
        expect(page.get_by_text("There are no products yet")).to_be_visible()
        ask(page, "a blue mug")
        wait_for_answer(page)
        expect(page.locator("#results-title")).to_have_text("Nothing to find yet")
        expect(page.locator("#answer-figures")).to_contain_text("shelfsight backfill")


def test_a_key_is_asked_for_and_kept_in_the_tab_only(open_page: Open, database: Database) -> None:
    fill(database, 3, owner="ann")
    fill(database, 2, first=7, owner="bob")
    backfill_all(database)
    key = ApiKeys(database).create("ann", "")[1]
    with scan_server(database, HashEmbedder()) as url:
        page = open_page(url, refusals=True, viewport=PHONE)
        field = page.get_by_label("Key", exact=True)
        expect(field).to_be_focused()
        field.fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("That key is wrong, or was revoked.")).to_be_visible()
        field.fill(key)
        page.keyboard.press("Enter")
        expect(page.locator("#counts")).to_contain_text("Products3")
        ask(page, "sku-8")
        wait_for_answer(page)
        expect(cards(page).filter(has_text="sku-8")).to_have_count(0)
        ask(page, "sku-2")
        expect(cards(page).first).to_contain_text("sku-2")
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        page.get_by_role("button", name="Forget the key").click()
        expect(field).to_be_focused()
        expect(page.get_by_text("sku-2")).to_have_count(0)
        assert page.evaluate("sessionStorage.length") == 0
