"""Measure how often scans of real photos find their product, and how reliable confidence is.

FOLDER contains the pictures, `catalog.csv` (sku, category, title, description, image) and
`photos.csv` (photo, sku, category):

    python benchmarks/scan_quality.py FOLDER [--models lite] [--order 0] [--fit]
    ... [--without-pictures 40] [--without-texts 40]

Each photo is scanned alone and together with the name of its category, and each category name is
searched alone. Then everything is repeated with the right products hidden, where only "no match" is
right. The scanner keeps a running mean of the photos it sees, so their order (a seed) matters a
little. `--fit` prints the `low`, `spread` and `absent` for `scan/confidence.py` that fit one fixed
half of the photos. Without it, tables show how reliable confidence is on all photos and on the
other half. `--without-pictures` and `--without-texts` take the pictures or texts from so many
products, chosen at random, and tell their scans apart from those of the complete products.
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

from shelfsight.backfill.progress_output import choose
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.imports.import_file import import_file
from shelfsight.catalog.imports.import_options import ImportOptions
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
from shelfsight.wiring.scanning import make_scanner, open_photo_reader, read_photo

DEPTHS = (1, 5, 10)

SPLIT_SEED = 7
"""Seed that splits the photos into halves; no other was tried."""

MAX_LOST = 0.02
"""Share of right first matches that may score below `low`."""

ABSENT_WEIGHT = 0.25
"""Weight, in a fit, of a scan with hidden products: as if one scan in five showed another thing."""

SPREADS = np.arange(0.02, 0.12, 0.005)
ABSENTS = np.arange(0.1, 0.8, 0.02)


@dataclass(frozen=True)
class LabelledQuery:
    """A query with its right SKUs; `fitted` says whether it is in the half used for fitting."""

    scan_query: ScanQuery
    right: frozenset[str]
    fitted: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "folder", type=Path, help="contains catalog.csv, photos.csv and the pictures"
    )
    parser.add_argument("--models", default="lite", help="the pair of models (default: lite)")
    parser.add_argument("--order", type=int, default=0, help="seed for the order of the photos")
    parser.add_argument("--fit", action="store_true", help="fit the thresholds on one half")
    parser.add_argument("--without-pictures", type=int, default=0, metavar="N")
    parser.add_argument("--without-texts", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    catalogue = rows(folder / "catalog.csv")
    incomplete = take_away(catalogue, ("image",), arguments.without_pictures)
    incomplete |= take_away(catalogue, ("title", "description"), arguments.without_texts)
    with tempfile.TemporaryDirectory(prefix="shelfsight-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        settings = load(
            {"shelfsight_home": home, "models": arguments.models, "image_root": str(folder)}
        )
        with prepared(settings, catalogue) as (database, embedder):
            scanner = make_scanner(settings, database, embedder)
            skus = [row["sku"] for row in catalogue]
            evaluation = Evaluation(database, scanner, skus, incomplete)
            for kind, queries in labelled_queries(settings, folder, embedder).items():
                random.Random(arguments.order).shuffle(queries)
                print(f"\n{kind}, {len(queries)} scans, models {settings.models}")
                (evaluation.fit if arguments.fit else evaluation.measure)(queries)


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
            import_file(database, Path(file.name), ImportOptions(), print, lambda *_: True)
        with open_pipeline(settings, database, embedder, progress) as pipeline:
            local.run(pipeline, job, report, progress)
        progress.finish(report)
        yield database, CachingEmbedder(embedder)


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
    """Return the queries of each kind, half of them marked for fitting."""
    photos = rows(folder / "photos.csv")
    with open_photo_reader(settings, embedder) as read:
        views = [read_photo(folder / row["photo"], read) for row in photos]
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
            LabelledQuery(ScanQuery(photos=(photo,)), sku, fitted)
            for photo, sku, fitted in zip(views, one, halves, strict=True)
        ],
        "photo and category": [
            LabelledQuery(ScanQuery(photos=(photo,), text=text), sku, fitted)
            for photo, text, sku, fitted in zip(views, texts, one, halves, strict=True)
        ],
        "category only": [
            LabelledQuery(ScanQuery(text=word), skus, fitted)
            for (word, skus), fitted in zip(categories.items(), words, strict=True)
        ],
    }


def half(count: int) -> list[bool]:
    """Return for each of `count` queries whether it is in the half used for fitting."""
    return [n < count // 2 for n in np.random.default_rng(SPLIT_SEED).permutation(count)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class Evaluation:
    """Evaluates a scanner on queries with known right SKUs."""

    def __init__(
        self,
        database: Database,
        scanner: Scanner,
        skus: Sequence[str],
        incomplete: frozenset[str] = frozenset(),
    ) -> None:
        self._database = database
        self._scanner = scanner
        self._skus = skus
        self._incomplete = incomplete

    def measure(self, queries: Sequence[LabelledQuery]) -> None:
        """Print recall and reliability of confidence, on all queries and on those not fitted on."""
        found = self._scan(queries, ScanOptions(limit=max(DEPTHS), threshold=-1.0))
        sure, absent = (
            self._scan(queries, ScanOptions()),
            self._scan(queries, ScanOptions(), hidden=True),
        )
        for name, positions in (
            ("all", list(range(len(queries)))),
            ("not fitted on", [n for n, one in enumerate(queries) if not one.fitted]),
        ):
            ranks = [rank(found[n], queries[n].right) for n in positions]
            recall = ", ".join(
                f"@{depth} {share(r is not None and r <= depth for r in ranks):.3f}"
                for depth in DEPTHS
            )
            print(f"  {name}: recall {recall}")
            print(f"    {'first match':<12} {'scans':>6} {'right':>6}   scans, none right")
            for word in ("high", "medium", "low", "no match"):
                hits = [n for n in positions if verdict(sure[n]) == word]
                right = share(rank(sure[n], queries[n].right) == 1 for n in hits)
                wrong = sum(verdict(absent[n]) == word for n in positions)
                shown = f"{right:>6.2f}" if hits and word != "no match" else f"{'':>6}"
                print(f"    {word:<12} {len(hits):>6} {shown} {wrong:>8}")
        if self._incomplete:
            self._tell_apart(queries, sure)

    def _tell_apart(self, queries: Sequence[LabelledQuery], found: Sequence[ScanResult]) -> None:
        """Print the recall of complete and of incomplete products, and who takes first places."""
        pairs = list(zip(found, (one.right for one in queries), strict=True))
        for name, is_meant in (
            ("complete", lambda skus: not skus & self._incomplete),
            ("incomplete", lambda skus: bool(skus & self._incomplete)),
        ):
            right = [rank(result, skus) == 1 for result, skus in pairs if is_meant(skus)]
            first = [
                (result.matches[0].confidence, rank(result, skus) == 1)
                for result, skus in pairs
                if result.matches and is_meant({result.matches[0].product.sku})
            ]
            high = [is_right for word, is_right in first if word == "high"]
            print(
                f"  {name} products: recall @1 {share(iter(right)):.3f} of {len(right)} scans;"
                f" {len(first) / max(1, len(pairs)):.3f} of the"
                f" first places, {len(high)} of them high, {high.count(False)} of these wrong"
            )

    def fit(self, queries: Sequence[LabelledQuery]) -> None:
        """Print the thresholds fitted on the half for fitting."""
        everything = ScanOptions(limit=len(self._skus), threshold=-1.0)
        half = [n for n, one in enumerate(queries) if one.fitted]
        present, absent = (
            self._scan(queries, everything),
            self._scan(queries, everything, hidden=True),
        )
        shown = [scores(present[n], queries[n].right) for n in half]
        hidden = [scores(absent[n], queries[n].right) for n in half]
        spread, rival = min(
            itertools.product(SPREADS, ABSENTS),
            key=lambda pair: log_loss(shown, *pair) + ABSENT_WEIGHT * log_loss(hidden, *pair),
        )
        low = np.quantile([right[0] for right, other in shown if right[0] > other[0]], MAX_LOST)
        print(f"  low={low:.2f}, spread={spread:.3f}, absent={rival:.2f}")

    def _scan(
        self, queries: Sequence[LabelledQuery], options: ScanOptions, *, hidden: bool = False
    ) -> list[ScanResult]:
        """Scan all queries in order, from an empty running mean; `hidden` hides right products."""
        self._database.run(
            lambda connection: connection.execute('DELETE FROM shelfsight."ScanMeans"')
        )
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
            for one in queries
        ]


def scores(found: ScanResult, right: frozenset[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the right matches and of the others, best first."""
    split: dict[bool, list[float]] = {True: [], False: []}
    for match in found.matches:
        split[match.product.sku in right].append(match.score)
    return np.array(split[True]), np.array(split[False])


def log_loss(scored: Sequence[tuple[np.ndarray, np.ndarray]], spread: float, rival: float) -> float:
    """Return the mean negative log of the softmax share of the right products.

    `rival` is the score of "no match", which is right if no right product is in the catalogue.
    """
    total = 0.0
    for right, other in scored:
        nothing = np.exp(rival / spread)
        truth = np.exp(right / spread).sum() if len(right) else nothing
        total -= np.log(truth / (np.exp(np.r_[right, other] / spread).sum() + nothing))
    return total / len(scored)


def rank(found: ScanResult, right: frozenset[str]) -> int | None:
    return next((n for n, match in enumerate(found.matches, 1) if match.product.sku in right), None)


def verdict(found: ScanResult) -> str:
    return found.matches[0].confidence if found.matches else "no match"


def share(hits: Iterator[bool]) -> float:
    known = list(hits)
    return sum(known) / max(1, len(known))


if __name__ == "__main__":
    main()
