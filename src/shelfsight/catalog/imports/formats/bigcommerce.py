"""Reads BigCommerce's product export, in which variants and pictures follow their product."""

import re
from collections.abc import Iterator, Sequence

from shelfsight.catalog.imports.formats.format import Format, has_columns
from shelfsight.catalog.imports.formats.lists import comma_list, deepest
from shelfsight.catalog.imports.formats.variants import (
    own_or_inherited,
    variant_sku,
    variant_title,
)
from shelfsight.catalog.imports.imported import BadLine, Item, LeftOut, NotForSale
from shelfsight.catalog.imports.product_cells import read_product
from shelfsight.catalog.imports.rows import Row, Rows


def _products(rows: Rows) -> Iterator[Item]:
    group: list[Row] = []
    for row in rows:
        if not isinstance(row, Row):
            yield row
            continue
        if _kind(row) == "product":
            yield from _variants(group)
            group = []
        elif not group:
            yield BadLine(line=row.line, reason="follows no line of a Product")
            continue
        group.append(row)
    yield from _variants(group)


def _kind(row: Row) -> str:
    return row.text("type").casefold()


def _variants(group: Sequence[Row]) -> Iterator[Item]:
    if not group:
        return
    product = group[0]
    variants = [row for row in group if _kind(row) == "variant"]
    pictures = _pictures(group)
    for row in variants or [product]:
        if product.text("visible").casefold() == "false":
            yield LeftOut(line=row.line, reason=NotForSale.UNPUBLISHED)
        else:
            yield from read_product(row, _cells(row, product, pictures))


def _cells(row: Row, product: Row, pictures: list[str]) -> dict[str, object]:
    options = _options(row.text("options")) if row is not product else {}
    key = product.text("sku") or product.text("sku.id")
    cells = own_or_inherited(row, product)
    cells["product_key"] = key
    cells["sku"] = row.text("sku") or variant_sku(key, options)
    if "title" in product.cells:
        cells["title"] = variant_title(product.text("title"), options)
    if "options" in row.cells:
        cells["options"] = options
    if {"images", "images.imported", "images.variant"} & row.cells.keys():
        cells["images"] = [row.text("images.variant"), *pictures]
    if "category" in cells:
        categories = comma_list(str(cells["category"]), separator=";")
        cells["category"] = deepest(categories, "/")
    return cells


def _pictures(group: Sequence[Row]) -> list[str]:
    """Return the product's pictures in the order of Image Sort Order."""
    found = [
        (row.place("images.order"), place, row.text("images") or row.text("images.imported"))
        for place, row in enumerate(group)
        if _kind(row) == "image"
    ]
    return [address for _, _, address in sorted(found) if address]


def _options(text: str) -> dict[str, str]:
    """Return the options in `Type=Swatch|Name=Colour|Value=Red[#FF0000]Type=Rectangle|...`."""
    options: dict[str, str] = {}
    for option in text.split("Type="):
        parts = dict(part.partition("=")[::2] for part in option.split("|"))
        name = parts.get("Name", "").strip()
        if name:
            options[name] = re.sub(r"\[#[^]]*\]$", "", parts.get("Value", "").strip())
    return options


FORMAT = Format(
    name="BigCommerce export",
    columns={
        **{"Item": "type", "ID": "sku.id", "SKU": "sku", "Name": "title"},
        **{"Description": "description", "Price": "price", "Options": "options"},
        **{"UPC/EAN": "barcode", "UPC": "barcode", "Global Trade Number": "barcode"},
        **{"Categories": "category", "Variant Image URL": "images.variant"},
        **{"Internal Image URL (Export)": "images", "Image URL (Import)": "images.imported"},
        **{"Image Sort Order": "images.order", "Is Visible": "visible"},
        **{"Product URL": "link"},
    },
    recognises=has_columns({"Item", "Name", "SKU", "Options"}, {"Item", "Name", "Is Visible"}),
    products=_products,
)
