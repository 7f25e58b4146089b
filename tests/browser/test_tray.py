"""A delivery on the page: many photos, each with its best match, confirmed and exported at once."""

import csv
import io
import shutil
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.actions import drop_all, wait_for_answer
from tests.browser.conftest import PATIENCE, PHONE, Open
from tests.browser.shop import Shop
from tests.browser.test_looks import violations
from tests.shop import rows

FIRST = 18
CORRECTED = 2

MANY = 10 * PATIENCE
"""Milliseconds before twenty scans fail."""


def delivery(shop: Shop, folder: Path) -> list[tuple[Path, str]]:
    """Twenty photos with what they show: pictures of the catalogue, four of them twice."""
    drawn = rows(
        shop.database,
        'SELECT DISTINCT v."Sku", i."ImageUrl" FROM "ProductImages" AS i'
        ' JOIN "ProductVariants" AS v ON v."Id" = i."ProductVariantId"'
        " WHERE i.\"ImageUrl\" <> 'gone.png' ORDER BY 1",
    )
    photos = []
    for number in range(FIRST + CORRECTED):
        sku, path = drawn[number % len(drawn)]
        photo = folder / f"photo-{number:02}.jpg"
        shutil.copy(shop.folder / path, photo)
        photos.append((photo, sku))
    return photos


def test_a_delivery_is_checked_in_from_the_drop_to_the_csv(
    page: Page, shop: Shop, tmp_path: Path
) -> None:
    photos = delivery(shop, tmp_path)
    drop_all(page, [photo for photo, _ in photos])
    expect(page.locator("#tray-title")).to_have_text("Delivery: 20 photos")
    expect(page.locator("#tray-note")).to_contain_text("20 of 20 photos", timeout=MANY)
    choices = page.locator("#tray select")
    expected = [sku for _, sku in photos]
    for number, sku in enumerate(expected[:FIRST]):
        expect(choices.nth(number).locator("option:checked")).to_contain_text(f"({sku})")
    for number in range(FIRST, FIRST + CORRECTED):
        second = choices.nth(number).locator("option").nth(1)
        expected[number] = str(second.text_content()).rpartition("(")[2].removesuffix(")")
        choices.nth(number).select_option(index=1)
    assert violations(page) == []
    page.get_by_role("button", name="Confirm all").click()
    expect(page.locator("#tray-note")).to_have_text("20 answers were kept.", timeout=MANY)
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Export as CSV").click()
    content = Path(downloading.value.path()).read_text(encoding="utf-8-sig")
    exported = list(csv.DictReader(io.StringIO(content)))
    assert [(row["photo"], row["sku"]) for row in exported] == [
        (photo.name, sku) for (photo, _), sku in zip(photos, expected, strict=True)
    ]
    assert [row["answer"] for row in exported] == ["first"] * FIRST + ["corrected"] * CORRECTED
    kept = rows(
        shop.database,
        'SELECT v."Sku", "Verdict", "Rank" FROM shelfsight."ScanFeedback" AS f'
        ' LEFT JOIN "ProductVariants" AS v ON v."Id"::text = f."ProductVariantId"'
        ' ORDER BY f."UpdatedAt"',
    )
    ranks = [1] * FIRST + [2] * CORRECTED
    assert kept == [(sku, "right", rank) for sku, rank in zip(expected, ranks, strict=True)]


def test_the_things_in_one_photo_are_looked_for_one_by_one(page: Page, shop: Shop) -> None:
    photo, skus = shop.table
    page.set_input_files("#file", photo)
    wait_for_answer(page)
    page.get_by_role("button", name="Several things").click()
    expect(page.locator("#tray-title")).to_have_text("4 things in the photo")
    expect(page.locator("#tray-note")).to_contain_text("4 of 4 photos")
    for number, sku in enumerate(skus):
        chosen = page.locator("#tray select").nth(number).locator("option:checked")
        expect(chosen).to_contain_text(f"({sku})")
    page.get_by_role("button", name="Confirm all").click()
    expect(page.locator("#tray-note")).to_have_text("4 answers were kept.")


def test_trying_again_takes_the_photo_apart_again(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.table[0])
    wait_for_answer(page)
    page.evaluate("void (window.fetchAway = window.fetch)")
    page.evaluate("void (window.fetch = () => Promise.reject(new TypeError('no network')))")
    page.get_by_role("button", name="Several things").click()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    page.evaluate("void (window.fetch = window.fetchAway)")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#tray-title")).to_have_text("4 things in the photo")


def test_a_photo_of_one_thing_is_not_taken_apart(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    page.get_by_role("button", name="Several things").click()
    expect(page.get_by_role("alert")).to_contain_text("Only one thing can be told apart.")
    page.locator("#problem-action").click()
    expect(page.locator("#box")).to_be_focused()


def test_the_photo_before_a_delivery_is_gone(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    expect(page.locator("#map-photo circle").first).to_be_attached()
    drop_all(page, [photo for photo, _ in shop.photographs[:2]])
    expect(page.locator("#tray-note")).to_contain_text("2 of 2 photos")
    expect(page.locator("#selected")).to_be_hidden()
    expect(page.get_by_text("Drop a photo here")).to_be_visible()
    expect(page.locator("#map-photo circle")).to_have_count(0)
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#results-title")).to_have_text("Nothing looked for yet")
    expect(page.locator("#matches > li")).to_have_count(0)


def test_a_photo_of_a_delivery_that_cannot_be_read_stops_no_other(
    open_page: Open, site: str, shop: Shop, tmp_path: Path
) -> None:
    page = open_page(site, refusals=True, viewport=PHONE)
    broken = tmp_path / "=broken.jpg"
    broken.write_text("<html>no picture</html>")
    drop_all(page, [shop.photographs[0][0], broken])
    rows_ = page.locator("#tray-rows > li")
    expect(rows_.nth(1)).to_contain_text("This photo cannot be read.")
    expect(rows_.nth(1).get_by_role("button", name="Try again")).to_be_visible()
    expect(rows_.first.locator("option:checked")).to_contain_text(shop.photographs[0][1])
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Export as CSV").click()
    lines = Path(downloading.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[2] == "'=broken.jpg,,,,,failed"
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#tray")).to_be_hidden()
    expect(page.locator("#results-title")).to_be_visible()
