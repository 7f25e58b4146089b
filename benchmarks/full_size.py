"""Measure SigLIP and Qwen3 at full size on a CPU: a scan, a server, long texts, and Ctrl-C.

    pip install -r requirements/parity.txt
    python -m benchmarks.random_models FOLDER --full
    python -m benchmarks.full_size FOLDER

Each line is a run of the real command. Own memory is what a process has beside the weights' files,
which stay on disk and are mapped (`RssAnon`). The backfill runs in a cgroup of 3 GB, which needs
the right to make one; its texts have 50,000 characters.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.precision_switch import run, save_shop, scanned, served, told, until, use

PRODUCTS = 12
LONG = "A mug of stoneware with a blue glaze, safe in the dishwasher. " * 800
ROOM = 3_000_000_000
CGROUPS = Path("/sys/fs/cgroup")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="made by benchmarks.random_models")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        shop = Path(home, "shop")
        use(arguments.folder, home, shop)
        save_shop(PRODUCTS, shop)
        run("import", str(shop / "catalog.csv"))
        print(f"backfill: {told(run('backfill', '--json'))}", flush=True)
        photo = next(shop.glob("*.jpg"))
        for _ in range(2):  # the second finds the files warm
            seconds, own = watched("scan", str(photo))
        print(f"scan of a photo: {seconds:.1f} s, {own / 1e9:.2f} GB of its own", flush=True)
        with served() as (url, process):
            with scanned(url, photo, words=False) as answers:
                until(lambda: len(answers) >= 10)
            print(
                f"serve, after 10 photos: {own_memory(process) / 1e9:.2f} GB of its own", flush=True
            )
        lengthen(shop / "catalog.csv")
        run("import", str(shop / "catalog.csv"))
        print(f"Ctrl-C: ends within {interrupted():.1f} s", flush=True)
        with cgroup(ROOM) as inside:
            ended = run("backfill", "--json", within=inside)
            print(f"backfill of long texts in {ROOM / 1e9:.0f} GB: {told(ended)}", flush=True)


def watched(*words: str) -> tuple[float, int]:
    """Run a command; return its seconds, and the most memory of its own in bytes."""
    started, most = time.monotonic(), 0
    command = [sys.executable, "-m", "shelfsight", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, own_memory(process.pid))
            time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{words}: {process.returncode}")
    return time.monotonic() - started, most


def own_memory(process: int) -> int:
    """Return the anonymous memory of a process in bytes; 0 if it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return 1024 * int(text.partition("RssAnon:")[2].split()[0]) if "RssAnon:" in text else 0


def lengthen(catalogue: Path) -> None:
    """Give all products a description of 50,000 characters."""
    head, *lines = catalogue.read_text().splitlines()
    columns = head.split(",")
    with catalogue.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for number, row in enumerate(csv.DictReader([head, *lines])):
            writer.writerow({**row, "description": f"{number} {LONG}"})


def interrupted() -> float:
    """Return the seconds between the first Ctrl-C of a backfill at work and its end."""
    command = [sys.executable, "-m", "shelfsight", "backfill", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for line in process.stdout:
            if json.loads(line).get("event") == "batch":
                break
        time.sleep(5)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate()
    return time.monotonic() - started


@contextmanager
def cgroup(size: int) -> Iterator[list[str]]:
    """Yield the start of a command line that runs in a cgroup with so many bytes of memory."""
    is_v2 = (CGROUPS / "cgroup.controllers").exists()
    group = (CGROUPS if is_v2 else CGROUPS / "memory") / f"shelfsight-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.max" if is_v2 else "memory.limit_in_bytes")).write_text(str(size))
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        group.rmdir()


if __name__ == "__main__":
    main()
