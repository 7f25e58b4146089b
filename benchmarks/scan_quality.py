"""Recall of photo scans over a folder of real photos: imports, embeds, scans each photo once.

The folder holds `catalog.csv` (sku, title, description, image) and `photos.csv` (photo, sku):

    python benchmarks/scan_quality.py FOLDER
"""

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shelfsight import wiring
from shelfsight.backfill import Job
from shelfsight.engines import local
from shelfsight.progress import choose
from shelfsight.records import Match, Selection
from shelfsight.report import Report
from shelfsight.settings import Settings, load

DEPTHS = (1, 5, 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="holds catalog.csv, photos.csv and the pictures")
    parser.add_argument("--models", default="lite", help="which pair (default: lite)")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        settings = load(
            {"shelfsight_home": home, "models": arguments.models, "image_root": str(folder)}
        )
        measure(settings, folder)


def measure(settings: Settings, folder: Path) -> None:
    wiring.import_products(settings, folder / "catalog.csv", print)
    job = Job(selection=Selection(), batch_size=settings.batch_size, max_batches=0)
    progress, report = choose(as_json=False, verbose=False), Report()
    with (
        wiring.open_database(settings) as database,
        wiring.open_embedder(settings, print) as embedder,
    ):
        with wiring.open_parts(settings, database, embedder, progress) as parts:
            local.run(parts, job, report, progress)
        progress.finish(report)
        scanner = wiring.scanner(settings, database, embedder)
        with (folder / "photos.csv").open(newline="") as file:
            photos = list(csv.DictReader(file))
        ranks = [
            rank(scanner.scan(wiring.read_photo(folder / row["photo"], embedder), None, 10), row)
            for row in photos
        ]
    print(f"\n{len(ranks)} photos against {report.image} pictures, models {settings.models}:")
    for depth in DEPTHS:
        found = sum(number is not None and number <= depth for number in ranks)
        print(f"  recall@{depth}: {found / len(ranks):.3f}")


def rank(matches: Sequence[Match], row: dict[str, str]) -> int | None:
    return next((n for n, match in enumerate(matches, 1) if match.sku == row["sku"]), None)


if __name__ == "__main__":
    main()
