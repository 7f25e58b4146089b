"""Change a database over from one number format of SigLIP and Qwen3 to the next, under scans.

    python -m benchmarks.random_models FOLDER [--full]
    python -m benchmarks.precision_switch FOLDER [--products 12]

FOLDER has the models; files of 16 and 8 bits are made unless they are there. A catalogue is
embedded in fp32, and `shelfsight serve --follow-models` is asked for photos and words without a
pause. Then int8 and fp16 take their turn: a plain run must be refused before it writes, a staged
one and `models --switch` must end without a failed scan.
"""

import argparse
import base64
import csv
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.parity.exported import save_smaller

from shelfsight.demo.shop.drawing import draw_pictures
from shelfsight.demo.shop.products import make_shop
from shelfsight.models.table import QWEN3, SIGLIP

SCAN = "products/orchestrate/quick-scan"
PATIENCE = 120
"""Seconds before a server has started, or follows to other models."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="made by benchmarks.random_models")
    parser.add_argument("--products", type=int, default=12)
    arguments = parser.parse_args()
    for spec in (SIGLIP, QWEN3):
        save_smaller(arguments.folder / spec.name, spec)
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        shop = Path(home, "shop")
        use(arguments.folder, home, shop)
        save_shop(arguments.products, shop)
        run("import", str(shop / "catalog.csv"))
        print(f"fp32: {told(run('backfill', '--json'))}")
        photo = next(shop.glob("*.jpg"))
        with served("--follow-models") as (url, _), scanned(url, photo) as answers:
            for precision in ("int8", "fp16"):
                change_over(url, precision, answers)


def change_over(url: str, precision: str, answers: list[int]) -> None:
    """Print what a plain run says, and how many scans were answered during the change."""
    os.environ["PRECISION"] = precision
    refused = run("backfill", expected=None)
    reason, _, _ = refused.stderr.splitlines()[-1].partition(";")
    print(f"{precision}: a plain run ends with {refused.returncode}: {reason}")
    before, started = len(answers), time.monotonic()
    staged = told(run("backfill", "--staged", "--all", "--json"))
    print(f"{precision}: staged in {time.monotonic() - started:.0f} s: {staged}")
    started = time.monotonic()
    run("models", "--switch")
    until(lambda: str(health(url)["models"]).count(f"-{precision}@") == 2)
    print(f"{precision}: answers {time.monotonic() - started:.1f} s after the switch began")
    seen = len(answers)
    until(lambda: len(answers) >= seen + 4)
    run("models", "--forget")
    statuses = answers[before:]
    print(f"{precision}: {len(statuses)} scans meanwhile, {sum(s != 200 for s in statuses)} failed")


def use(models: Path, home: str, pictures: Path) -> None:
    """Let all commands use these models, an embedded Postgres in `home`, and these pictures."""
    os.environ |= {
        **{"SHELFSIGHT_HOME": home, "IMAGE_ROOT": str(pictures), "BACKEND": "onnx"},
        **{"MODELS": "siglip-qwen3", "MODEL_DIR": str(models.absolute())},
    }


def save_shop(products: int, folder: Path) -> None:
    """Draw pictures of products, and list them in catalog.csv."""
    drawn = [product for product in make_shop(1) if product.design][:products]
    draw_pictures(drawn, folder)
    with (folder / "catalog.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "title", "description", "image"])
        writer.writerows([p.sku, p.title, p.description, p.picture] for p in drawn)


def run(
    *words: str, expected: int | None = 0, within: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run shelfsight, maybe at the end of another command line; any exit status may be expected."""
    command = [*within, sys.executable, "-m", "shelfsight", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if expected is not None and ended.returncode != expected:
        raise SystemExit(f"{words}: {ended.returncode}\n{ended.stderr}")
    return ended


def told(ended: subprocess.CompletedProcess[str]) -> str:
    report = json.loads(ended.stdout.splitlines()[-1])
    return f"{report['embedded']} embedded, {report['failed']} failed"


@contextmanager
def served(*words: str) -> Iterator[tuple[str, int]]:
    """Yield the address of a server, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "shelfsight", "serve", "--port", str(port)]
    with subprocess.Popen([*command, *words], stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: "models" in health(url))
            yield url, process.pid
        finally:
            process.terminate()


@contextmanager
def scanned(url: str, photo: Path, *, words: bool = True) -> Iterator[list[int]]:
    """Scan a photo and maybe words again and again; yield the list of the statuses."""
    bodies = [{"imageBase64": base64.b64encode(photo.read_bytes()).decode()}]
    bodies += [{"textQuery": "a mug with a glaze"}] if words else []
    answers, stop = [], Event()

    def scan_on(body: dict[str, str]) -> None:
        while not stop.is_set():
            answers.append(status(Request(f"{url}/{SCAN}", json.dumps(body).encode(), HEADERS)))

    with ThreadPoolExecutor() as threads:
        scans = [threads.submit(scan_on, body) for body in bodies]
        try:
            yield answers
        finally:
            stop.set()
    for scan in scans:
        scan.result()


HEADERS = {"Content-Type": "application/json"}


def status(request: Request) -> int:
    try:
        with urlopen(request, timeout=60) as response:
            return response.status
    except HTTPError as error:
        return error.code


def health(url: str) -> dict[str, object]:
    try:
        with urlopen(f"{url}/health", timeout=10) as response:
            return json.load(response)
    except URLError:
        return {}


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > ends:
            raise SystemExit("the server did not get there in time")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
