"""Reads the product export of Magento 2 and Adobe Commerce.

A configurable product has a line that names its children, which are lines of their own. It stands
below them, so the file is read twice.
"""

from collections.abc import Iterator
from typing import NamedTuple

from shelfsight.catalog.imports.formats.format import Format, has_columns
from shelfsight.catalog.imports.formats.lists import comma_list, deepest
from shelfsight.catalog.imports.formats.variants import described_shortly, own_or_inherited
from shelfsight.catalog.imports.imported import Item, LeftOut, NotForSale
from shelfsight.catalog.imports.product_cells import read_product
from shelfsight.catalog.imports.rows import Row, Rows

_DISABLED = "2"


class _Child(NamedTuple):
    """What a configurable product says of a child: the product's line, and the child's options."""

    parent: Row
    options: dict[str, str]


def _products(rows: Rows) -> Iterator[Item]:
    children: dict[str, _Child] = {}
    for row in rows:
        if isinstance(row, Row) and _is_default(row):
            children |= _children(row)
    parents = {child.parent.text("sku") for child in children.values()}
    for row in rows:
        if not isinstance(row, Row):
            yield row
        elif _is_default(row) and row.text("sku") not in parents:
            yield from _product(row, children.get(row.text("sku")))


def _is_default(row: Row) -> bool:
    """Return whether this is the line for all stores; others translate it for one store view."""
    return not row.text("store")


def _children(row: Row) -> Iterator[tuple[str, _Child]]:
    """Yield the children in `sku=a,color=Black|sku=b,color=Red`, by SKU."""
    labels = _pairs(row.text("options.labels"))
    for child in row.text("options").split("|"):
        options = _pairs(child)
        sku = options.pop("sku", "")
        if sku:
            yield sku, _Child(row, {labels.get(code, code): text for code, text in options.items()})


def _pairs(text: str) -> dict[str, str]:
    """Return the pairs in `color=Black,size=55 cm`; a part without `=` goes on with a value."""
    pairs: dict[str, str] = {}
    name = ""
    for part in comma_list(text):
        key, equals, value = part.partition("=")
        if equals:
            name = key
            pairs[name] = value
        elif name:
            pairs[name] += f", {part}"
    return pairs


def _product(row: Row, child: _Child | None) -> Iterator[Item]:
    parent = child.parent if child else None
    if _DISABLED in {row.text("online"), parent.text("online") if parent is not None else ""}:
        yield LeftOut(line=row.line, reason=NotForSale.UNPUBLISHED)
        return
    cells = own_or_inherited(row, parent)
    if not cells.get("description"):
        cells |= described_shortly(row, parent)
    cells["sku"] = row.text("sku")
    shown = row if parent is None else parent  # a child has no page of its own
    if "link" in shown.cells:
        cells["link"] = shown.text("link")
    if child is not None:
        cells["product_key"] = child.parent.text("sku")
        cells["options"] = child.options
    if {"images", "images.more"} & row.cells.keys():
        cells["images"] = _images(row) or (_images(parent) if parent is not None else [])
    if "category" in cells:
        cells["category"] = deepest(comma_list(str(cells["category"])), "/", skipped=1)
    yield from read_product(row, cells)


def _images(row: Row) -> list[str]:
    return list(filter(None, [row.text("images"), *comma_list(row.text("images.more"))]))


FORMAT = Format(
    name="Magento 2 export",
    columns={
        **{"sku": "sku", "name": "title", "description": "description"},
        **{"short_description": "description.short", "price": "price", "categories": "category"},
        **{"barcode": "barcode", "gtin": "barcode", "ean": "barcode", "upc": "barcode"},
        **{"base_image": "images", "additional_images": "images.more"},
        **{"configurable_variations": "options", "configurable_variation_labels": "options.labels"},
        **{"store_view_code": "store", "product_online": "online", "url_key": "link"},
    },
    recognises=has_columns(
        {"sku", "attribute_set_code"},
        {"sku", "product_type", "base_image"},
        {"sku", "base_image", "additional_images"},
        {"sku", "configurable_variations"},
    ),
    products=_products,
)
