"""Reads Square's item library export, in which each line is a variation of an item.

Square exports no pictures. They can be added in a column `images`.
"""

from collections.abc import Iterator

from shelfsight.catalog.imports.formats.format import Format, has_columns
from shelfsight.catalog.imports.formats.lists import comma_list, deepest
from shelfsight.catalog.imports.imported import BadLine, Item, LeftOut, NotForSale
from shelfsight.catalog.imports.product_cells import read_product
from shelfsight.catalog.imports.rows import Row, Rows

_ONLY_VARIATION = "regular"
"""What Square calls the variation of an item that has no others."""

_SIMPLE = ("description", "price", "barcode", "image", "images", "owner")


def _products(rows: Rows) -> Iterator[Item]:
    for row in rows:
        if not isinstance(row, Row):
            yield row
        elif not row.text("title"):
            yield BadLine(line=row.line, reason="has no Item Name")
        elif row.text("archived").casefold() in {"y", "yes", "true"}:
            yield LeftOut(line=row.line, reason=NotForSale.ARCHIVED)
        else:
            yield from read_product(row, _cells(row))


def _cells(row: Row) -> dict[str, object]:
    item, variation = row.text("title"), row.text("title.variation")
    if variation.casefold() == _ONLY_VARIATION:
        variation = ""
    cells: dict[str, object] = {name: row.cells[name] for name in _SIMPLE if name in row.cells}
    cells["sku"] = row.text("sku") or ":".join(
        filter(None, (row.text("sku.token") or item, variation))
    )
    cells["product_key"] = item
    cells["title"] = f"{item} - {variation}" if variation else item
    names = row.numbered("options.name")
    if names:
        options = {name: row.text(f"options.value.{number}") for number, name in names}
        cells["options"] = {name: value for name, value in options.items() if name and value}
    elif variation:
        cells["options"] = {"Variation": variation}
    if "category" in row.cells:
        cells["category"] = deepest(comma_list(row.text("category")), ">")
    return cells


FORMAT = Format(
    name="Square export",
    columns={
        **{"Token": "sku.token", "SKU": "sku", "Item Name": "title"},
        **{"Variation Name": "title.variation", "Description": "description"},
        **{"Categories": "category", "Category": "category", "Price": "price", "GTIN": "barcode"},
        **{"Option Name #": "options.name.#", "Option Value #": "options.value.#"},
        **{"Archived": "archived", "image": "image", "images": "images"},
    },
    recognises=has_columns({"Item Name", "Variation Name"}),
    products=_products,
)
