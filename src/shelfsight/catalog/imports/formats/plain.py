"""Reads files with our own names of columns, in which each row is a product with a SKU."""

from collections.abc import Iterator

from shelfsight.catalog.imports.formats.format import Format, has_columns
from shelfsight.catalog.imports.imported import Item
from shelfsight.catalog.imports.product_cells import addresses_in, read_product
from shelfsight.catalog.imports.rows import Row, Rows

_OPTIONS = ("Colour", "Color", "Size", "Material", "Pattern")


def _products(rows: Rows) -> Iterator[Item]:
    for row in rows:
        if isinstance(row, Row):
            yield from read_product(row, _cells(row))
        else:
            yield row


def _cells(row: Row) -> dict[str, object]:
    cells = dict(row.cells)
    if "handle" in cells:
        handle = cells.pop("handle")
        cells = {"product_key": handle, "link": handle, **cells}
    numbered = [address for _, address in row.numbered("images")]
    if numbered:
        cells["images"] = [*addresses_in(row.text("images")), *numbered]
    options = {name: row.text(f"options.{name}") for name in _OPTIONS if f"options.{name}" in cells}
    if options and not cells.get("options"):
        cells["options"] = options
    return cells


FORMAT = Format(
    name="plain",
    columns={
        **{"sku": "sku", "product key": "product_key", "parent": "product_key"},
        **{"parent sku": "product_key", "handle": "handle"},
        **{"title": "title", "name": "title", "description": "description", "price": "price"},
        **{"barcode": "barcode", "gtin": "barcode", "ean": "barcode", "upc": "barcode"},
        **{"options": "options", "category": "category", "link": "link", "product url": "link"},
        **{"product link": "link", "permalink": "link", "url": "link"},
        **{name: f"options.{name}" for name in _OPTIONS},
        **{"image": "image", "image url": "image", "images": "images", "image urls": "images"},
        **{"image #": "images.#", "image url #": "images.#", "image#": "images.#"},
    },
    recognises=has_columns({"sku"}),
    products=_products,
)
