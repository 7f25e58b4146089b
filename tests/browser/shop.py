"""A small shop with drawn pictures, embedded by the lite models, and photos of its products."""

from dataclasses import dataclass, replace
from decimal import Decimal
from io import StringIO
from pathlib import Path
from threading import Event

import numpy as np
from PIL import Image

from shelfsight.backfill.pipeline import backfill
from shelfsight.backfill.progress_json import JsonProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.imports.import_file import write_products
from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.demo.shop.design import Design
from shelfsight.demo.shop.drawing import cut_out, draw_pictures
from shelfsight.demo.shop.photograph import take_photographs
from shelfsight.demo.shop.products import make_shop
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.records import Selection
from shelfsight.settings import Settings
from shelfsight.wiring.pipeline import open_pipeline

SEED = 1
KINDS = ("bottle", "mug", "cushion", "cap")
PER_KIND = 4

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><b>Lamp</b> &amp; shade"


@dataclass(frozen=True)
class Shop:
    """A shop with its pictures in `folder`; `photographs` are pairs of a photo and its SKU.

    `table` is a photo of several things on a table, with their SKUs in the order of reading.
    """

    database: Database
    folder: Path
    photographs: list[tuple[Path, str]]
    table: tuple[Path, list[str]]


def open_shop(database: Database, embedder: Embedder, folder: Path) -> Shop:
    """Draw, import and embed the shop; two more products have no picture, or a missing one."""
    drawn = make_shop(SEED)
    of_kind = {kind: [p for p in drawn if p.design and p.design.kind == kind] for kind in KINDS}
    products = [product for kind in KINDS for product in of_kind[kind][:PER_KIND]]
    draw_pictures(products, folder / "pictures")
    photographs = take_photographs(products, folder / "photographs", seed=SEED, count=3)
    write_products(
        database,
        iter(
            [
                *(_imported(p.sku, p.title, p.description, p.picture) for p in products),
                _imported(
                    "HOSTILE", HOSTILE, "<script>document.title='owned'</script>A lamp", None
                ),
                *(
                    replace(
                        _imported(f"SHORT-{size}", "Swim short", "", None),
                        product_key="SHORT",
                        options={"Size": size, "Colour": "navy"},
                        price=price,
                    )
                    for size, price in (("M", Decimal("19.5")), ("L", Decimal(21)))
                ),
                _imported("GONE", "A thing whose picture is gone", "", "gone.png"),
            ]
        ),
    )
    settings = Settings.model_construct(models="lite", image_root=folder / "pictures")
    progress = JsonProgress(StringIO())
    with open_pipeline(settings, database, embedder, progress) as pipeline:
        job = Job(selection=Selection(), batch_size=100, max_batches=0)
        backfill(pipeline, job, Report(), progress, Event())
    on_table = [of_kind[kind][0] for kind in KINDS]
    table = _table([p.design for p in on_table if p.design], folder / "photographs/table.jpg")
    return Shop(database, folder / "pictures", photographs, (table, [p.sku for p in on_table]))


def _table(designs: list[Design], path: Path) -> Path:
    """Lay things on a table in two rows, and photograph them."""
    photo = Image.new("RGB", (1200, 900), (164, 124, 84))
    for number, design in enumerate(designs):
        thing = cut_out(design).resize((380, 380))
        row, column = divmod(number, 2)
        photo.paste(thing, (100 + 600 * column, 40 + 440 * row), thing.getchannel("A"))
    noise = np.random.default_rng(SEED).normal(0, 3, (900, 1200, 3))
    Image.fromarray(np.clip(photo + noise, 0, 255).astype(np.uint8)).save(path, quality=85)
    return path


def _imported(sku: str, title: str, description: str, picture: str | None) -> ImportedProduct:
    return ImportedProduct(
        line=0,
        sku=sku,
        product_key=sku,
        title=title,
        description=description,
        price=None,
        options={},
        image_urls=(picture,) if picture else (),
        owner_id=None,
    )
