"""`serve` and `serve-models` with several workers behave as one server."""

import os
import re
import signal
import socket
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import time

import pytest

from tests.end_to_end.command import PATIENCE, Command, address_of, failed_plainly
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost
from tests.end_to_end.shop_tables import add_product, create_tables
from tests.integration.scan_server import FEEDBACK, problem, scan, send, until

SCANS = re.compile(r'^shelfsight_scans_total\{.*worker="(\d)"\} (\S+)$', re.MULTILINE)
RATE_LIMIT = 30


@pytest.fixture
def shop(url: str, tmp_path: Path, pictures: PictureHost) -> Command:
    """The command, with a shop of one embedded product."""
    create_tables(url)
    shelfsight = command(url, tmp_path, ALLOW_PRIVATE_IMAGES=pictures.host)
    add_product(url, "A mug", pictures.draw(1)[0])
    assert shelfsight("backfill", "--all").returncode == 0
    return shelfsight


def scans_by_worker(url: str, key: str) -> Counter[str]:
    metrics = send(f"{url}/metrics", key=key).content.decode()
    scans: Counter[str] = Counter()
    for worker, count in SCANS.findall(metrics):
        scans[worker] += int(float(count))
    return scans


def children(process: "subprocess.Popen[str]") -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def port_of(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r":(\d+); 2 workers", line)
    assert found, line
    return int(found[1])


def is_refused(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return False
    return True


def check_limit(url: str, key: str) -> None:
    """Assert that the limit of requests a minute is that of all workers together."""
    answered: list[tuple[int, int]] = []  # the minutes before and after
    while True:
        before = int(time() / 60)
        answer = scan(url, textQuery="mug", key=key)
        after = int(time() / 60)
        if answer.status != 200:
            break
        answered.append((before, after))
    assert problem(answer) == (429, "limit_reached")
    assert answered.count((before, before)) <= RATE_LIMIT
    assert sum(first <= after and last >= before for first, last in answered) >= RATE_LIMIT


def test_two_workers_share_scans_limits_and_metrics_and_replace_each_other(shop: Command) -> None:
    admin, other = (shop("keys", "create", "--admin").stdout.strip() for _ in range(2))
    variables = {"RATE_LIMIT": str(RATE_LIMIT)}
    with shop.started("serve", "--port", "0", "--workers", "2", **variables) as process:
        output, url = address_of(process)
        assert "; 2 workers; Ctrl-C stops" in output

        ids: list[str] = []
        for pid in children(process):
            os.kill(pid, signal.SIGSTOP)  # the other worker takes all connections
            ids += [scan(url, textQuery="mug", key=admin).json["scanId"] for _ in range(6)]
            os.kill(pid, signal.SIGCONT)
        verdicts = [
            send(url + FEEDBACK, {"scanId": id_, "verdict": "none"}, key=admin).status
            for id_ in ids
        ]
        assert verdicts == [201] * len(ids)

        scans = scans_by_worker(url, admin)
        assert scans == {"1": 6, "2": 6}
        check_limit(url, other)

        os.kill(children(process)[0], signal.SIGKILL)
        assert scan(url, textQuery="mug", key=admin).status == 200
        assert process.stderr is not None
        assert re.fullmatch(
            r"shelfsight: worker \d has ended \(killed by SIGKILL\); it starts again in 1 s\n",
            process.stderr.readline(),
        )
        until(lambda: len(children(process)) == 2)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")


def test_workers_that_cannot_start_end_the_server(tmp_path: Path) -> None:
    shelfsight = Command(tmp_path, MODELS="siglip-qwen3", MODEL_DIR=str(tmp_path))
    message = failed_plainly(shelfsight("serve-models", "--port", "0", "--workers", "2"), 1)
    assert message.startswith("shelfsight: no worker can start: ")
    assert len(message.splitlines()) == 1


def test_ctrl_c_twice_cuts_the_requests_of_all_workers_at_once(tmp_path: Path) -> None:
    shelfsight = Command(tmp_path, MODELS="lite", STOP_TIMEOUT=str(PATIENCE))
    with shelfsight.started("serve-models", "--port", "0", "--workers", "2") as process:
        port = port_of(process)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(
                b"POST /embed/text HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n"
            )
            assert b"100 Continue" in client.recv(1000)
            process.send_signal(signal.SIGINT)
            until(lambda: is_refused(port))
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert err.endswith("shelfsight: 1 requests in progress were cut when the server stopped\n")


def test_a_worker_that_hangs_is_killed_after_the_time_to_stop(tmp_path: Path) -> None:
    shelfsight = Command(tmp_path, MODELS="lite", STOP_TIMEOUT="1")
    with shelfsight.started("serve-models", "--port", "0", "--workers", "2") as process:
        port_of(process)
        os.kill(children(process)[0], signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert err == "shelfsight: a worker did not stop within 1 s and was killed\n"


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    shelfsight = Command(tmp_path, MODELS="lite")
    with shelfsight.started("serve-models", "--port", "0", "--workers", "2") as process:
        port = port_of(process)
        workers = children(process)
        process.kill()
        process.wait()
        until(lambda: is_refused(port))
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
