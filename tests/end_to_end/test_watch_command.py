"""`shelfsight watch`: edit the shop with plain SQL, and a scan finds the new content."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.command import PATIENCE, Command
from tests.end_to_end.shop_tables import run, stored

pytestmark = pytest.mark.usefixtures("model_server")


@pytest.fixture
def shop(shelfsight: Command, tmp_path: Path) -> Command:
    """The command, with three imported products and triggers on their tables."""
    products = tmp_path / "products.csv"
    products.write_text("sku,title\n1,a blue mug\n2,running shoes\n3,a wooden chair\n")
    assert shelfsight("init", "--triggers").returncode == 0
    assert shelfsight("import", str(products)).returncode == 0
    return shelfsight


def test_a_changed_title_is_found_without_another_command(shop: Command, url: str) -> None:
    with shop.started("watch", "--json") as process:
        events = read_until(process, "waiting")
        assert sum(event["products"] for event in events if event["event"] == "changed") == 3
        run(url, 'UPDATE "ProductVariants" SET "Title" = \'a red kite\' WHERE "Sku" = \'2\'')
        wait_until(lambda: "a red kite" in {row["ProductText"] for row in stored(url).values()})
        (found,) = shop.json("scan", "--text", "kite", "--limit", "1")
        assert found["matches"][0]["title"] == "a red kite"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in err
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["found"], last["embedded"]) == ("result", 4, 4)


def test_without_triggers_it_says_how_to_install_them(shop: Command) -> None:
    assert "dropped trigger" in shop("init", "--drop-triggers").stdout
    with shop.started("watch") as process:
        assert process.stdout is not None
        output = ""
        while "Waiting for changes" not in output:
            output += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "3 changed, 3 embedded, in " in output
    assert output.endswith("shelfsight init --triggers\n")
    assert "Successfully embedded: 3" in rest


def test_a_database_without_init_ends_it_with_one_line(shelfsight: Command) -> None:
    done = shelfsight("watch")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("run: shelfsight init")


def read_until(process: subprocess.Popen[str], name: str) -> list[dict[str, Any]]:
    """Read JSON events up to the first one with this name."""
    assert process.stdout is not None
    events: list[dict[str, Any]] = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == name:
            return events
    raise AssertionError(events)


def wait_until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)
