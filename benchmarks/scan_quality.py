"""How often a scan of a real photo finds its product, and how often its confidence is right.

The folder holds `catalog.csv` (sku, category, title, description, image) and `photos.csv` (photo,
sku, category):

    python benchmarks/scan_quality.py FOLDER [--models lite] [--order 0] [--fit]

Each photo is scanned alone and with the word of its category, and each such word alone; then once
more with the right products hidden, where only "no match" is right. The scanner learns from the
photos it sees, so their order, a seed, matters a little. `--fit` prints the `spread` and `low` of
`embedding/calibration.py` that fit one half of the photos, always the same; the tables tell how
confidence fares on all photos and on the other half.
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

import numpy as np

from shelfsight import wiring
from shelfsight.backfill.progress import choose
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.engines import local
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.records import Failure, Pixels, Selection, Vector
from shelfsight.scan.matching import Filters, ScanOptions, ScanQuery, ScanResult
from shelfsight.scan.scanner import Scanner
from shelfsight.settings import Settings, load
from shelfsight.wiring.database import open_database
from shelfsight.wiring.embedder import open_embedder
from shelfsight.wiring.pipeline import open_pipeline
from shelfsight.wiring.scanning import make_scanner, read_photo

DEPTHS = (1, 5, 10)

HALVES = 7
"""Seed of the halves; no other was tried."""

LOST = 0.02
"""Share of the right first matches that `low` may cost."""

ABSENT = 0.25
"""What a scan with the right products hidden counts in a fit: one in five is of another thing."""

SPREADS = np.arange(0.02, 0.12, 0.005)
ABSENTS = np.arange(0.1, 0.8, 0.02)


@dataclass(frozen=True)
class Asked:
    """A question and the SKUs that are right; `fitted` says whether its half was fitted on."""

    scan_query: ScanQuery
    right: frozenset[str]
    fitted: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="holds catalog.csv, photos.csv and the pictures")
    parser.add_argument("--models", default="lite", help="which pair (default: lite)")
    parser.add_argument("--order", type=int, default=0, help="seed of the photos' order")
    parser.add_argument("--fit", action="store_true", help="fit the thresholds on one half")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        settings = load(
            {"shelfsight_home": home, "models": arguments.models, "image_root": str(folder)}
        )
        with prepared(settings, folder) as (database, embedder):
            scanner = make_scanner(settings, database, embedder)
            bench = Bench(database, scanner, [row["sku"] for row in rows(folder / "catalog.csv")])
            for kind, asked in questions(settings, folder, embedder).items():
                random.Random(arguments.order).shuffle(asked)
                print(f"\n{kind}, {len(asked)} scans, models {settings.models}")
                (bench.fit if arguments.fit else bench.measure)(asked)


@contextmanager
def prepared(settings: Settings, folder: Path) -> Iterator[tuple[Database, Embedder]]:
    """A database of its own in which all products are embedded."""
    wiring.import_products(settings, folder / "catalog.csv", print)
    job = Job(selection=Selection(), batch_size=settings.batch_size, max_batches=0)
    progress, report = choose(as_json=False, verbose=False), Report()
    with (
        open_database(settings) as database,
        open_embedder(settings, print) as embedder,
    ):
        with open_pipeline(settings, database, embedder, progress) as pipeline:
            local.run(pipeline, job, report, progress)
        progress.finish(report)
        yield database, Remembering(embedder)


class Remembering:
    """Embeds a photo or a text once, though it is scanned several times."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[object, list[Vector | Failure]] = {}
        self.models = embedder.models
        self.picture_format = embedder.picture_format

    def embed_images(self, pictures: Sequence[Pixels]) -> list[Vector | Failure]:
        key = tuple(id(picture) for picture in pictures)  # they live as long as their questions
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


def questions(settings: Settings, folder: Path, embedder: Embedder) -> dict[str, list[Asked]]:
    """The questions of each kind, half of them marked."""
    photos = rows(folder / "photos.csv")
    views = [read_photo(settings, folder / row["photo"], embedder) for row in photos]
    by_category = itemgetter("category")
    catalogue = sorted(rows(folder / "catalog.csv"), key=by_category)
    categories = {
        word: frozenset(row["sku"] for row in group)
        for word, group in itertools.groupby(catalogue, key=by_category)
    }
    halves, words = half(len(photos)), half(len(categories))
    one = [frozenset({row["sku"]}) for row in photos]
    texts = [row["category"] for row in photos]
    return {
        "photo only": [
            Asked(ScanQuery(photos=(photo,)), sku, fitted)
            for photo, sku, fitted in zip(views, one, halves, strict=True)
        ],
        "photo and category": [
            Asked(ScanQuery(photos=(photo,), text=text), sku, fitted)
            for photo, text, sku, fitted in zip(views, texts, one, halves, strict=True)
        ],
        "category only": [
            Asked(ScanQuery(text=word), skus, fitted)
            for (word, skus), fitted in zip(categories.items(), words, strict=True)
        ],
    }


def half(count: int) -> list[bool]:
    """Which of so many are in the half that is fitted on."""
    return [n < count // 2 for n in np.random.default_rng(HALVES).permutation(count)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class Bench:
    """A scanner over a catalogue whose SKUs are known."""

    def __init__(self, database: Database, scanner: Scanner, skus: Sequence[str]) -> None:
        self._database = database
        self._scanner = scanner
        self._skus = skus

    def measure(self, asked: Sequence[Asked]) -> None:
        """Print recall and how confidence fares, on all and on what was not fitted on."""
        found = self._scan(asked, ScanOptions(limit=max(DEPTHS), threshold=-1.0))
        sure, absent = (
            self._scan(asked, ScanOptions()),
            self._scan(asked, ScanOptions(), hidden=True),
        )
        for name, chosen in (
            ("all", list(range(len(asked)))),
            ("not fitted on", [n for n, one in enumerate(asked) if not one.fitted]),
        ):
            ranks = [rank(found[n], asked[n].right) for n in chosen]
            recall = ", ".join(
                f"@{depth} {share(r is not None and r <= depth for r in ranks):.3f}"
                for depth in DEPTHS
            )
            print(f"  {name}: recall {recall}")
            print(f"    {'first match':<12} {'scans':>6} {'right':>6}   scans, none right")
            for word in ("high", "medium", "low", "no match"):
                hits = [n for n in chosen if verdict(sure[n]) == word]
                right = share(rank(sure[n], asked[n].right) == 1 for n in hits)
                wrong = sum(verdict(absent[n]) == word for n in chosen)
                shown = f"{right:>6.2f}" if hits and word != "no match" else f"{'':>6}"
                print(f"    {word:<12} {len(hits):>6} {shown} {wrong:>8}")

    def fit(self, asked: Sequence[Asked]) -> None:
        """Print the thresholds that fit the half that is for it."""
        everything = ScanOptions(limit=len(self._skus), threshold=-1.0)
        half = [n for n, one in enumerate(asked) if one.fitted]
        present, absent = self._scan(asked, everything), self._scan(asked, everything, hidden=True)
        shown = [scores(present[n], asked[n].right) for n in half]
        hidden = [scores(absent[n], asked[n].right) for n in half]
        spread, rival = min(
            itertools.product(SPREADS, ABSENTS),
            key=lambda pair: surprise(shown, *pair) + ABSENT * surprise(hidden, *pair),
        )
        low = np.quantile([right[0] for right, other in shown if right[0] > other[0]], LOST)
        print(f"  low={low:.2f}, spread={spread:.3f}, absent={rival:.2f}")

    def _scan(
        self, asked: Sequence[Asked], options: ScanOptions, *, hidden: bool = False
    ) -> list[ScanResult]:
        """Scan in order, from a mean of scans that is empty; `hidden` hides what is right."""
        self._database.run(lambda connection: connection.execute('DELETE FROM "ScanMeans"'))
        everything = frozenset(self._skus)
        return [
            self._scanner.scan(
                one.scan_query,
                ScanOptions(
                    limit=options.limit,
                    threshold=options.threshold,
                    filters=Filters(skus=tuple(everything - one.right) if hidden else ()),
                ),
            )
            for one in asked
        ]


def scores(found: ScanResult, right: frozenset[str]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the matches that are right, and of the others, best first."""
    split = {True: [], False: []}
    for match in found.matches:
        split[match.product.sku in right].append(match.score)
    return np.array(split[True]), np.array(split[False])


def surprise(asked: Sequence[tuple[np.ndarray, np.ndarray]], spread: float, rival: float) -> float:
    """The mean negative logarithm of the share of what is right, or of the rival if nothing is."""
    total = 0.0
    for right, other in asked:
        nothing = np.exp(rival / spread)
        truth = np.exp(right / spread).sum() if len(right) else nothing
        total -= np.log(truth / (np.exp(np.r_[right, other] / spread).sum() + nothing))
    return total / len(asked)


def rank(found: ScanResult, right: frozenset[str]) -> int | None:
    return next((n for n, match in enumerate(found.matches, 1) if match.product.sku in right), None)


def verdict(found: ScanResult) -> str:
    return found.matches[0].confidence if found.matches else "no match"


def share(hits: Iterator[bool]) -> float:
    known = list(hits)
    return sum(known) / max(1, len(known))


if __name__ == "__main__":
    main()
