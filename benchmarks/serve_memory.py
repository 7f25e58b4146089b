"""Send mixed scans to `shelfsight serve` and see whether its memory stays as it is.

    python benchmarks/serve_memory.py [--scans 5000]

The demo's shop is embedded by the lite models in an embedded Postgres. Scans alternate between
photos of several sizes, words, and both, with 10, 50 or 100 matches, from eight clients. Prints the
resident memory of the server's process, and the bytes of its stores, after each fifth.
"""

import argparse
import base64
import json
import random
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from shelfsight.backfill.progress import choose
from shelfsight.demo import run
from shelfsight.embedded_postgres.instance import EmbeddedPostgres
from shelfsight.settings import load

SEED = 7
CLIENTS = 8
WORDS = ("red mug", "blue shoe", "linen bag", "handmade bowl", "cap", "large poster")
LIMITS = (10, 50, 100)
SIDES = (64, 400, 1600, 3000)
FIRST = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=5000)
    scans: int = parser.parse_args().scans
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        settings = load({"shelfsight_home": home})
        lines: list[str] = []
        progress = choose(as_json=False, verbose=False)
        if status := run.run(settings, run.Demo(seed=SEED), progress, lines.append):
            sys.exit(status)
        name = run.database_of(SEED, None)
        with EmbeddedPostgres(Path(home), database=name) as url, served(url) as (pid, address):
            measure(pid, address, scans)


@contextmanager
def served(url: str) -> Iterator[tuple[int, str]]:
    """Start a scan server in its own process; yield its process id and its URL."""
    command = (sys.executable, "-m", "shelfsight", "serve", "--models=lite", "--port=0")
    with subprocess.Popen(
        (*command, f"--database-url={url}"), stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            for line in server.stdout or ():
                if line.startswith("serving"):
                    yield server.pid, line.split(" at ")[1].split(";")[0]
                    break
        finally:
            server.terminate()


def measure(pid: int, url: str, scans: int) -> None:
    photos = [in_base64(side) for side in SIDES]
    done, after_first = 0, 0.0
    print("| scans | resident memory | stores |\n|---|---|---|")
    with ThreadPoolExecutor(CLIENTS) as clients:
        for end in [FIRST, *range(FIRST + (scans - FIRST) // 4, scans + 1, (scans - FIRST) // 4)]:
            list(clients.map(partial(scan, url, photos), range(done, end)))
            done, now = end, resident(pid)
            after_first = after_first or now
            print(f"| {done:,} | {now:.0f} MB | {stores(url)} |", flush=True)
    print(f"\n{done:,} scans: {now / after_first:.3f} of the memory after the first {FIRST:,}")


def scan(url: str, photos: list[str], number: int) -> None:
    chosen = random.Random(number)
    body: dict[str, object] = {"limit": chosen.choice(LIMITS), "threshold": -1}
    kind = number % 3
    if kind != 1:
        body["imageBase64"] = chosen.choice(photos)
    if kind != 0:
        body["textQuery"] = chosen.choice(WORDS)
    request = urllib.request.Request(
        f"{url}/products/orchestrate/quick-scan",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()


def in_base64(side: int) -> str:
    small = np.random.default_rng(side).integers(0, 256, (8, 8, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    raise ProcessLookupError(pid)


def stores(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    told = [line.split('"') for line in lines if line.startswith("shelfsight_store_bytes{")]
    return ", ".join(f"{name} {float(size.split()[1]) / 1e6:.1f} MB" for _, name, size in told)


if __name__ == "__main__":
    main()
