"""Measure how often scans of real photos find their product, and whether probabilities are true.

FOLDER contains the pictures, `catalog.csv` (sku, category, title, description, image) and
`photos.csv` (photo, sku, category):

    python benchmarks/scan_quality.py FOLDER [--models lite] [--part report] [--fit]
    ... [--own-pictures] [--without-pictures 40] [--without-texts 40]
    ... [--confirmed 4 [--confirmed-products 0.5]] [--wrongly-confirmed 1]

The photos are split once and for all. A third of the products is kept apart with all their
photos; the photos of the others go to `fit` (half), `choose` and `report` (a quarter each).
`report` has the products kept apart as well. Constants are fitted on `fit` (`--fit` prints them),
forms and settings are chosen on `choose`, and figures are told of `report` alone.

Each photo is scanned alone and together with the name of its category, and each category name is
searched alone; then everything is repeated with the right products left out, where only "not in the
catalogue" is right. The scanner has seen the photos of the other parts before, as that of a shop in
use; it learns nothing from the part that is measured. `--without-pictures` and `--without-texts`
take the pictures or texts from so many products, chosen at random, and tell their scans apart from
those of the complete products. `--confirmed` confirms so many photos of each product before, taken
from other parts, and from this part if the product is kept apart. `--wrongly-confirmed` confirms so
many photos of it for another product. Neither are then scanned.
"""

import argparse
import csv
import itertools
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Literal

import numpy as np
from psycopg import sql

from shelfsight.backfill.progress_output import choose
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.imports.import_file import import_file
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.product_file import ProductFile
from shelfsight.engines import local
from shelfsight.fusion import mean_of
from shelfsight.models.color_histogram import color_histograms
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.records import EvidenceKind, Failure, Pixels, Selection, Vector
from shelfsight.scan.calibration_fit import ScoredQueries, fit
from shelfsight.scan.evaluation import Outcome, figures, lines, outcome
from shelfsight.scan.matching import ScanOptions, ScanQuery, ScanResult
from shelfsight.scan.ranking import SCORES
from shelfsight.scan.scanner import Scanner
from shelfsight.settings import Settings, load
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.wiring.calibrating import calibrate_on_pictures
from shelfsight.wiring.confirming import confirm
from shelfsight.wiring.database import open_database
from shelfsight.wiring.embedder import open_embedder
from shelfsight.wiring.pipeline import open_pipeline
from shelfsight.wiring.scanning import make_scanner, open_photo_reader, read_photo

SPLIT_SEED = 7
"""The seed of the split; no other was tried."""

APART = 1 / 3
"""The share of products of which all photos are in `report`."""

KINDS = ("photo only", "photo and category", "category only")

Part = Literal["fit", "choose", "report"]

CONFIRMED_FROM: dict[Part, tuple[Part, ...]] = {
    "fit": ("choose",),
    "choose": ("fit",),
    "report": ("fit", "choose"),
}
"""The parts from which photos are confirmed before the photos of a part are scanned."""

SKU_IDS = sql.SQL('SELECT "Sku", "Id"::text FROM "ProductVariants"')


@dataclass(frozen=True)
class LabelledQuery:
    """A query with its right SKUs, the name of what is right, and the part it belongs to."""

    scan_query: ScanQuery
    right: frozenset[str]
    name: str
    part: Part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "folder", type=Path, help="contains catalog.csv, photos.csv and the pictures"
    )
    parser.add_argument("--models", default="lite", help="the pair of models (default: lite)")
    parser.add_argument("--part", choices=("fit", "choose", "report"), default="report")
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all three")
    parser.add_argument(
        "--own-pictures", action="store_true", help="calibrate as shelfsight calibrate does"
    )
    parser.add_argument("--fit", action="store_true", help="print constants fitted on `fit`")
    parser.add_argument("--without-pictures", type=int, default=0, metavar="N")
    parser.add_argument("--without-texts", type=int, default=0, metavar="N")
    parser.add_argument("--confirmed", type=int, default=0, metavar="N")
    parser.add_argument("--confirmed-products", type=float, default=1.0, metavar="SHARE")
    parser.add_argument("--wrongly-confirmed", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    catalogue = rows(folder / "catalog.csv")
    incomplete = take_away(catalogue, ("image",), arguments.without_pictures)
    incomplete |= take_away(
        catalogue, ("title", "description", "category"), arguments.without_texts
    )
    part = part_of(arguments)
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        settings = load(
            {"shelfsight_home": home, "models": arguments.models, "image_root": str(folder)}
        )
        with prepared(settings, catalogue) as (database, loaded):
            embedder = CachingEmbedder(loaded)
            if arguments.own_pictures:
                print(calibrate_on_pictures(settings, database, embedder, print))
            kinds = labelled_queries(settings, folder, embedder)
            learn(database, embedder, kinds["photo only"], part)
            scanner = make_scanner(settings, database, embedder, learns=False)
            known = confirm_photos(database, embedder, scanner, kinds["photo only"], arguments)
            for kind in arguments.kind or KINDS:
                every = kinds[kind]
                asked = enumerate(every)
                if kind != "category only":
                    asked = ((n, one) for n, one in asked if n not in known)
                queries = [one for _, one in asked if one.part == part]
                if arguments.fit:
                    print_fit(kind, scanner, queries, len(catalogue))
                else:
                    measure(f"\n{kind}, {part}, {settings.models}", scanner, queries, incomplete)


def part_of(arguments: argparse.Namespace) -> Part:
    """Return the part whose photos are scanned."""
    part: Part = "fit" if arguments.fit else arguments.part
    return part


def learn(
    database: Database, embedder: Embedder, photos: Sequence[LabelledQuery], part: Part
) -> None:
    """Update the mean of scanned photos with those of the other parts."""
    search = PostgresProductSearch(database)
    search.require(embedder.models)
    for one in photos:
        if one.part != part:
            (views,) = one.scan_query.photos
            image = mean_of([v for v in embedder.embed_images(views) if isinstance(v, np.ndarray)])
            if image is not None:
                search.learn(None, image)
            color = mean_of(color_histograms(views))
            if color is not None:
                search.learn(None, color, "color")


def confirm_photos(
    database: Database,
    embedder: Embedder,
    scanner: Scanner,
    photos: Sequence[LabelledQuery],
    arguments: argparse.Namespace,
) -> frozenset[int]:
    """Confirm photos as the arguments say; return their places."""
    chance, part = np.random.default_rng(SPLIT_SEED), part_of(arguments)
    names = sorted({one.name for one in photos})
    confirmed: set[int] = set()
    ids = dict(database.ask((SKU_IDS, {})))
    for name in names:
        places = [n for n, one in enumerate(photos) if one.name == name]
        others = [n for n in places if photos[n].part in CONFIRMED_FROM[part]]
        drawn = [int(n) for n in chance.permutation(others or places)]
        other_product = names[int(chance.integers(len(names)))]
        if chance.random() >= arguments.confirmed_products:
            continue
        right = drawn[: arguments.confirmed]
        wrong = drawn[len(right) :][: arguments.wrongly_confirmed]
        for product, chosen in ((name, right), (other_product, wrong)):
            for n in chosen:
                options = ScanOptions(limit=200, threshold=-1.0)
                found = scanner.scan(photos[n].scan_query, options)
                confirm(database, embedder.models, found, ids[product], None)
        confirmed.update(right, wrong)
    if confirmed:
        print(f"confirmed {len(confirmed)} photos")
    return frozenset(confirmed)


@contextmanager
def prepared(
    settings: Settings, catalogue: Sequence[dict[str, str]]
) -> Iterator[tuple[Database, Embedder]]:
    """Create a database in which all products are embedded; yield it and the embedder."""
    job = Job(selection=Selection(), batch_size=settings.batch_size, max_batches=0)
    progress, report = choose(as_json=False, verbose=False), Report()
    with (
        open_database(settings) as database,
        open_embedder(settings, print) as embedder,
    ):
        with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
            writer = csv.DictWriter(file, catalogue[0])
            writer.writeheader()
            writer.writerows(catalogue)
            file.flush()
            import_file(
                database, ProductFile(Path(file.name)), ImportOptions(), print, lambda *_: True
            )
        with open_pipeline(settings, database, embedder, progress) as pipeline:
            local.run(pipeline, job, report, progress)
        progress.finish(report)
        yield database, embedder


def take_away(
    catalogue: Sequence[dict[str, str]], columns: Sequence[str], count: int
) -> frozenset[str]:
    """Empty columns of `count` products, always the same ones; return their SKUs."""
    chosen = random.Random(SPLIT_SEED).sample(catalogue, count)
    for row in chosen:
        row.update(dict.fromkeys(columns, ""))
    return frozenset(row["sku"] for row in chosen)


class CachingEmbedder:
    """Embeds each photo and text once, though they are scanned several times."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[object, list[Vector | Failure]] = {}
        self.models = embedder.models
        self.picture_format = embedder.picture_format

    def embed_images(self, pictures: Sequence[Pixels]) -> list[Vector | Failure]:
        # The ids stay unique, because the queries keep the pictures alive.
        key = tuple(id(picture) for picture in pictures)
        if key not in self._known:
            self._known[key] = self._embedder.embed_images(pictures)
        return self._known[key]

    def embed_texts(self, texts: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        key = (*texts, query)
        if key not in self._known:
            self._known[key] = self._embedder.embed_texts(texts, query=query)
        return self._known[key]

    def close(self) -> None:
        self._embedder.close()


def labelled_queries(
    settings: Settings, folder: Path, embedder: Embedder
) -> dict[str, list[LabelledQuery]]:
    """Return the queries of each kind."""
    photos = rows(folder / "photos.csv")
    with open_photo_reader(settings, embedder) as read:
        views = [list(read_photo(folder / row["photo"], read).views) for row in photos]
    by_category = itemgetter("category")
    catalogue = sorted(rows(folder / "catalog.csv"), key=by_category)
    categories = {
        word: frozenset(row["sku"] for row in group)
        for word, group in itertools.groupby(catalogue, key=by_category)
    }
    parts = split([row["sku"] for row in photos])
    labels = [(frozenset({row["sku"]}), row["sku"]) for row in photos]
    return {
        "photo only": [
            LabelledQuery(ScanQuery(photos=(photo,)), *label, part)
            for photo, label, part in zip(views, labels, parts, strict=True)
        ],
        "photo and category": [
            LabelledQuery(ScanQuery(photos=(photo,), text=row["category"]), *label, part)
            for photo, row, label, part in zip(views, photos, labels, parts, strict=True)
        ],
        "category only": [
            LabelledQuery(ScanQuery(text=word), skus, word, part)
            for (word, skus), part in zip(categories.items(), split(list(categories)), strict=True)
        ],
    }


def split(products: Sequence[str]) -> list[Part]:
    """Return the part of each query, given the product of each."""
    chance = np.random.default_rng(SPLIT_SEED)
    names = sorted(set(products))
    order = chance.permutation(len(names))
    apart = {names[n] for n in order[: round(APART * len(names))]}
    return [
        "report" if product in apart or draw >= 0.75 else "fit" if draw < 0.5 else "choose"
        for product, draw in zip(products, chance.random(len(products)), strict=True)
    ]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def measure(
    title: str, scanner: Scanner, queries: Sequence[LabelledQuery], incomplete: frozenset[str]
) -> None:
    """Print the figures of the queries, and those of incomplete products apart."""
    if not queries:
        return
    found = [scan(scanner, one) for one in queries]
    absent = [scan(scanner, one, hidden=True) for one in queries]
    outcomes = [
        outcome(result, without, one.right, one.name)
        for one, result, without in zip(queries, found, absent, strict=True)
    ]
    print("\n".join(lines(title, figures(outcomes))))
    if incomplete:
        tell_apart(queries, found, outcomes, incomplete)


def scan(scanner: Scanner, one: LabelledQuery, *, hidden: bool = False) -> ScanResult:
    """Return every match; `hidden` leaves out the right products."""
    without = one.right if hidden else frozenset[str]()
    return scanner.scan(one.scan_query, ScanOptions(limit=200, threshold=-1.0, without=without))


def tell_apart(
    queries: Sequence[LabelledQuery],
    found: Sequence[ScanResult],
    outcomes: Sequence[Outcome],
    incomplete: frozenset[str],
) -> None:
    """Print the recall of complete and of incomplete products, and who takes first places."""
    firsts = [
        (result.matches[0], is_right.rank == 1)
        for result, is_right in zip(found, outcomes, strict=True)
    ]
    for name, of_incomplete in (("complete", False), ("incomplete", True)):
        right = [
            is_right
            for one, (_, is_right) in zip(queries, firsts, strict=True)
            if bool(one.right & incomplete) == of_incomplete
        ]
        theirs = [
            (match.confidence, is_right)
            for match, is_right in firsts
            if (match.product.sku in incomplete) == of_incomplete
        ]
        high = [is_right for level, is_right in theirs if level == "high"]
        print(
            f"  {name} products: recall @1 {sum(right) / max(1, len(right)):.3f} of {len(right)}"
            f" scans ({len(right) / len(queries):.3f} of all);"
            f" {len(theirs) / len(queries):.3f} of the first places,"
            f" {len(high)} of them high, {high.count(False)} of these wrong"
        )


def print_fit(kind: str, scanner: Scanner, queries: Sequence[LabelledQuery], limit: int) -> None:
    """Print the evidence of what this kind of query compares.

    Photos with words are not fitted for images: their evidence is the sum. Words are fitted on the
    words of photos, of which only the one product that is shown is right.
    """
    if kind == "category only":
        return
    names: tuple[EvidenceKind, ...] = ("image", "color") if kind == "photo only" else ("text",)
    found = [
        scanner.scan(one.scan_query, ScanOptions(limit=limit, threshold=-1.0)) for one in queries
    ]
    for name in names:
        scores = np.full((len(found), limit), -np.inf)
        right = np.zeros(scores.shape, bool)
        for n, (result, one) in enumerate(zip(found, queries, strict=True)):
            for m, match in enumerate(result.matches):
                score = SCORES[name](match.product)
                scores[n, m] = np.nan if score is None else score
                right[n, m] = match.product.sku in one.right
        print(f"{name}: {fit(ScoredQueries(scores=scores, right=right))}")


if __name__ == "__main__":
    main()
