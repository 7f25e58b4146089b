"""The live camera of the page, with films for Chromium's fake camera."""

from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser import film
from tests.browser.actions import cards, wait_for_answer
from tests.browser.conftest import PHONE, Launch, Open
from tests.browser.shop import Shop
from tests.browser.test_looks import violations
from tests.integration.scan_server import until

DETECTOR = """(codes) => {
  window.BarcodeDetector = class {
    async detect() {
      const beside = { x: 0, y: 0, width: 9, height: 9 };
      const middle = { x: 350, y: 350, width: 20, height: 20 };
      return [
        { rawValue: "beside", boundingBox: beside },
        { rawValue: document.body.dataset.code, boundingBox: middle },
      ];
    }
  };
}"""
"""A reader of codes, as phones and macOS have one, which Chromium on Linux lacks. It sees
one code in a corner, and in the middle the one that the body of the page names."""

Photographs = list[tuple[Path, str]]

PLAYED = """new Promise((resolve) => {
  const video = document.getElementById("camera-video");
  video.addEventListener("timeupdate", () => { if (video.currentTime > 2) resolve(); });
})"""
"""Is done when the camera has shown more than it takes to find a view still."""

DEVICE = """() => {
  const [track] = document.getElementById("camera-video").srcObject?.getVideoTracks() ?? [];
  return track?.getSettings().deviceId;
}"""


@pytest.fixture(scope="module")
def still_camera(
    launch: Launch, photographs: Photographs, tmp_path_factory: pytest.TempPathFactory
) -> Browser:
    """A browser whose camera is moved for a second, and then held still on the first photo."""
    path = tmp_path_factory.mktemp("film") / "still.y4m"
    first = Image.open(photographs[0][0])
    film.save([*film.moving(first, 10), *film.still(first, 30)], path)
    return _launch(launch, path)


@pytest.fixture(scope="module")
def moved_camera(
    launch: Launch, photographs: Photographs, tmp_path_factory: pytest.TempPathFactory
) -> Browser:
    """A browser whose camera always moves: the first photo with the barcode of the second."""
    path = tmp_path_factory.mktemp("film") / "moved.y4m"
    photo = Image.open(photographs[0][0])
    barcode = zxingcpp.create_barcode(photographs[1][1], zxingcpp.BarcodeFormat.Code128)
    bars = Image.fromarray(barcode.to_image(scale=3)).resize((360, 160))
    photo.paste(bars.convert("RGB"), (180, 500))
    film.save(film.moving(photo, 21), path)
    return _launch(launch, path)


def _launch(launch: Launch, path: Path) -> Browser:
    return launch(
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={path}",
        "--host-resolver-rules=MAP shop.test 127.0.0.1",
    )


def open_camera(page: Page) -> None:
    page.get_by_role("button", name="Open the camera").click()
    expect(page.get_by_role("button", name="Take the photo")).to_be_enabled()


def test_held_still_it_takes_the_photo_and_finds_the_product(
    open_page: Open, site: str, shop: Shop, still_camera: Browser
) -> None:
    page = open_page(site, within=still_camera, permissions=["camera"], viewport=PHONE)
    open_camera(page)
    wait_for_answer(page)
    expect(page.locator("#camera-dialog")).to_be_hidden()
    expect(cards(page).first).to_contain_text(shop.photographs[0][1])
    assert page.evaluate("document.getElementById('camera-video').srcObject") is None
    page.get_by_role("button", name="Another photo").click()
    expect(page.locator("#camera-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#camera-dialog")).to_be_hidden()


def test_while_it_moves_only_the_button_takes_the_photo_whose_code_is_read(
    open_page: Open, site: str, shop: Shop, moved_camera: Browser
) -> None:
    page = open_page(site, within=moved_camera, permissions=["camera"], viewport=PHONE)
    open_camera(page)
    page.evaluate(PLAYED)
    expect(page.locator("#camera-dialog")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Take the photo").click()
    wait_for_answer(page)
    expect(cards(page).first).to_contain_text("Exact code")
    expect(cards(page).first).to_contain_text(shop.photographs[1][1])


def test_a_code_in_the_middle_is_read_as_one_points(
    open_page: Open, site: str, shop: Shop, moved_camera: Browser
) -> None:
    page = open_page(site, within=moved_camera, permissions=["camera"])
    page.add_init_script(f"({DETECTOR})()")
    page.reload()
    page.evaluate("document.body.dataset.code = '4006381333931'")
    open_camera(page)
    expect(page.locator("#camera-note")).to_have_text("No product has the code 4006381333931.")
    sku = shop.photographs[2][1]
    page.evaluate("(sku) => { document.body.dataset.code = sku; }", sku)
    wait_for_answer(page)
    expect(page.locator("#camera-dialog")).to_be_hidden()
    expect(cards(page).first).to_contain_text("Exact code")
    expect(cards(page).first).to_contain_text(sku)
    expect(page.get_by_label("Words")).to_have_value(sku)


def test_a_camera_that_is_refused_is_one_sentence_and_one_thing_to_do(
    open_page: Open, site: str, moved_camera: Browser
) -> None:
    page = open_page(site, within=moved_camera, viewport=PHONE, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Open the camera").click()
    expect(page.locator("#camera-note")).to_contain_text("The browser keeps the camera from this")
    assert violations(page) == []
    with page.expect_file_chooser() as chooser:
        page.locator("#camera-dialog").get_by_role("button", name="Take a photo").click()
    assert chooser.value.element.get_attribute("capture") == "environment"
    expect(page.locator("#camera-dialog")).to_be_hidden()


def test_without_a_camera_a_photo_can_be_chosen(open_page: Open, site: str) -> None:
    page = open_page(site, permissions=["camera"])
    page.get_by_role("button", name="Open the camera").click()
    expect(page.locator("#camera-note")).to_have_text("This device has no camera.")
    with page.expect_file_chooser() as chooser:
        page.locator("#camera-dialog").get_by_role("button", name="Choose photos").click()
    assert chooser.value.is_multiple()


def test_over_plain_http_it_is_said_why_there_is_no_live_camera(
    open_page: Open, site: str, moved_camera: Browser
) -> None:
    address = site.replace("127.0.0.1", "shop.test")
    page = open_page(address, within=moved_camera, viewport=PHONE, refusals=True)
    expect(page.get_by_text("browsers give it to pages over HTTPS only")).to_be_visible()
    expect(page.get_by_role("button", name="Open the camera")).to_be_hidden()
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Take a photo").click()
    assert chooser.value.element.get_attribute("capture") == "environment"


def test_the_other_camera_takes_over(open_page: Open, site: str, launch: Launch) -> None:
    within = launch("--use-fake-device-for-media-stream=device-count=2")
    page = open_page(site, within=within, permissions=["camera"])
    open_camera(page)
    first = page.evaluate(DEVICE)
    page.get_by_role("button", name="Other camera").click()
    until(lambda: page.evaluate(DEVICE) not in {first, None})
    page.get_by_role("button", name="Other camera").click()
    until(lambda: page.evaluate(DEVICE) == first)


LOOKS = """async ({ shift, light }) => {
  const { Stillness } = await import("./page/stillness.js");
  const stillness = new Stillness();
  const outcomes = [];
  for (let look = 0; look < 8; look += 1) {
    outcomes.push(stillness.look((context, side) => {
      context.fillStyle = `rgb(${light} ${light} ${light})`;
      context.fillRect(0, 0, side, side);
      context.fillStyle = "black";
      context.fillRect(side * (0.3 + shift * (look % 2)), side / 4, side / 2, side / 2);
    }));
  }
  return outcomes;
}"""


@pytest.mark.parametrize(
    ("shift", "light", "expected"),
    [
        (0, 255, [False] * 5 + [True] * 3),
        (0, 60, [False] * 5 + [True] * 3),  # in the dusk
        (0.06, 255, [False] * 8),
        (0.06, 60, [False] * 8),
        (0, 5, [False] * 8),  # a covered lens
    ],
)
def test_still_is_what_neither_moves_nor_is_dark(
    page: Page, shift: float, light: int, expected: list[bool]
) -> None:
    assert page.evaluate(LOOKS, {"shift": shift, "light": light}) == expected
