"""Ctrl-C finishes the batch in progress and reports what is stored; a second one stops at once."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from aiohttp import web

from tests.end_to_end.command import PATIENCE, Command
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost, draw, png, send
from tests.end_to_end.shop_tables import add_product, create_tables, run, stored
from tests.integration.remote.scripted_server import Server, serving

STOPPING = re.compile(
    r"Stopping when the products in progress are stored: (\d+) at the most"
    r"(, which takes about [\d.]+ s at this speed)?\. Ctrl-C again stops at once\.\n"
)
PRODUCTS = 12


class Gate:
    """A picture whose response waits for `open`; sets `reached` when it is requested."""

    def __init__(self) -> None:
        self.reached = Event()
        self.open = Event()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.reached.set()
        self.open.wait(PATIENCE)
        send(handler, png(draw(1)))


@pytest.fixture
def gate(pictures: PictureHost) -> Iterator[Gate]:
    gate = Gate()
    pictures.answers["/gate.png"] = gate.answer
    yield gate
    gate.open.set()


@pytest.fixture
def shop(url: str, tmp_path: Path, pictures: PictureHost) -> Command:
    """Twelve products with text; the eighth, ordered by id, has the picture behind the gate."""
    shelfsight = command(url, tmp_path, ALLOW_PRIVATE_IMAGES=pictures.host)
    create_tables(url)
    for number in range(PRODUCTS):
        add_product(url, f"Product {number}")
    ids = run(url, 'SELECT "Id" FROM "ProductVariants" ORDER BY "Id"')
    run(
        url,
        'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl") VALUES (%s, %s)',
        [ids[7][0], pictures.url("/gate.png")],
    )
    return shelfsight


def test_the_first_finishes_the_batch_and_reports_it_and_the_next_run_does_the_rest(
    shop: Command, gate: Gate, url: str
) -> None:
    with shop.started("backfill", "--json", "--all", "--batch-size=2") as process:
        before = read_until(process, lambda events: count(events, "batch") == 3)
        assert gate.reached.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        stopping = read_stopping(process)
        assert STOPPING.fullmatch(stopping)
        assert ": 2 at the most" in stopping
        assert " s at this speed" in stopping  # 4 products are stored, so the speed is known
        gate.open.set()
        events = before + read_until(process, lambda events: events[-1]["event"] == "result")
        assert process.wait(PATIENCE) == 130
    result = events[-1]
    stored_products = sum(event["products"] for event in events if event["event"] == "stored")
    assert stored_products == result["found"]
    assert (result["interrupted"], result["exit_status"]) == (True, 130)
    assert result["found"] == result["embedded"] == len(stored(url)) < PRODUCTS
    assert result["found"] + result["remaining"] == PRODUCTS
    rest = shop.result("--all")
    assert rest["found"] == result["remaining"]
    assert len(stored(url)) == PRODUCTS


def test_it_does_not_wait_for_a_picture_that_hangs(shop: Command, gate: Gate, url: str) -> None:
    with shop.started("backfill", "--json", "--all", "--batch-size=2") as process:
        read_until(process, lambda events: count(events, "stored") == PRODUCTS - 1)
        assert gate.reached.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert not gate.open.is_set()
    assert len(stored(url)) == PRODUCTS - 1


def test_the_second_stops_at_once_and_still_reports_what_is_stored(shop: Command, url: str) -> None:
    reached, go_on = Event(), Event()

    async def waits_at_the_third(request: web.Request, body: dict) -> None:
        if len(server.bodies(request.path)) > 3 and "texts" in body:
            reached.set()
            while not go_on.is_set():
                await asyncio.sleep(0.01)

    server = Server()
    server.before = waits_at_the_third
    with (
        serving(server.handle) as address,
        shop.started(
            "backfill", "--json", "--all", "--batch-size=2", EMBEDDING_SERVER_URL=address
        ) as process,
    ):
        assert reached.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        assert STOPPING.fullmatch(read_stopping(process))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert not go_on.is_set()
        go_on.set()
        events = read_until(process, lambda events: events[-1]["event"] == "result")
    # a page of one product whose COMMIT the signal cut short may be stored and not counted
    assert len(stored(url)) - events[-1]["found"] in (0, 1)
    assert len(stored(url)) < PRODUCTS


def test_sigterm_acts_like_the_first_ctrl_c(shop: Command, gate: Gate, url: str) -> None:
    with shop.started("backfill", "--all", "--batch-size=2") as process:
        assert gate.reached.wait(PATIENCE)
        process.send_signal(signal.SIGTERM)
        assert STOPPING.fullmatch(read_stopping(process))
        gate.open.set()
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, "")
    found = len(stored(url))
    assert f"\n  - Total products found: {found}\n  - Successfully embedded: {found}\n" in out
    assert f"\n{PRODUCTS - found} products remain. Go on with: " in out
    assert out.endswith(" MODELS=lite shelfsight backfill --all --batch-size=2\n")


@pytest.mark.usefixtures("gate")
def test_before_the_first_batch_it_ends_without_a_traceback(shop: Command, url: str) -> None:
    with shop.started("backfill", "--json") as process:
        read_until(process, lambda events: events[-1]["event"] == "configuration")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.strip()) == (130, "")
    assert stored(url) == {}


def test_during_an_import_it_waits_until_the_module_is_there(tmp_path: Path) -> None:
    """The module that is imported sends it to itself, once while a dataclass is made."""
    (tmp_path / "interrupted.py").write_text(
        "import signal\n"
        "from dataclasses import dataclass, field\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "@dataclass\n"
        "class Made:\n"
        "    of: str = field(default_factory=lambda: '')\n"
        "print('imported', flush=True)\n"
    )
    code = (
        "import sys, time; from shelfsight.cli import interrupt\n"
        "interrupt.postpone_during_imports()\n"
        "try:\n    import interrupted; time.sleep(60)\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "imported\n", "")


def read_until(
    process: subprocess.Popen[str], enough: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    """Read JSON events until `enough(events)` is true."""
    assert process.stdout is not None
    events: list[dict[str, Any]] = []
    for line in process.stdout:
        events.append(json.loads(line))
        if enough(events):
            return events
    raise AssertionError(events)


def read_stopping(process: subprocess.Popen[str]) -> str:
    """Return the line that acknowledges the signal; an empty line precedes it."""
    assert process.stderr is not None
    assert process.stderr.readline() == "\n"
    return process.stderr.readline()


def count(events: list[dict[str, Any]], name: str) -> int:
    return sum(event["event"] == name for event in events)
