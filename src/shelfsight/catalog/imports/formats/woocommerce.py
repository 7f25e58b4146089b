"""Reads WooCommerce's product export, in which each variation is a line that names its Parent.

The line of a variable product may stand anywhere, so the file is read twice: for the variable
products, and then for their variations and all others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from shelfsight.catalog.imports.formats.format import Format, has_columns
from shelfsight.catalog.imports.formats.lists import comma_list, deepest
from shelfsight.catalog.imports.formats.variants import (
    described_shortly,
    own_or_inherited,
    variant_sku,
    variant_title,
)
from shelfsight.catalog.imports.imported import Item, LeftOut, NotForSale
from shelfsight.catalog.imports.product_cells import read_product
from shelfsight.catalog.imports.rows import Row, Rows

_PUBLISHED = {"-1": NotForSale.DRAFT, "0": NotForSale.UNPUBLISHED}


@dataclass(slots=True)
class _Parents:
    """The variable products by their key, and the keys that a variation names."""

    rows: dict[str, Row] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)


def _products(rows: Rows) -> Iterator[Item]:
    parents = _Parents()
    for row in rows:
        if isinstance(row, Row):
            if "variable" in _types(row):
                parents.rows |= dict.fromkeys(filter(None, (row.text("sku"), _id(row))), row)
            parents.named.add(row.text("product_key"))
    for row in rows:
        if not isinstance(row, Row):
            yield row
        elif not _is_only_a_parent(row, parents):
            yield from _product(row, parents.rows.get(row.text("product_key")))


def _is_only_a_parent(row: Row, parents: _Parents) -> bool:
    """Return whether this is a variable product whose variations are in the file."""
    keys = {row.text("sku"), _id(row)} - {""}
    return "variable" in _types(row) and bool(keys & parents.named)


def _product(row: Row, parent: Row | None) -> Iterator[Item]:
    of_parent = parent.text("published") if parent is not None else ""
    reason = _PUBLISHED.get(row.text("published")) or _PUBLISHED.get(of_parent)
    if reason is not None:
        yield LeftOut(line=row.line, reason=reason)
        return
    key = row.text("product_key")
    if parent is not None:
        key = parent.text("sku") or _id(parent)
    yield from read_product(row, _cells(row, parent, key))


def _cells(row: Row, parent: Row | None, key: str) -> dict[str, object]:
    cells = own_or_inherited(row, parent)
    if not cells.get("description"):
        cells |= described_shortly(row, parent)
    options = _options(row)
    if parent is not None and not row.text("title") and "title" in cells:
        cells["title"] = variant_title(parent.text("title"), options)
    if key:
        cells["product_key"] = key
    cells["sku"] = _sku(row, key, options)
    if "options.name.1" in row.cells:
        cells["options"] = options
    images = own_or_inherited(row, parent, ["images"])
    if images:
        cells["images"] = comma_list(str(images["images"]))
    if "category" in cells:
        cells["category"] = deepest(comma_list(str(cells["category"])), ">")
    return cells


def _sku(row: Row, key: str, options: dict[str, str]) -> str:
    """Return the SKU of a line; one made of its id or options if it has none of its own.

    A variation without a SKU may have that of its product.
    """
    sku = row.text("sku")
    return sku if sku and sku != key else _id(row) or variant_sku(key, options)


def _options(row: Row) -> dict[str, str]:
    options = {
        name: ", ".join(comma_list(row.text(f"options.value.{number}")))
        for number, name in row.numbered("options.name")
    }
    return {name: value for name, value in options.items() if name and value}


def _types(row: Row) -> list[str]:
    return comma_list(row.text("type").casefold())


def _id(row: Row) -> str:
    number = row.text("sku.id")
    return f"id:{number}" if number else ""


FORMAT = Format(
    name="WooCommerce export",
    columns={
        **{"ID": "sku.id", "SKU": "sku", "Type": "type", "Parent": "product_key"},
        **{"Name": "title", "Description": "description"},
        **{"Short description": "description.short", "Regular price": "price"},
        **{"GTIN, UPC, EAN, or ISBN": "barcode", "Categories": "category", "Images": "images"},
        **{"Attribute # name": "options.name.#", "Attribute # value(s)": "options.value.#"},
        "Published": "published",
    },
    recognises=has_columns(
        {"Type", "Name", "Regular price"},
        {"Type", "Name", "Published", "Parent"},
        {"Name", "Visibility in catalog"},
        {"Name", "Attribute 1 value(s)"},
        {"Name", "Images", "Categories", "Regular price"},
    ),
    products=_products,
)
