"""Makes docs/page.png: python -m tests.browser.screenshot ADDRESS PHOTO WORDS docs/page.png."""

import os
import shutil
import sys
from io import BytesIO

from PIL import Image
from playwright.sync_api import sync_playwright

SIZE = {"width": 1280, "height": 800}


def take(address: str, photo: str, words: str, into: str) -> None:
    """Scan a photo with words on the page of a running server, and save a screenshot."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(address)
        page.get_by_label("Words").fill(words)
        page.set_input_files("#file", photo)
        page.locator("#map-photo circle").first.wait_for()
        page.wait_for_load_state("networkidle")
        shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    shot.save(into, optimize=True)


if __name__ == "__main__":
    take(*sys.argv[1:])
