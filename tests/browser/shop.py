"""A small drawn shop in a folder, embedded by the lite models, and photographs of its products."""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from threading import Event

from shelfsight import wiring
from shelfsight.backfill.pipeline import backfill
from shelfsight.backfill.progress import JsonProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.demo.shop.drawing import draw_pictures
from shelfsight.demo.shop.photograph import take_photographs
from shelfsight.demo.shop.products import make_shop
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.records import Selection
from shelfsight.settings import Settings

SEED = 1
KINDS = ("bottle", "mug", "cushion", "cap")
EACH = 4

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><b>Lamp</b> &amp; shade"


@dataclass(frozen=True)
class Shop:
    """Its pictures lie in `folder`; a photograph shows the product with the SKU beside it."""

    database: Database
    folder: Path
    photographs: list[tuple[Path, str]]


def open_shop(database: Database, embedder: Embedder, folder: Path) -> Shop:
    """Draw, import and embed it; two products more have no picture, or one that is gone."""
    drawn = [product for product in make_shop(SEED) if product.design is not None]
    products = [
        product
        for kind in KINDS
        for product in [p for p in drawn if p.design is not None and p.design.kind == kind][:EACH]
    ]
    draw_pictures(products, folder / "pictures")
    photographs = take_photographs(products, folder / "photographs", seed=SEED, count=3)
    wiring.write_products(
        database,
        iter(
            [
                *(_imported(p.sku, p.title, p.description, p.picture) for p in products),
                _imported(
                    "HOSTILE", HOSTILE, "<script>document.title='owned'</script>A lamp", None
                ),
                _imported("GONE", "A thing whose picture is gone", "", "gone.png"),
            ]
        ),
    )
    settings = Settings.model_construct(models="lite", image_root=folder / "pictures")
    progress = JsonProgress(StringIO())
    with wiring.open_pipeline(settings, database, embedder, progress) as pipeline:
        job = Job(selection=Selection(), batch_size=100, max_batches=0)
        backfill(pipeline, job, Report(), progress, Event())
    return Shop(database, folder / "pictures", photographs)


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
