"""Reads BigCommerce's older product export, in which the SKUs of variants follow their product.

The pictures of a product are numbered columns of its line. Lines of rules change prices in the shop
and are not used.
"""

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

_INHERITED = ("description", "price", "barcode", "category", "owner", "link")


def _products(rows: Rows) -> Iterator[Item]:
    group: list[Row] = []
    for row in rows:
        if not isinstance(row, Row):
            yield row
            continue
        kind = row.text("type").casefold()
        if kind == "product":
            yield from _variants(group)
            group = [row]
        elif kind == "sku":
            if group:
                group.append(row)
            else:
                yield BadLine(line=row.line, reason="follows no line of a Product")
    yield from _variants(group)


def _variants(group: Sequence[Row]) -> Iterator[Item]:
    for row in group[1:] or group:
        if group[0].text("visible").casefold() in {"n", "no", "false"}:
            yield LeftOut(line=row.line, reason=NotForSale.UNPUBLISHED)
        else:
            yield from read_product(row, _cells(row, group[0]))


def _cells(row: Row, product: Row) -> dict[str, object]:
    options = _options(row.text("title")) if row is not product else {}
    key = product.text("sku") or product.text("sku.id")
    cells = own_or_inherited(row, product, _INHERITED)
    cells["product_key"] = key
    cells["sku"] = row.text("sku") or variant_sku(key, options)
    cells["title"] = variant_title(product.text("title"), options)
    if row is not product:
        cells["options"] = options
    pictures = [address for _, address in product.numbered("images")]
    if pictures:
        cells["images"] = [address for _, address in row.numbered("images") if address] or pictures
    if "category" in cells:
        categories = comma_list(str(cells["category"]), separator=";")
        cells["category"] = deepest(categories, "/")
    return cells


def _options(name: str) -> dict[str, str]:
    """Return the options in the name of a SKU: `[S]Size=Small,[CS]Colour=Red:#FF0000`."""
    options: dict[str, str] = {}
    for part in comma_list(name):
        key, _, value = re.sub(r"^\[[A-Z]+\]", "", part).partition("=")
        options[key.strip()] = value.partition(":#")[0].strip()
    return {key: value for key, value in options.items() if key and value}


FORMAT = Format(
    name="BigCommerce legacy export",
    columns={
        **{"Item Type": "type", "Product ID": "sku.id", "Product Code/SKU": "sku"},
        **{"Product Name": "title", "Product Description": "description", "Price": "price"},
        **{"Product UPC/EAN": "barcode", "Category": "category"},
        **{"Product Image File - #": "images.#", "Product Image URL - #": "images.#"},
        **{"Product Visible?": "visible", "Product URL": "link"},
    },
    recognises=has_columns({"Item Type", "Product Name", "Product Code/SKU"}),
    products=_products,
)
