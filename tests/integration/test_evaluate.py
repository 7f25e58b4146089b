"""`shelfsight evaluate` measures scans of a folder of photos whose product is known."""

from pathlib import Path

import pytest

from shelfsight.cli.evaluate_command import _lines
from shelfsight.errors import PictureError
from shelfsight.postgres.connection import Database
from shelfsight.storage.calibrations import CalibrationStore
from shelfsight.wiring.evaluating import evaluate_folder
from tests.colour_shop import MODELS, ColourEmbedder, colour_shop
from tests.integration.test_calibration import KNOWN
from tests.shop import rows


def test_each_photo_counts_and_mistakes_and_bad_photos_are_named(
    database: Database, tmp_path: Path
) -> None:
    settings = colour_shop(database, tmp_path, 20)
    CalibrationStore(database).save(MODELS, KNOWN)
    labels = [f"{number}.png,sku-{number}" for number in range(1, 11)]
    labels += ["11.png,sku-12", "gone.png,sku-3", "photos.csv,sku-4"]
    (tmp_path / "photos.csv").write_text("\n".join(["photo,sku", *labels]))
    found = evaluate_folder(settings, database, ColourEmbedder(), tmp_path)
    assert found.figures.scans == 11
    assert found.figures.recall[1].value == pytest.approx(10 / 11)
    (mistake,) = found.worst
    assert (mistake.photo, mistake.right, mistake.found) == ("11.png", "sku-12", "sku-11")
    assert [Path(line.partition(":")[0]).name for line in found.left_out] == [
        "gone.png",
        "photos.csv",
    ]
    told = "\n".join(_lines("here", found))
    assert "11.png: found sku-11" in told
    assert told.count("left out:") == 2
    # nothing was learned from photos that only measure
    assert rows(database, 'SELECT * FROM shelfsight."ScanMeans"') == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"photo\n1.png\n", "no column 'sku'"),
        (b"photo,sku\n", "no rows"),
        (b"photo,sku\n\xff\xfe,1\n", "not a CSV file in UTF-8"),
    ],
)
def test_a_folder_without_labels_is_refused(
    database: Database, tmp_path: Path, content: bytes | None, said: str
) -> None:
    settings = colour_shop(database, tmp_path, 1)
    if content is not None:
        (tmp_path / "photos.csv").write_bytes(content)
    with pytest.raises(PictureError, match=said):
        evaluate_folder(settings, database, ColourEmbedder(), tmp_path)
