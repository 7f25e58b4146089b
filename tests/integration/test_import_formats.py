"""The exports of shop platforms, imported as they are.

`exports/` has a small file in the form of each platform. Most hold the same shop: a tee in two
variants, a mug, and products that are not for sale.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shelfsight.catalog.imports.formats import FORMATS, PLAIN
from shelfsight.catalog.imports.import_file import import_file
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.import_summary import ImportSummary
from shelfsight.catalog.imports.product_file import ProductFile
from shelfsight.postgres.connection import Database
from tests.shop import rows

EXPORTS = Path(__file__).parent / "exports"
RED = {"Colour": "Red", "Size": "S"}
BLUE = {"Colour": "Blue", "Size": "M"}


@dataclass(frozen=True)
class Export:
    """What a file holds: SKU, title, options and pictures of the three variants, and so on."""

    format: str
    red: tuple[str, str, Mapping[str, str], list[str]]
    blue: tuple[str, str, Mapping[str, str], list[str]]
    mug: tuple[str, str, Mapping[str, str], list[str]]
    unused: set[str]
    left_out: dict[str, int] = field(default_factory=dict)
    blue_price: str = "21.50"
    mug_price: str = "9.90"
    encoding: str = "utf-8"
    bad_cells: int = 0
    tee_link: str | None = None
    mug_link: str | None = None


def tee(colour: str, title: str, *images: str, sku: str = "", **names: str) -> Any:
    """A variant of the tee; `names` renames the options."""
    options = {names.get(name, name): text for name, text in (RED, BLUE)[colour == "blue"].items()}
    return (
        sku or f"tee-{colour}-{options.get('Size', options.get('size', '')).lower()}",
        title,
        options,
        list(images),
    )


CDN = "https://cdn.shopify.com"
BC = "https://cdn11.bigcommerce.com"
SHOP = "https://shop.example"
SHOPIFY_PICTURES = (f"{CDN}/1.jpg?v=1", f"{CDN}/2.jpg")
SHOPIFY: dict[str, Any] = {
    "red": tee("red", "Star tee - Red / S", f"{CDN}/red.jpg", *SHOPIFY_PICTURES),
    "blue": tee("blue", "Star tee - Blue / M", f"{CDN}/blue.jpg", *SHOPIFY_PICTURES),
    "mug": ("mug-1", "Blue mug", {}, [f"{CDN}/mug-1.jpg", f"{CDN}/mug-2.jpg"]),
    "left_out": {"draft": 1},
    "tee_link": "star-tee",
    "mug_link": "blue-mug",
}
FEED_OPTIONS = {"Colour": "color", "Size": "size"}
FEED: dict[str, Any] = {
    "format": "Google Merchant or Facebook feed",
    "red": tee(
        *("red", "Star tee", f"{SHOP}/red.jpg", f"{SHOP}/1.jpg", f"{SHOP}/2.jpg"), **FEED_OPTIONS
    ),
    "blue": tee("blue", "Star tee", f"{SHOP}/blue.jpg", **FEED_OPTIONS),
    "mug": ("mug-1", "Blue mug", {}, [f"{SHOP}/mug-1.jpg", f"{SHOP}/mug-2.jpg"]),
    "mug_link": f"{SHOP}/mug",
}

CASES = {
    "shopify.csv": Export(
        "Shopify export",
        **SHOPIFY,
        unused={
            *("Vendor", "Tags", "Option1 Linked To", "Option2 Linked To", "Variant Grams"),
            *("Variant Inventory Tracker", "Variant Compare At Price", "Image Alt Text"),
            *("Gift Card", "SEO Title", "Cost per item"),
        },
    ),
    "shopify_template.csv": Export(
        "Shopify export",
        **SHOPIFY,
        unused={
            *("Vendor", "Tags", "Option1 Linked To", "Option2 Linked To", "Compare-at price"),
            *("Weight value (grams)", "Image alt text", "SEO title"),
        },
    ),
    "shopify_bulk.jsonl": Export("Shopify bulk operation", **SHOPIFY, unused={"vendor"}),
    "woocommerce.csv": Export(
        "WooCommerce export",
        red=tee("red", "Star tee - Red, S", f"{SHOP}/uploads/red.jpg"),
        blue=tee(
            *("blue", "Star tee - Blue, M", f"{SHOP}/uploads/1.jpg", f"{SHOP}/uploads/2.jpg"),
            sku="id:47",
        ),
        mug=(
            *("mug-1", "Blue mug", {"Material": "Clay"}),
            [f"{SHOP}/uploads/mug-1.jpg", f"{SHOP}/uploads/w_100,h_100/mug-2.jpg"],
        ),
        unused={
            *("Is featured?", "Visibility in catalog", "Tax status", "In stock?", "Stock"),
            *("Weight (kg)", "Sale price", "Tags", "Position", "Attribute 1 visible"),
            *("Attribute 1 global", "Attribute 2 visible", "Attribute 2 global"),
            "Meta: _wpcom_is_markdown",
        },
        left_out={"draft": 1, "unpublished": 1},
    ),
    "magento.csv": Export(
        "Magento 2 export",
        red=tee("red", "Star tee-Red-S", "/r/e/red.jpg"),
        blue=tee("blue", "Star tee-Blue-M", "/s/t/1.jpg", "/s/t/2.jpg"),
        mug=("mug-1", "Blue mug", {}, ["/m/u/mug-1.jpg", "/m/u/mug-2.jpg"]),
        unused={
            *("attribute_set_code", "product_type", "product_websites", "weight"),
            *("tax_class_name", "visibility", "special_price", "base_image_label"),
            *("small_image", "thumbnail_image", "created_at", "additional_attributes", "qty"),
            *("is_in_stock", "additional_image_labels", "associated_skus"),
        },
        left_out={"unpublished": 1},
        tee_link="star-tee",
        mug_link="blue-mug",
    ),
    "google.tsv": Export(
        **FEED, unused={"availability", "brand", "condition"}, tee_link=f"{SHOP}/tee"
    ),
    "google.xml": Export(
        **FEED, unused={"availability"}, tee_link=f"{SHOP}/tee?a=1&b=2", encoding="XML"
    ),
    "facebook.csv": Export(
        **FEED,
        unused={"availability", "brand", "condition"},
        left_out={"archived": 1},
        tee_link=f"{SHOP}/tee",
    ),
    "bigcommerce.csv": Export(
        "BigCommerce export",
        red=tee("red", "Star tee - Red / S", f"{BC}/red.jpg", f"{BC}/1.jpg", f"{BC}/2.jpg"),
        blue=tee("blue", "Star tee - Blue / M", f"{BC}/blue.jpg", f"{BC}/1.jpg", f"{BC}/2.jpg"),
        mug=("mug-1", "Blue mug", {}, [f"{BC}/mug-1.jpg", f"{SHOP}/mug-2.jpg"]),
        unused={
            *("Type", "Inventory Tracking", "Current Stock", "Low Stock", "Cost Price"),
            *("Retail Price", "Sale Price", "Brand ID", "Channels", "Custom Fields"),
            *("Page Title", "Meta Description", "Search Keywords"),
            *("Bin Picking Number", "Global Trade Number", "Weight", "Is Featured"),
            *("Product Condition", "Sort Order", "Image Description", "Image is Thumbnail"),
            "YouTube ID",
        },
        left_out={"unpublished": 1},
        tee_link="/star-tee/",
        mug_link="/blue-mug/",
    ),
    "bigcommerce_legacy.csv": Export(
        "BigCommerce legacy export",
        red=tee("red", "Star tee - Red / S", "1.jpg", "2.jpg"),
        blue=tee("blue", "Star tee - Blue / M", "1.jpg", "2.jpg"),
        mug=("mug-1", "Blue mug", {}, ["mug-1.jpg", "mug-2.jpg"]),
        unused={
            *("Product Type", "Bin Picking Number", "Brand Name", "Option Set", "Cost Price"),
            *("Sale Price", "Product Weight", "Allow Purchases?", "Track Inventory"),
            *("Current Stock Level", "Product Image ID - 1", "Product Image Description - 1"),
            *("Product Image Is Thumbnail - 1", "Product Image Sort - 1"),
            *("Product Image ID - 2", "Product Image Sort - 2", "Search Keywords"),
            "GPS Color",
        },
        left_out={"unpublished": 1},
        tee_link="/star-tee/",
        mug_link="/blue-mug/",
        blue_price="19.00",  # a rule of the shop adds to it
    ),
    "square.csv": Export(
        "Square export",
        red=tee("red", "Star tee - Red, S"),
        blue=tee("blue", "Star tee - Blue, M", sku="AAA2:Blue, M"),
        mug=("mug-1", "Blue mug", {}, []),
        unused={
            *("Reference Handle", "Customer-facing Name", "Reporting Category", "Item Type"),
            *("Weight (kg)", "Online Sale Price", "Sellable", "Stockable"),
            *("Current Quantity Acme", "Tax - VAT (20%)"),
        },
        left_out={"archived": 1},
    ),
    "plain.csv": Export(
        "plain",
        red=tee("red", "Star tee in red", "red.jpg", "1.jpg"),
        blue=tee("blue", "Star tee in blue", "blue.jpg"),
        mug=("00123", "Grüner Krug", {}, ["krug-1.jpg", "krug-2.jpg"]),
        unused={"Article", "Stock"},
        mug_price="1299.00",
        encoding="cp1252",
        bad_cells=1,
    ),
}


def imported(database: Database, file: ProductFile, **options: bool) -> ImportSummary:
    bad: list[Any] = []
    chosen = ImportOptions(**options)
    summary = import_file(database, file, chosen, bad.append, lambda *_: False)
    assert [type(item).__name__ for item in bad] == ["BadCell"] * summary.bad_cells
    return summary


def stored(database: Database) -> list[tuple[Any, ...]]:
    """The variants in order of their SKU, each with its pictures and the row of its product."""
    return rows(
        database,
        'SELECT v."Sku", v."Title", v."Options", ARRAY(SELECT "ImageUrl" FROM "ProductImages"'
        ' WHERE "ProductVariantId" = v."Id" ORDER BY "Position"), v."Price", v."Barcode",'
        ' v."Description", p."Category", p."Id", v."Link" FROM "ProductVariants" v'
        ' JOIN "Products" p ON p."Id" = v."ProductId"',
    )


@pytest.mark.parametrize("name", CASES)
def test_an_export_gives_its_products_with_pictures_and_variants(
    database: Database, name: str
) -> None:
    case = CASES[name]
    file = ProductFile(EXPORTS / name)
    would = imported(database, file, dry_run=True)
    summary = imported(database, file)

    variants = [case.red, case.blue, case.mug]
    assert summary == would
    assert summary == ImportSummary(
        new=len(variants), left_out=summary.left_out, bad_cells=case.bad_cells
    )
    assert summary.left_out == case.left_out
    found = {row[0]: row for row in stored(database)}
    assert sorted(row[:4] for row in found.values()) == sorted(variants)
    red, blue, mug = (found[variant[0]] for variant in variants)
    prices = [Decimal(price) for price in ("19.00", case.blue_price, case.mug_price)]
    assert [row[4] for row in (red, blue, mug)] == prices
    if name != "magento.csv":  # has no barcodes
        assert red[5] == "4006381333931"
    assert blue[8] == red[8] != mug[8]
    assert blue[6] == red[6]
    if name != "plain.csv":
        assert (red[6].replace("<p>Soft</p>", "Soft"), mug[6]) == ("Soft", "Holds tea")
    assert red[7].lower().split(" > ")[-1] in {"shirts", "clothing"}
    assert (red[9], mug[9]) == (case.tee_link, case.mug_link)
    assert len(would.first_products) == len(variants)
    assert sorted(p.sku for p in would.first_products) == sorted(found)

    assert (file.columns.format, file.columns.encoding) == (case.format, case.encoding)
    assert set(file.columns.unused) == case.unused
    assert not file.columns.used.keys() & case.unused

    before = stored(database)
    for clear_empty in (False, True):
        again = imported(database, ProductFile(EXPORTS / name), clear_empty=clear_empty)
        assert (again.products, again.untouched) == (len(variants), len(variants))
    assert sorted(stored(database)) == sorted(before)


def test_each_format_has_a_file_here() -> None:
    assert {case.format for case in CASES.values()} == {f.name for f in (*FORMATS, PLAIN)}


def test_an_atom_feed_is_read_like_one_of_rss(database: Database) -> None:
    assert imported(database, ProductFile(EXPORTS / "atom.xml")).new == 1
    ((sku, title, _, images, price, *_),) = stored(database)
    assert (sku, title, price) == ("mug-1", "Blue mug", Decimal("9.90"))
    assert images == [f"{SHOP}/mug-1.jpg", f"{SHOP}/mug-2.jpg"]


def test_a_dry_run_shows_the_first_products_as_they_would_be_stored(
    database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "products.csv"
    file.write_text(
        "sku,title,price,category,images,color\na,Mug,9,Home,1.png|2.png,red\nb,Cup,,,,\n"
    )
    imported(database, ProductFile(file))
    file.write_text("sku,price,title,color\na,10,,\nc,1,New,\nb,,Bowl,blue\nd,1,,\n")
    would = imported(database, ProductFile(file), dry_run=True, clear_empty=True)
    a, c, b = would.first_products
    assert a.values() == {
        **{"sku": "a", "price": "10", "category": "Home", "images": ["1.png", "2.png"]}
    }
    assert c.values() == {"sku": "c", "title": "New", "price": "1"}
    assert b.values() == {"sku": "b", "title": "Bowl", "options": {"Color": "blue"}}
    assert imported(database, ProductFile(file), clear_empty=True) == would
    assert {row[0]: (row[1], row[2], row[4]) for row in stored(database)} == {
        "a": ("", {}, Decimal(10)),
        "b": ("Bowl", {"Color": "blue"}, None),
        "c": ("New", {}, Decimal(1)),
        "d": ("", {}, Decimal(1)),
    }


def test_mapped_columns_are_used_in_any_format(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "products.csv"
    file.write_text('Artikel,"Name, kurz",Fotos\n1,Krug,a.jpg; b.jpg\n')
    mapped = {"sku": "Artikel", "title": "name, kurz", "images": "Fotos"}
    assert imported(database, ProductFile(file, mapped=mapped)).new == 1
    woo = ProductFile(EXPORTS / "woocommerce.csv", mapped={"price": "Sale price"})
    assert imported(database, woo).new == 3
    assert "Regular price" in woo.columns.unused
    found = {sku: (title, price) for sku, title, _, _, price, *_ in stored(database)}
    assert found["1"] == ("Krug", None)
    assert next(row[3] for row in stored(database) if row[0] == "1") == ["a.jpg", "b.jpg"]
    assert found["mug-1"] == ("Blue mug", Decimal("8.90"))
