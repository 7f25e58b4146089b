"""`backfill --refetch` against a picture host that sends ETags and 304 responses."""

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from threading import Event

import pytest

from tests.end_to_end.command import PATIENCE, Command
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost, draw, png
from tests.end_to_end.shop_tables import add_product, create_tables, failures, run, stored

PRODUCTS = 6
REFETCH = ("--refetch", "--batch-size=2")


@dataclass
class Versions:
    """Responds with the file of a path, or with 304 if the client has it already."""

    host: PictureHost
    statuses: Counter[int] = field(default_factory=Counter)
    gates: dict[str, Event] = field(default_factory=dict)
    reached: Event = field(default_factory=Event)

    def put(self, path: str, drawing: int) -> None:
        self.host.answers[path] = partial(self._answer, path, png(draw(drawing)))

    def _answer(self, path: str, body: bytes, handler: BaseHTTPRequestHandler) -> None:
        if path in self.gates:
            self.reached.set()
            self.gates[path].wait(PATIENCE)
        tag = f'"{sha256(body).hexdigest()}"'
        status = 304 if handler.headers["If-None-Match"] == tag else 200
        self.statuses[status] += 1
        handler.send_response(status)
        handler.send_header("ETag", tag)
        if status == 200:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if status == 200:
            handler.wfile.write(body)


@pytest.fixture(scope="module")
def versions(pictures: PictureHost) -> Versions:
    return Versions(pictures)


@pytest.fixture(scope="module")
def titles(module_url: str, versions: Versions) -> list[str]:
    """Titles of products with one picture each, ordered by id, which is the order of a run."""
    create_tables(module_url)
    by_id = {}
    for number in range(PRODUCTS):
        versions.put(f"/{number}.png", number)
        url = versions.host.url(f"/{number}.png")
        by_id[add_product(module_url, f"Thing {number}", url)] = f"Thing {number}"
    return [title for _, title in sorted(by_id.items())]


@pytest.fixture(scope="module")
def embedded(
    module_url: str,
    titles: list[str],
    versions: Versions,
    model_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Command:
    """All of them embedded."""
    shelfsight = command(
        module_url,
        tmp_path_factory.mktemp("refetch"),
        ALLOW_PRIVATE_IMAGES=versions.host.host,
        EMBEDDING_SERVER_URL=model_server,
    )
    assert shelfsight.result()["embedded"] == len(titles)
    return shelfsight


@pytest.fixture
def shop(embedded: Command, copied_url: str, versions: Versions, model_server: str) -> Command:
    """The same for each test."""
    versions.statuses.clear()
    return command(
        copied_url,
        embedded.folder,
        ALLOW_PRIVATE_IMAGES=versions.host.host,
        EMBEDDING_SERVER_URL=model_server,
    )


def path_of(title: str) -> str:
    return f"/{title.split()[1]}.png"


def came_of(result: dict[str, object]) -> dict[str, object]:
    names = ("found", "refetched", "unchanged", "changed", "image", "text", "failed")
    return {name: result[name] for name in names if result[name]}


def test_a_refetch_of_what_is_as_it_was_gets_a_304_each_and_embeds_nothing(
    shop: Command, copied_url: str, versions: Versions
) -> None:
    before = stored(copied_url)
    done = shop("backfill", *REFETCH)
    assert done.returncode == 0
    assert "  Refetch:       true\n" in done.stdout
    assert (
        "Stored images whose pictures were asked for again: 6\n"
        "  - Unchanged: 6\n"
        "  - Changed: 0\n"
        "  - Not to be had, left as stored: 0\n"
    ) in done.stdout
    assert "  - Image embeddings: 0\n" in done.stdout
    assert versions.statuses == {304: PRODUCTS}
    assert stored(copied_url) == before


def test_replaced_pictures_are_embedded_lost_ones_stay_and_unknown_ones_are_compared(
    shop: Command, copied_url: str, versions: Versions, titles: list[str]
) -> None:
    replaced, lost, older = titles[1], titles[2], titles[3]
    before = stored(copied_url)
    run(
        copied_url,
        'UPDATE "ProductEmbeddings" SET "ImageFiles" = NULL WHERE "ImageUrl" = %s',
        [versions.host.url(path_of(older))],
    )
    versions.statuses.clear()
    versions.put(path_of(replaced), 20)
    del versions.host.answers[path_of(lost)]
    result = shop.result(*REFETCH)
    assert came_of(result) == {
        "found": 6,
        "refetched": 6,
        "unchanged": 4,
        "changed": 1,
        "image": 1,
    }
    assert (result["exit_status"], result["failures"]) == (3, {"http_404": 1})
    assert versions.statuses == {304: 3, 200: 2}
    after = stored(copied_url)
    changed = {title for title in titles if after[title] != before[title]}
    assert changed == {replaced}
    assert after[replaced]["ImageEmbedding"] != before[replaced]["ImageEmbedding"]
    assert after[replaced]["TextEmbedding"] == before[replaced]["TextEmbedding"]
    assert after[replaced]["CombinedEmbedding"] != before[replaced]["CombinedEmbedding"]
    assert [title for title in failures(copied_url)] == [lost]
    versions.put(path_of(lost), int(lost.split()[1]))
    versions.statuses.clear()
    (retried,) = shop.json("retry")[-1:]
    assert came_of(retried) == {"found": 1, "refetched": 1, "unchanged": 1}
    assert versions.statuses == {304: 1}
    assert failures(copied_url) == {}


def test_a_refetch_that_was_killed_goes_on_behind_the_last_page_it_finished(
    shop: Command, versions: Versions, titles: list[str]
) -> None:
    last = path_of(titles[-1])
    versions.gates[last] = Event()
    asked = versions.host.asked.copy()
    with shop.started("backfill", "--json", *REFETCH) as process:
        assert process.stdout is not None
        events = (json.loads(line)["event"] for line in process.stdout)
        finished = (event for event in events if event == "stored")
        assert [next(finished) for _ in titles[:-1]] == ["stored"] * (PRODUCTS - 1)
        assert versions.reached.wait(PATIENCE)
        process.kill()
    versions.gates.pop(last).set()
    result = shop.result(*REFETCH)
    assert came_of(result) == {"found": 1, "refetched": 1, "unchanged": 1}
    finished_first = {path_of(title) for title in titles[:-1]}
    again = versions.host.asked - asked
    assert {path: again[path] for path in finished_first} == dict.fromkeys(finished_first, 1)
    run_of_it = shop.json("runs", "--limit=1")[0]
    assert (run_of_it["state"], run_of_it["found"]) == ("done", PRODUCTS)
    assert run_of_it["asked"]["selection"]["refetch"]
