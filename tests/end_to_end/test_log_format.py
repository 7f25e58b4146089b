"""`LOG_FORMAT=json`: every line on stderr is an object, of the servers and of long commands."""

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest

from tests.end_to_end.command import PASSWORD, PATIENCE, Command
from tests.end_to_end.picture_host import PictureHost
from tests.end_to_end.shop_tables import add_product, create_tables
from tests.integration.scan_server import SCAN

SECRET = "in-the-query-only"


def records(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The objects of a log, each with time, level, logger and message."""
    found = [json.loads(line) for line in lines]
    for one in found:
        assert datetime.fromisoformat(one["time"]).tzinfo is not None
        assert one["level"] in {"INFO", "WARNING", "ERROR"}
        assert {"logger", "message"} <= one.keys()
    return found


@pytest.fixture
def shop(shelfsight: Command, url: str, pictures: PictureHost) -> Command:
    create_tables(url)
    for number, picture in enumerate(pictures.draw(1, 2), start=1):
        add_product(url, f"Product {number}", picture)
    add_product(url, "Without a file", f"http://{pictures.host}/missing.png")
    variables = shelfsight.environment(LOG_FORMAT="json", ALLOW_PRIVATE_IMAGES=pictures.host)
    return Command(shelfsight.folder, **variables)


def test_a_run_tells_its_progress_with_its_id(shop: Command, model_server: str) -> None:
    done = shop("backfill", "--all", EMBEDDING_SERVER_URL=model_server)
    assert (done.returncode, done.stdout) == (3, "")
    log = records(done.stderr.splitlines())
    events = [one["event"] for one in log]
    assert [events[0], events[-1]] == ["configuration", "result"]
    of_the_run = [one for one in log if one["event"] in {"start", "stored", "batch", "result"}]
    assert {one["run"] for one in of_the_run} == {1}
    assert sum(one["products"] for one in log if one["event"] == "stored") == 3
    assert (log[-1]["message"], log[-1]["failures"]) == ("result", {"http_404": 1})

    # what a program reads from stdout is the same as without a log
    again = shop("backfill", "--all", "--json", "-v", EMBEDDING_SERVER_URL=model_server)
    printed = [json.loads(line) for line in again.stdout.splitlines()]
    assert [one["event"] for one in printed] == ["configuration", "start", "result"]
    assert "time" not in printed[0]
    assert again.stderr == ""


def test_an_error_that_ends_a_command_is_a_record_without_the_password(shop: Command) -> None:
    url = f"postgresql://shop:{PASSWORD}@127.0.0.1:9/shop"
    done = shop("watch", DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (1, "")
    *_, last = records(done.stderr.splitlines())
    assert last["level"] == "ERROR"
    assert "127.0.0.1" in last["message"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_logs_each_request_with_its_id_and_no_secret(
    shop: Command, model_server: str, workers: str
) -> None:
    with shop.started(
        *("serve", "--port", "0", "--workers", workers), EMBEDDING_SERVER_URL=model_server
    ) as process:
        address = address_in(process)
        assert ask(f"{address}/health")[0] == 200
        found, found_id = ask(f"{address}{SCAN}", {"textQuery": SECRET})
        wrong = {"Authorization": f"Bearer {SECRET}", "X-Request-ID": "till-4"}
        refused, refused_id = ask(f"{address}/catalogue/state?key={SECRET}", **wrong)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, "")
    assert SECRET not in err
    requests = [one for one in records(err.splitlines()) if one.get("event") == "request"]
    assert [one["status"] for one in requests] == [found, refused] == [200, 401]
    assert [one["request_id"] for one in requests] == [found_id, refused_id]
    assert refused_id == "till-4"
    assert [one["path"] for one in requests] == [SCAN, "/catalogue/state"]
    assert all(one["ms"] > 0 for one in requests)


def address_in(process: subprocess.Popen[str]) -> str:
    """Read the log until the server listens, and return its address."""
    assert process.stderr is not None
    for line in process.stderr:
        (one,) = records([line])
        if match := re.search(r"serving scans at (http://[\d.:]+)", one["message"]):
            return match[1]
    raise AssertionError("it ended")


def ask(url: str, body: object = None, **headers: str) -> tuple[int, str]:
    """Send a request; return its status and the id of the response."""
    data = None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, kind | headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers["X-Request-ID"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers["X-Request-ID"]
