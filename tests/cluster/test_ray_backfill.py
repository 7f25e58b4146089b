"""`backfill --engine ray`: the same ledger, counts and output, also when workers are lost."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from shelfsight import __version__
from tests.cluster.nodes import QUIET, cluster, raylet_of
from tests.end_to_end.command import PATIENCE, Command, failed_plainly
from tests.end_to_end.conftest import command, home_of_its_own, model_server
from tests.end_to_end.shop_tables import create_tables, run

__all__ = ["home_of_its_own", "model_server"]

PRODUCTS = 500
EMPTY = (7, 400)
ALL = ("backfill", "--json", "--all", "--batch-size=5", "--engine=ray", "--workers=2")
LOST = {"event": "message", "text": "A worker was lost; another takes its place"}
STORED = 'SELECT count(*), count(DISTINCT "ProductVariantId") FROM "ProductEmbeddings"'
WORKERS = """
    SELECT DISTINCT split_part("Worker", '/', 2)::int FROM shelfsight."BackfillLeases"
    WHERE "DoneAt" IS NULL
    AND "Worker" IS NOT NULL
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of two nodes, shared by the tests that lose none of them."""
    with cluster(tmp_path_factory.mktemp("cluster"), nodes=2) as address:
        yield address


@pytest.fixture
def shop(url: str, tmp_path: Path, model_server: str) -> Command:
    """Products with text, except for two without any content; all pictures are missing."""
    create_tables(url)
    run(
        url,
        'INSERT INTO "ProductVariants" ("Id", "Title") SELECT lpad(i::text, 32, \'0\')::uuid,'
        " CASE WHEN i <> ALL(%s) THEN 'Thing no. ' || i END FROM generate_series(1, %s) AS i",
        [list(EMPTY), PRODUCTS],
    )
    run(
        url,
        'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl")'
        ' SELECT "Id", \'gone.png\' FROM "ProductVariants" WHERE "Title" LIKE \'%50\'',
    )
    served = {"EMBEDDING_SERVER_URL": model_server}  # a worker starts faster without the models
    return command(url, tmp_path, IMAGE_ROOT=str(tmp_path), **served, **QUIET)


@dataclass(frozen=True)
class BlockedRun:
    """A run whose two workers each have a page to store, and are blocked until `go_on()`."""

    process: subprocess.Popen[str]
    workers: list[int]
    go_on: Callable[[], None]

    def interrupt(self) -> str:
        """Press Ctrl-C; return what the command then prints to stderr."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stderr is not None
        return self.process.stderr.readline() + self.process.stderr.readline()

    def result(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Wait for the end; return the events, and the last one, the result, separately."""
        out, err = self.process.communicate(timeout=PATIENCE)
        assert err == ""
        *events, result = [json.loads(line) for line in out.splitlines()]
        return events, result


@contextmanager
def blocked_run(shop: Command, url: str, address: str) -> Iterator[BlockedRun]:
    with (
        psycopg.connect(url) as holding,
        shop.started(*ALL, f"--address={address}") as process,
    ):
        holding.execute('LOCK TABLE "ProductEmbeddings" IN SHARE MODE')
        yield BlockedRun(process, workers(url), holding.rollback)


@retry(
    retry=retry_if_result(lambda found: len(found) < 2),
    wait=wait_fixed(0.1),
    stop=stop_after_delay(PATIENCE),
)
def workers(url: str) -> list[int]:
    return [row[0] for row in run(url, WORKERS)]


def completes(run_: BlockedRun, url: str) -> list[dict[str, Any]]:
    """Check that all is stored, and nothing counted twice, despite a lost worker; return events."""
    run_.go_on()
    events, result = run_.result()
    assert (result["found"], result["skipped"], result["exit_status"]) == (PRODUCTS, 2, 3)
    assert result["whole"] + result["incomplete"] == PRODUCTS - 2
    assert sum(event["products"] for event in events if event["event"] == "stored") == PRODUCTS
    assert run(url, STORED) == [(PRODUCTS - 2, PRODUCTS - 2)]
    return events


def test_workers_give_the_same_result_and_exit_status_as_one_process(
    shop: Command, url: str, address: str
) -> None:
    by_workers = shop.result("--all", "--engine=ray", f"--address={address}")
    assert run(url, STORED) == [(PRODUCTS - 2, PRODUCTS - 2)]
    ((outcome, counts),) = run(url, 'SELECT "Outcome", "Counts" FROM shelfsight."BackfillRuns"')
    assert (outcome, counts["found"], counts["skipped"]) == ("done", PRODUCTS, 2)
    run(url, 'TRUNCATE "ProductEmbeddings", shelfsight."EmbeddingFailures"')
    alone = shop.result("--all")
    for pace in ("seconds", "products_per_second"):
        assert by_workers.pop(pace) > 0 < alone.pop(pace)
    assert alone == by_workers
    assert by_workers["failures"]


def test_a_killed_worker_costs_no_product(shop: Command, url: str, address: str) -> None:
    with blocked_run(shop, url, address) as run_:
        os.kill(run_.workers[0], signal.SIGKILL)
        assert LOST in completes(run_, url)


def test_a_killed_node_costs_no_product(shop: Command, url: str) -> None:
    with cluster(shop.folder, nodes=2) as address, blocked_run(shop, url, address) as run_:
        # The command is at the first node, which it needs.
        (first, _), (node, worker) = sorted((raylet_of(one), one) for one in run_.workers)
        assert first < node
        os.kill(node, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        completes(run_, url)


def test_ctrl_c_lets_every_worker_finish_its_page_and_the_next_run_does_the_rest(
    shop: Command, url: str, address: str
) -> None:
    with blocked_run(shop, url, address) as run_:
        said = run_.interrupt()
        run_.go_on()
        _, result = run_.result()
    assert said == (
        "\nStopping when each worker has stored its products in progress: one batch at the most."
        " Ctrl-C again stops at once.\n"
    )
    assert (result["interrupted"], result["exit_status"]) == (True, 130)
    assert 0 < result["found"] < PRODUCTS
    assert run(url, WORKERS) == []
    assert shop.result("--all")["found"] == PRODUCTS - result["found"] == result["remaining"]


def test_a_second_ctrl_c_stops_at_once_and_still_reports_what_is_stored(
    shop: Command, url: str, address: str
) -> None:
    with blocked_run(shop, url, address) as run_:
        run_.interrupt()
        run_.process.send_signal(signal.SIGINT)
        _, result = run_.result()
    assert (result["found"], result["interrupted"], result["exit_status"]) == (0, True, 130)


def test_an_error_that_ends_a_worker_ends_the_run_with_its_message(
    shop: Command, address: str
) -> None:
    folder = {"MODELS": "siglip-qwen3", "MODEL_DIR": "/nowhere", "EMBEDDING_SERVER_URL": ""}
    done = shop("backfill", "--engine=ray", f"--address={address}", **folder)
    assert "/nowhere" in failed_plainly(done, 1)


OTHER_VERSION = """
from importlib import metadata
version = metadata.version
metadata.version = lambda name: "7.3.1" if name == "shelfsight" else version(name)
"""
NOT_INSTALLED = """
import sys
sys.modules["shelfsight"] = None
"""


@pytest.mark.parametrize(
    ("at_start_of_a_worker", "told"),
    [
        (OTHER_VERSION, "a Ray worker has shelfsight 7.3.1"),
        (NOT_INSTALLED, f"a Ray worker cannot start shelfsight {__version__}"),
    ],
    ids=["another version", "not installed"],
)
def test_a_worker_that_does_not_fit_is_refused_before_the_run_begins(
    shop: Command, url: str, tmp_path: Path, at_start_of_a_worker: str, told: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(at_start_of_a_worker)
    with cluster(shop.folder, nodes=1, PYTHONPATH=str(tmp_path)) as address:
        done = shop("backfill", "--all", "--engine=ray", f"--address={address}")
    line = failed_plainly(done, 1)
    assert told in line
    assert "install the same version on every machine" in line
    assert run(url, 'SELECT count(*) FROM shelfsight."BackfillRuns"') == [(0,)]


def test_too_few_gpus_are_an_error_that_says_so(shop: Command, address: str) -> None:
    done = shop("backfill", "--engine=ray", f"--address={address}", "--gpus-per-worker=1")
    assert "0 GPUs" in failed_plainly(done, 1)


def test_workers_that_ray_ends_for_want_of_memory_are_replaced_until_it_is_too_often(
    shop: Command,
) -> None:
    full = {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "100"}
    in_process = {"EMBEDDING_SERVER_URL": ""}  # loading the models takes longer than Ray waits
    done = shop("backfill", "--all", "--engine=ray", "--workers=1", **full, **in_process)
    said = failed_plainly(done, 1)
    assert "Ray loses one worker after another" in said
    assert "low on memory" in said
    assert done.stdout.count(LOST["text"]) == 3


def test_an_address_without_a_cluster_is_said_in_a_line(shop: Command) -> None:
    done = shop("backfill", "--engine=ray", "--address=127.0.0.1:1")
    assert "127.0.0.1:1" in failed_plainly(done, 1)


def test_a_cluster_does_not_reach_the_embedded_database(shop: Command) -> None:
    done = shop("backfill", "--engine=ray", "--address=127.0.0.1:1", DATABASE_URL="")
    assert done.returncode == 2
    assert "set DATABASE_URL" in done.stderr


def test_this_machine_alone_needs_no_cluster(tmp_path: Path, home_of_its_own: str) -> None:
    shelfsight = Command(tmp_path, SHELFSIGHT_HOME=home_of_its_own, MODELS="lite")
    lines = "".join(f"sku-{i},Thing no. {i}\n" for i in range(300))
    (tmp_path / "shop.csv").write_text(f"sku,title\n{lines}")
    assert shelfsight("import", "shop.csv").returncode == 0
    done = shelfsight("backfill", "--all", "--engine=ray", "--workers=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "  - Successfully embedded: 300\n" in done.stdout
