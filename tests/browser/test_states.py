"""Every state of the page: axe finds nothing in it, and its picture is in docs/page.md."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from shelfsight.storage.api_keys import ApiKeys
from tests.browser import film
from tests.browser.actions import ask, cards, drop_all, wait_for_answer
from tests.browser.conftest import PHONE, Launch, Open
from tests.browser.shop import Shop
from tests.browser.test_installed import AWAY, open_installed
from tests.browser.test_looks import violations

DESK = {"width": 1280, "height": 800}
FINGERS = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
PICTURES = Path(__file__).parents[2] / "docs" / "page"


@dataclass(frozen=True)
class State:
    """What leads to a state, from the page that was just opened, and how that is opened."""

    reach: Callable[[Page, Shop], None]
    options: dict[str, Any] = field(default_factory=dict)


def _found(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.photographs[0][0])
    wait_for_answer(page)
    expect(page.locator("#map-photo circle").first).to_be_attached()
    expect(cards(page).first.locator("img")).to_have_js_property("naturalWidth", 320)


def _variants(page: Page, _shop: Shop) -> None:
    ask(page, "Swim short")
    wait_for_answer(page)
    expect(page.locator(".chips button").first).to_be_visible()


def _camera(page: Page, _shop: Shop) -> None:
    page.get_by_role("button", name="Open the camera").click()
    expect(page.get_by_role("button", name="Take the photo")).to_be_enabled()


def _camera_refused(page: Page, _shop: Shop) -> None:
    page.get_by_role("button", name="Open the camera").click()
    expect(page.locator("#camera-instead")).to_be_visible()


def _tray(page: Page, shop: Shop) -> None:
    drop_all(page, [photo for photo, _ in shop.photographs])
    expect(page.locator("#tray-note")).to_contain_text("3 of 3 photos")
    page.locator("#tray select").nth(1).select_option(index=1)
    expect(page.locator("#tray .found img").nth(1)).to_have_js_property("naturalWidth", 320)


def _several_things(page: Page, shop: Shop) -> None:
    page.set_input_files("#file", shop.table[0])
    wait_for_answer(page)
    page.get_by_role("button", name="Several things").click()
    expect(page.locator("#tray-note")).to_contain_text("4 of 4 photos")
    expect(page.locator("#tray .found img").nth(3)).to_have_js_property("naturalWidth", 320)


def _nothing(page: Page, _shop: Shop) -> None:
    def out_of_reach(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        route.continue_(post_data=json.dumps({**body, "threshold": 1}))

    page.route("**/quick-scan", out_of_reach, times=1)
    ask(page, "a steam locomotive")
    wait_for_answer(page)
    expect(page.locator("#absent")).to_be_visible()


def _broken(page: Page, shop: Shop) -> None:
    broken = shop.folder / "broken.jpg"
    broken.write_text("<html>no picture</html>")
    page.set_input_files("#file", broken)
    wait_for_answer(page)
    expect(page.get_by_role("alert")).to_contain_text("This photo cannot be read.")


def _key_refused(page: Page, shop: Shop) -> None:
    ApiKeys(shop.database).create("ann", "")
    page.reload()
    page.get_by_label("Key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("That key is wrong, or was revoked.")).to_be_visible()


def _side_by_side(page: Page, shop: Shop) -> None:
    _found(page, shop)
    cards(page).first.get_by_role("button", name="Compare in large").click()
    expect(page.locator("#zoom-match img")).to_have_js_property("naturalWidth", 320)


def _offline(page: Page, _shop: Shop) -> None:
    page.context.set_offline(True)
    page.add_init_script(AWAY)
    page.reload()
    expect(page.locator("#offline")).to_be_visible()


STATES = {
    "desk": State(_found),
    "dark": State(_found, {"color_scheme": "dark"}),
    "german": State(_found, {"locale": "de-DE"}),
    "phone": State(_found, FINGERS),
    "variants": State(_variants, FINGERS),
    "camera": State(_camera, {**FINGERS, "permissions": ["camera"]}),
    "camera-refused": State(_camera_refused, FINGERS),
    "tray": State(_tray),
    "several-things": State(_several_things),
    "side-by-side": State(_side_by_side),
    "nothing-found": State(_nothing, FINGERS),
    "broken-picture": State(_broken, {**FINGERS, "refusals": True}),
    "key-refused": State(_key_refused, {**FINGERS, "refusals": True}),
    "offline": State(_offline, FINGERS),
}


@pytest.fixture(scope="module")
def with_camera(
    launch: Launch,
    photographs: list[tuple[Path, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Browser]:
    path = tmp_path_factory.mktemp("film") / "moved.y4m"
    film.save(film.moving(Image.open(photographs[0][0]), 21), path)
    yield launch("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={path}")


@pytest.mark.parametrize("name", STATES)
def test_axe_finds_nothing_in_any_state(
    open_page: Open, site: str, shop: Shop, with_camera: Browser, name: str
) -> None:
    state = STATES[name]
    options = {"viewport": DESK, "reduced_motion": "reduce", **state.options}
    if name == "offline":
        page = open_installed(open_page, site)
    else:
        page = open_page(site, within=with_camera, **options)
    state.reach(page, shop)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if "PAGE_PICTURES" in os.environ:  # make page-pictures
        shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
        shot.save(Path(os.environ["PAGE_PICTURES"]) / f"{name}.webp", quality=70, method=6)


def test_the_docs_show_every_state() -> None:
    text = (PICTURES.parent / "page.md").read_text(encoding="utf-8")
    assert {path.stem for path in PICTURES.glob("*.webp")} == set(STATES)
    assert [name for name in STATES if f"page/{name}.webp" not in text] == []
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) <= 600_000
