"""Measure which difficulties of a photo keep a scan from its product, one at a time.

    python -m benchmarks.stress FOLDER [--models lite]
    python -m benchmarks.stress --demo 100

FOLDER contains `catalog.csv` (sku, category, title, description, image) and the pictures; `--demo`
draws so many products of the demo's shop. For each product and each condition of
`photo_conditions.CONDITIONS` a photo is made of the product's own picture, and scanned alone. So
these photos are easier than real ones, which show another side or another piece of the product;
they compare difficulties. The scanner has seen one photo of each product before.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from benchmarks.photo_conditions import CONDITIONS, Condition
from benchmarks.scan_quality import LabelledQuery, learn, prepared, rows
from PIL import Image

from shelfsight.demo.shop.drawing import draw_pictures
from shelfsight.demo.shop.products import make_shop
from shelfsight.images.decode import opened_picture
from shelfsight.images.photo_views import views
from shelfsight.records import PictureFormat
from shelfsight.scan.matching import ScanOptions, ScanQuery
from shelfsight.settings import load
from shelfsight.wiring.scanning import make_scanner

SEED = 7
AMONG = 5
COLUMNS = ("sku", "category", "title", "description", "image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("folder", type=Path, nargs="?", help="contains catalog.csv and pictures")
    source.add_argument("--demo", type=int, metavar="N", help="N products of the demo's shop")
    parser.add_argument("--models", default="lite", help="the pair of models (default: lite)")
    arguments = parser.parse_args()
    with catalogue_folder(arguments.folder, arguments.demo) as folder:
        for name, first, among in recalls(folder, arguments.models):
            if name == next(iter(CONDITIONS)):
                print("| what is hard | first | among 5 |\n|---|---|---|")
            print(f"| {name} | {first:.2f} | {among:.2f} |", flush=True)


@contextmanager
def catalogue_folder(folder: Path | None, products: int | None) -> Iterator[Path]:
    """Yield the folder of a catalogue: the one that is given, or a new one of the demo's shop."""
    if folder is not None:
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as made:
        path = Path(made)
        path.chmod(0o755)
        chosen = [one for one in make_shop(SEED) if one.design and one.picture]
        different = list({one.picture: one for one in chosen}.values())[:products]
        draw_pictures(different, path)
        with (path / "catalog.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for one in different:
                writer.writerow((one.sku, "", one.title, one.description, one.picture))
        yield path


def recalls(folder: Path, models: str) -> Iterator[tuple[str, float, float]]:
    """Yield each condition with the shares of products that are found first, and among five."""
    catalogue = rows(folder / "catalog.csv")
    pictures = {row["sku"]: opened(folder / row["image"]) for row in catalogue}
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        settings = load({"shelfsight_home": home, "models": models, "image_root": str(folder)})
        with prepared(settings, catalogue) as (database, embedder):
            count, form = settings.scan_views, embedder.picture_format
            before = list(CONDITIONS.values())[-1]
            seen = [one for _, one in scans(pictures, before, (count, form), SEED + 1)]
            learn(
                database,
                embedder,
                [LabelledQuery(one, frozenset(), "", "fit") for one in seen],
                "report",
            )
            scanner = make_scanner(settings, database, embedder, learns=False)
            for name, condition in CONDITIONS.items():
                ranks = []
                for sku, query in scans(pictures, condition, (count, form), SEED):
                    matches = scanner.scan(query, ScanOptions(limit=AMONG, threshold=-1)).matches
                    skus = [match.product.sku for match in matches]
                    ranks.append(skus.index(sku) if sku in skus else AMONG)
                found = np.array(ranks)
                yield name, float((found == 0).mean()), float((found < AMONG).mean())


def scans(
    pictures: dict[str, Image.Image],
    condition: Condition,
    looks: tuple[int, PictureFormat],
    seed: int,
) -> Iterator[tuple[str, ScanQuery]]:
    """Yield the SKU of each product and a scan of a photo of it."""
    chance = np.random.default_rng(seed)
    skus: Sequence[str] = list(pictures)
    for sku, picture in pictures.items():
        others = chance.choice([one for one in skus if one != sku], min(4, len(skus) - 1), False)
        photo = condition(picture, [pictures[other] for other in others], chance)
        yield sku, ScanQuery(photos=(views(opened_picture(photo), *looks),))


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


if __name__ == "__main__":
    main()
