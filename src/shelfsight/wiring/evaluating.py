"""Scans photos whose product is known, and measures how often and how surely it is found."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shelfsight.errors import PictureError
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Transactions
from shelfsight.scan.evaluation import Figures, Outcome, figures, outcome
from shelfsight.scan.matching import ScanOptions, ScanQuery
from shelfsight.settings import Settings
from shelfsight.wiring.scanning import make_scanner, open_photo_reader, read_photo

LABELS = "photos.csv"
"""The file of a folder that says what its photos show."""

_MATCHES = 100
WORST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPhoto:
    """A photo, the SKU of what it shows, and words to scan with it (None: the photo alone)."""

    path: Path
    sku: str
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A photo whose first match is wrong: what was found, how sure, and where the right one came.

    `rank` is None if the right product was not among the nearest.
    """

    photo: str
    right: str
    found: str | None
    probability: float
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The figures of a folder of photos, the worst mistakes, and the photos that were left out.

    `worst` are the mistakes that were surest. `left_out` are lines for people.
    """

    figures: Figures | None
    worst: tuple[Mistake, ...]
    left_out: tuple[str, ...]


def evaluate_folder(
    settings: Settings, database: Transactions, embedder: Embedder, folder: Path
) -> Evaluation:
    """Scan each photo of the folder twice: as users do, and with its product left out.

    Nothing is learned from these photos. A photo that cannot be read is left out.

    Raises:
        PictureError: the folder has no `photos.csv` with the columns `photo` and `sku`.
        ModelMismatchError: other models made the stored vectors.
        DatabaseError: the database cannot be used.
    """
    photos = labelled_photos(folder)
    scanner = make_scanner(settings, database, embedder, learns=False)
    outcomes: list[Outcome] = []
    mistakes: list[Mistake] = []
    left_out: list[str] = []
    with open_photo_reader(settings, embedder) as read:
        for one in photos:
            try:
                photo = read_photo(one.path, read)
            except PictureError as error:
                left_out.append(str(error))
                continue
            query = ScanQuery(photos=(list(photo.views),), text=one.text, codes=photo.codes)
            found, absent = (
                scanner.scan(
                    query, ScanOptions(limit=_MATCHES, threshold=-1.0, without=frozenset(without))
                )
                for without in ((), (one.sku,))
            )
            result = outcome(found, absent, frozenset({one.sku}), one.sku)
            outcomes.append(result)
            if result.rank != 1:
                first = found.matches[0].product.sku if found.matches else None
                mistakes.append(
                    Mistake(
                        photo=one.path.name,
                        right=one.sku,
                        found=first,
                        probability=result.probability,
                        rank=result.rank,
                    )
                )
    mistakes.sort(key=lambda mistake: -mistake.probability)
    return Evaluation(
        figures=figures(outcomes) if outcomes else None,
        worst=tuple(mistakes[:WORST]),
        left_out=tuple(left_out),
    )


def labelled_photos(folder: Path) -> Sequence[LabelledPhoto]:
    """Read `photos.csv`: the columns `photo` (a path within the folder), `sku`, and maybe `text`.

    Raises:
        PictureError: there is no such file, or it lacks a column or rows.
    """
    path = folder / LABELS
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            photos = list(_rows(csv.DictReader(file), folder))
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise PictureError(f"{path} is not a CSV file in UTF-8: {error}") from error
    except KeyError as error:
        raise PictureError(f"{path} has no column {error}; it needs: photo, sku") from error
    if not photos:
        raise PictureError(f"{path} has no rows")
    return photos


def _rows(reader: "csv.DictReader[str]", folder: Path) -> Iterator[LabelledPhoto]:
    for row in reader:
        photo, sku = row["photo"], row["sku"]
        if photo and sku:
            yield LabelledPhoto(path=folder / photo, sku=sku, text=row.get("text") or None)
