"""Calibration on a shop's own pictures: made, stored, used by scans, and forgotten."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shelfsight.doctor import examine_database
from shelfsight.errors import ModelMismatchError
from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.postgres.connection import Database
from shelfsight.records import ModelPair
from shelfsight.scan.matching import ScanOptions, ScanQuery
from shelfsight.scan.scanner import Scanner
from shelfsight.settings import Settings
from shelfsight.storage.calibrations import CalibrationStore
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.testing import HashEmbedder
from shelfsight.wiring.calibrating import calibrate_on_pictures
from shelfsight.wiring.scanning import make_scanner
from tests.colour_shop import MODELS, ColourEmbedder, colour_shop
from tests.shop import FUSION, rows

KNOWN = Calibration(
    evidence={"image": Evidence(sharp=0.01, broad=0.1, clear=0.5, absent=1, absent_slope=2)},
    source="a test",
)


def first(settings: Settings, database: Database, folder: Path, number: int):
    """Scan a picture with a fresh scanner; return the result."""
    embedder = ColourEmbedder()
    scanner = make_scanner(settings, database, embedder, learns=False)
    pixels = np.asarray(Image.open(folder / f"{number}.png").resize((16, 16)))
    return scanner.scan(ScanQuery(photos=([pixels],)), ScanOptions())


def test_a_shop_that_calibrates_gets_probabilities_where_it_had_none(
    database: Database, tmp_path: Path
) -> None:
    settings = colour_shop(database, tmp_path, 60)
    before = first(settings, database, tmp_path, 7)
    assert (before.matches[0].probability, before.not_in_catalog) == (None, None)
    assert before.confidence != "high"

    calibration = calibrate_on_pictures(settings, database, ColourEmbedder(), lambda _line: None)
    assert calibration is not None
    assert calibration.source == "180 photos made of this shop's pictures"
    assert CalibrationStore(database).load(MODELS) == calibration

    after = first(settings, database, tmp_path, 7)
    assert after.matches[0].product.sku == "sku-7"
    assert after.matches[0].probability > 0.5 > after.not_in_catalog
    told = {one.subject: one for one in examine_database(database, settings)}
    assert told["calibration"].what == (
        "this shop's own, from 180 photos made of this shop's pictures"
    )

    CalibrationStore(database).delete(MODELS)
    assert first(settings, database, tmp_path, 7).not_in_catalog is None
    told = {one.subject: one for one in examine_database(database, settings)}
    assert told["calibration"].verdict == "warning"
    assert "shelfsight calibrate" in told["calibration"].advice


def test_colours_are_calibrated_too_learned_by_scans_and_can_be_switched_off(
    database: Database, tmp_path: Path
) -> None:
    settings = colour_shop(database, tmp_path, 60)
    calibration = calibrate_on_pictures(settings, database, ColourEmbedder(), lambda _line: None)
    assert calibration is not None
    assert "color" in calibration.evidence
    photos = [
        [np.asarray(Image.open(tmp_path / f"{number}.png").resize((16, 16)))]
        for number in range(1, 8)
    ]
    off = settings.model_copy(update={"scan_color": False})
    for chosen, counts in ((off, False), (settings, False), (settings, True)):
        scanner = make_scanner(chosen, database, ColourEmbedder())
        (match, *_) = scanner.scan(ScanQuery(photos=(photos[6],)), ScanOptions()).matches
        scanner.scan(ScanQuery(photos=tuple(photos)), ScanOptions())
        assert (match.product.color_score is not None) == counts
        learned = rows(
            database,
            """SELECT "Count" FROM shelfsight."ScanMeans"
                                    WHERE "Model" = 'lab-4x8x8'""",
        )
        assert bool(learned) == chosen.scan_color
    assert match.because[0] in {"picture", "color"}


def test_too_few_pictures_or_other_models_calibrate_nothing(
    database: Database, tmp_path: Path
) -> None:
    settings = colour_shop(database, tmp_path, 5)
    assert calibrate_on_pictures(settings, database, ColourEmbedder(), lambda _line: None) is None
    with pytest.raises(ModelMismatchError):
        calibrate_on_pictures(settings, database, HashEmbedder(), lambda _line: None)
    assert rows(database, 'SELECT * FROM shelfsight."Calibrations"') == []


def test_scans_go_on_where_the_calibration_cannot_be_read(
    database: Database, tmp_path: Path
) -> None:
    settings = colour_shop(database, tmp_path, 5)
    store = CalibrationStore(database)
    store.save(MODELS, KNOWN)
    assert first(settings, database, tmp_path, 2).not_in_catalog is not None
    for damage in (
        """UPDATE shelfsight."Calibrations" SET "Calibration" = '{"evidence": 1}'""",
        'DROP TABLE shelfsight."Calibrations"',
    ):
        database.run(lambda connection, damage=damage: connection.execute(damage))
        assert store.load(MODELS) is None
        assert first(settings, database, tmp_path, 2).not_in_catalog is None


def test_a_running_scanner_notices_a_calibration_within_a_minute(
    database: Database, tmp_path: Path
) -> None:
    settings = colour_shop(database, tmp_path, 5)
    now = [0.0]
    search = PostgresProductSearch(database, lambda: now[0])
    scanner = Scanner(ColourEmbedder(), search, FUSION, settings.weights)
    photo = [np.asarray(Image.open(tmp_path / "2.png").resize((16, 16)))]
    assert scanner.scan(ScanQuery(photos=(photo,)), ScanOptions()).not_in_catalog is None
    CalibrationStore(database).save(MODELS, KNOWN)
    now[0] = 61.0
    assert scanner.scan(ScanQuery(photos=(photo,)), ScanOptions()).not_in_catalog is not None


def test_a_calibration_outlives_an_upgrade_that_tells_files_by_their_hash(
    database: Database,
) -> None:
    store, commit = CalibrationStore(database), "0" * 40
    before = ModelPair(image=f"eyes@{commit}", text="words@1")
    after = ModelPair(image=f"eyes@{commit}-{'1' * 16}", text="words@1")
    store.save(before, KNOWN)
    assert store.load(after) == KNOWN
    newer = replace(KNOWN, source="a newer test")
    store.save(after, newer)
    assert store.load(after) == newer
    assert store.load(before) == KNOWN
