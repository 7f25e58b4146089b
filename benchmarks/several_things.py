"""Measure how well the things of one photo are told apart, and found one by one.

FOLDER contains the pictures, `catalog.csv` and `photos.csv`, as for `benchmarks/scan_quality.py`.
Two to six catalogue pictures, cut out, are put together on tables of several kinds:

    python -m benchmarks.several_things FOLDER [--photos 30]

A thing counts as boxed if a proposed box of its own overlaps its true box by half or more
(intersection over union). Then each box is scanned, as the page does, beside the true boxes.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.scan_quality import prepared, rows
from benchmarks.shelf import TABLES, cut_out, put_together, table
from PIL import Image

from shelfsight.images.box_proposals import JOB, propose_boxes
from shelfsight.images.decode import opened_picture
from shelfsight.images.photo_box import WHOLE, PhotoBox
from shelfsight.images.photo_views import photo_views, views
from shelfsight.ports import Embedder
from shelfsight.scan.matching import ScanOptions, ScanQuery
from shelfsight.scan.scanner import Scanner
from shelfsight.settings import load
from shelfsight.wiring.scanning import make_scanner

LEARNED = 100
"""Real photos that are scanned before, as in a shop in use: their mean is then known."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="contains catalog.csv and photos.csv")
    parser.add_argument("--photos", type=int, default=30, metavar="N", help="of each table")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    catalogue = rows(folder / "catalog.csv")
    things = [(row["sku"], cut_out(Image.open(folder / row["image"]))) for row in catalogue]
    rooms = [folder / row["photo"] for row in rows(folder / "photos.csv")]
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        settings = load({"shelfsight_home": home, "models": "lite", "image_root": str(folder)})
        with prepared(settings, catalogue) as (database, embedder):
            learning = make_scanner(settings, database, embedder)
            for photo in rooms[:: max(1, len(rooms) // LEARNED)]:
                first(learning, embedder, photo.read_bytes(), WHOLE)
            scanner = make_scanner(settings, database, embedder, learns=False)
            scan = partial(first, scanner, embedder)
            print("table: things boxed; boxes of a thing; first match right, proposed and true box")
            for kind in TABLES:
                print(measured(kind, arguments.photos, things, rooms, scan))


def measured(
    kind: str,
    photos: int,
    things: list[tuple[str, Image.Image]],
    rooms: list[Path],
    scan: Callable[[bytes, PhotoBox], str | None],
) -> str:
    """Return the line of a kind of table."""
    boxed = proposed = right = right_in_true = total = 0
    seconds = []
    for seed in range(photos):
        chance = np.random.default_rng(seed)
        chosen = chance.choice(len(things), int(chance.integers(2, 7)), replace=False)
        background = table(kind, chance, Image.open(rooms[int(chance.integers(len(rooms)))]))
        photo, boxes = put_together([things[n][1] for n in chosen], background, chance)
        file = io.BytesIO()
        photo.save(file, "JPEG", quality=90)
        small = views(opened_picture(photo), 1, JOB.picture_format)[0]
        start = time.perf_counter()
        found = propose_boxes(small)
        seconds.append(time.perf_counter() - start)
        pairs = matched(boxes, found)
        total, proposed, boxed = total + len(boxes), proposed + len(found), boxed + len(pairs)
        for number, true in enumerate(boxes):
            sku = things[chosen[number]][0]
            right_in_true += scan(file.getvalue(), true) == sku
            if number in pairs:
                right += scan(file.getvalue(), found[pairs[number]]) == sku
    return (
        f"{kind}: {boxed / total:.2f}; {boxed / max(1, proposed):.2f};"
        f" {right / total:.2f} and {right_in_true / total:.2f} of {total} things;"
        f" {1000 * float(np.median(seconds)):.0f} ms"
    )


def matched(boxes: list[PhotoBox], found: list[PhotoBox]) -> dict[int, int]:
    """Return the proposed box of each true box that has one."""
    pairs: dict[int, int] = {}
    overlaps = sorted(
        ((overlap(true, one), n, m) for n, true in enumerate(boxes) for m, one in enumerate(found)),
        reverse=True,
    )
    for share, number, other in overlaps:
        if share >= 0.5 and number not in pairs and other not in pairs.values():
            pairs[number] = other
    return pairs


def overlap(one: PhotoBox, other: PhotoBox) -> float:
    """Intersection over union."""
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0.0, across) * max(0.0, down)
    return shared / (one.width * one.height + other.width * other.height - shared)


def first(scanner: Scanner, embedder: Embedder, photo: bytes, box: PhotoBox) -> str | None:
    """Return the SKU of the best match for the part of a photo."""
    cut = photo_views(photo, 3, embedder.picture_format, box=box)
    result = scanner.scan(ScanQuery(photos=(cut,)), ScanOptions(limit=1, threshold=-1))
    return result.matches[0].product.sku if result.matches else None


if __name__ == "__main__":
    main()
