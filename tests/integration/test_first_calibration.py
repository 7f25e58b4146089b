"""The first whole backfill of a pair of models calibrates it, behind an embedding server too."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image

from shelfsight import Selection, Shop, open_shop
from shelfsight.catalog.imports.import_file import write_products
from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.cli.backfill_command import RunOptions, run_command
from shelfsight.doctor import examine_database
from shelfsight.models.table import EFFICIENTNET_LITE0
from shelfsight.records import ModelPair, PictureFormat
from shelfsight.settings import load
from shelfsight.storage.calibrations import CalibrationStore
from shelfsight.storage.versions.switch import switch
from shelfsight.wiring.first_calibration import calibrate_first, remind_to_calibrate
from tests.colour_shop import ColourEmbedder
from tests.integration.embedding_server import serving
from tests.shop import rows

WHOLE = RunOptions(everything=True, dry_run=False, verbose=False, as_json=False, yes=True)


class ColourModel:
    """An image model of the embedding server: the 16 x 16 colours of a picture."""

    spec = replace(
        EFFICIENTNET_LITE0,
        name="colours",
        revision="1",
        picture=PictureFormat(side=16, resample="bilinear"),
    )
    batch = 8
    device = "cpu"

    def embed(self, pictures, **options):
        return ColourEmbedder().embed_images(pictures, **options)


@pytest.fixture(scope="module")
def embedding_server() -> Iterator[str]:
    with serving(image=ColourModel()) as url:
        yield url


@pytest.fixture
def settings(url: str, tmp_path: Path, embedding_server: str):
    chance = np.random.default_rng(3)
    for number in range(60):
        stripes = Image.fromarray(chance.integers(0, 256, (3, 1, 3), dtype=np.uint8))
        stripes.resize((64, 64), Image.Resampling.NEAREST).save(tmp_path / f"{number}.png")
    settings = load(
        {"database_url": url, "image_root": str(tmp_path), "embedding_server_url": embedding_server}
    )
    with Shop(settings) as shop:
        shop.init()
        write_products(shop.database, map(product, range(60)))
    return settings


def product(number: int) -> ImportedProduct:
    return ImportedProduct(
        line=0,
        sku=f"sku-{number}",
        product_key=str(number),
        title=f"striped shirt number {number:03}",
        options={},
        image_urls=(f"{number}.png",),
    )


def backfill(settings, capsys, options: RunOptions = WHOLE, **selected: object) -> str:
    """Run the command, and return what it says on stderr."""
    assert run_command(settings, Selection(**selected), options) == 0
    return capsys.readouterr().err


def test_the_first_whole_backfill_calibrates_and_later_ones_do_not(settings, tmp_path, capsys):
    assert backfill(settings, capsys, skus=("sku-1",)) == ""  # others are due
    assert backfill(settings.model_copy(update={"calibrate": False}), capsys) == ""
    with Shop(settings) as shop:
        assert "no match is high" in shop.status().calibration
        assert shop.scan(tmp_path / "7.png").matches[0].probability is None

    assert run_command(settings, Selection(), replace(WHOLE, as_json=True)) == 0  # nothing is due
    out, said = capsys.readouterr()
    assert json.loads(out.splitlines()[-1])["event"] == "result"
    assert said.startswith("Calibrating these models once, with about 200 of your pictures")
    assert said.endswith("Calibrated with 180 photos made of this shop's pictures.\n")
    assert backfill(settings, capsys, skip_existing=False) == ""

    with Shop(settings) as shop:
        (match, *_) = shop.scan(tmp_path / "7.png").matches
        assert (match.product.sku, match.probability is None) == ("sku-7", False)
        told = "this shop's own, from 180 photos made of this shop's pictures"
        assert f"Calibration: {told}" in shop.status().lines()
        found = {one.subject: one.what for one in examine_database(shop.database, settings)}
        assert found["calibration"] == told


def test_staged_vectors_are_calibrated_before_they_are_switched_to(settings, tmp_path, capsys):
    backfill(settings.model_copy(update={"calibrate": False}), capsys)
    other = ColourModel()
    other.spec = replace(other.spec, revision="2")
    with serving(image=other) as url:
        newer = settings.model_copy(update={"embedding_server_url": url})
        assert "Calibrated with" in backfill(newer, capsys, replace(WHOLE, staged=True))
        with Shop(newer) as shop:
            switch(shop.database, lambda *_told: None)
            assert shop.scan(tmp_path / "7.png").matches[0].probability is not None


@pytest.fixture
def embedded(settings) -> Iterator[Shop]:
    """A shop with nothing due, whose models are not calibrated."""
    with Shop(settings.model_copy(update={"calibrate": False})) as shop:
        shop.backfill()
    with Shop(settings) as shop:
        yield shop


def told(shop: Shop, stop: Event | None = None) -> list[str]:
    """Return what a worker says that has just ended a run."""
    lines: list[str] = []
    calibrate_first(shop.settings, shop.database, shop.embedder, lines.append, stop or Event())
    return lines


def test_one_worker_calibrates_and_the_others_say_so(embedded: Shop) -> None:
    others: list[str] = []
    with closing(embedded.database.another()) as first:
        store = CalibrationStore(first)
        assert store.run_alone(embedded.embedder.models, lambda: others.extend(told(embedded)))
        assert others == ["Another worker calibrates these models now."]
        pair = ModelPair(image="another@1", text="another@1")
        assert store.run_alone(pair, lambda: others.extend(told(embedded)))
    assert others[-1].startswith("Calibrated with")
    assert told(embedded) == []


def test_what_keeps_from_calibrating_is_told_and_nothing_is_stored(
    embedded: Shop, tmp_path: Path
) -> None:
    stop = Event()
    stop.set()
    assert told(embedded, stop)[-1] == "Not calibrated: stopped; later: shelfsight calibrate"
    for picture in tmp_path.glob("*.png"):
        picture.unlink()
    assert "too few of the pictures could be fetched; later: " in told(embedded)[-1]
    embedded.database.run(
        lambda connection: connection.execute(
            """DELETE FROM "ProductVariants" WHERE "Sku" IN ('sku-0') OR "Sku" LIKE 'sku-5_'"""
        )
    )
    assert told(embedded) == ["Not calibrated: 50 products with pictures are needed, there are 49"]
    assert rows(embedded.database, 'SELECT * FROM shelfsight."Calibrations"') == []


def test_without_models_of_its_own_a_process_says_how_to_calibrate(
    embedded: Shop, settings
) -> None:
    lines: list[str] = []
    models = embedded.embedder.models
    remind_to_calibrate(settings, embedded.database, models, lines.append)
    assert lines == ["These models are not calibrated yet: shelfsight calibrate"]
    off = settings.model_copy(update={"calibrate": False})
    remind_to_calibrate(off, embedded.database, models, lines.append)
    assert len(lines) == 1


def test_models_that_come_with_a_calibration_keep_it(url: str) -> None:
    with open_shop(url, models="lite") as shop:
        shop.init()
        shop.backfill()
        assert CalibrationStore(shop.database).load(shop.embedder.models) is None
