"""Actions of a user of the page: drop, paste, type, send."""

import base64
import json
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

_TRANSFER = """([content, name, type]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type }));
  return data;
}"""


_SEVERAL = """(files) => {
  const data = new DataTransfer();
  for (const [content, name] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    data.items.add(new File([bytes], name, { type: "image/jpeg" }));
  }
  return data;
}"""


def drop(page: Page, file: Path, kind: str = "image/jpeg") -> None:
    data = _transfer(page, file, kind)
    page.dispatch_event("#drop", "dragover", {"dataTransfer": data})
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})


def drop_all(page: Page, files: list[Path]) -> None:
    """Drop several photos at once."""
    contents = [[base64.b64encode(file.read_bytes()).decode(), file.name] for file in files]
    data = page.evaluate_handle(_SEVERAL, contents)
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})


def paste(page: Page, file: Path) -> None:
    page.evaluate(
        "(clipboardData) => document.dispatchEvent("
        "new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))",
        _transfer(page, file, "image/jpeg"),
    )


def ask(page: Page, words: str) -> None:
    page.get_by_label("Words").fill(words)
    page.get_by_role("button", name="Find").click()


def cards(page: Page) -> Locator:
    return page.locator("#matches > li")


def wait_for_answer(page: Page) -> None:
    """Wait for the response to a scan, or an error: the heading then takes the focus."""
    expect(page.locator("#results-title")).to_be_focused()


def sent_by(page: Page, file: Path) -> dict[str, object]:
    """Select a photo, and return the body of the scan request that the page sends."""
    with page.expect_request("**/quick-scan") as sent:
        page.set_input_files("#file", file)
    body: dict[str, object] = json.loads(sent.value.post_data or "")
    wait_for_answer(page)
    return body


def _transfer(page: Page, file: Path, kind: str) -> object:
    content = base64.b64encode(file.read_bytes()).decode()
    return page.evaluate_handle(_TRANSFER, [content, file.name, kind])
