"""Reads Shopify's product export, in which all lines with the same Handle make up a product.

A line holds a variant or a picture. Only the first line of a Handle has the fields of the product.
A line that has only a Handle and an image adds a picture. Two headers are supported: that of the
export (`Handle`, `Variant SKU`) and that of the product template (`URL handle`, `SKU`).
"""

from collections.abc import Iterator, Sequence

from shelfsight.catalog.imports.formats.format import Format, has_columns
from shelfsight.catalog.imports.formats.variants import variant_sku, variant_title
from shelfsight.catalog.imports.imported import BadLine, Item, LeftOut, NotForSale
from shelfsight.catalog.imports.product_cells import read_product
from shelfsight.catalog.imports.rows import Row, Rows

DEFAULT_OPTION = "Default Title"
"""The value of the only option of a product that has no variants."""

_STATUS = {
    "draft": NotForSale.DRAFT,
    "unlisted": NotForSale.UNPUBLISHED,
    "archived": NotForSale.ARCHIVED,
}


def not_for_sale(status: str, published: str = "") -> NotForSale | None:
    """Return why a product of Shopify is not shown to customers; None if it is shown."""
    if published.casefold() == "false":
        return _STATUS.get(status.casefold(), NotForSale.UNPUBLISHED)
    return _STATUS.get(status.casefold())


def _products(rows: Rows) -> Iterator[Item]:
    """Yield a product for each variant. Only the lines of one Handle at a time are in memory."""
    group: list[Row] = []
    for row in rows:
        if not isinstance(row, Row):
            yield row
        elif not row.text("product_key"):
            yield BadLine(line=row.line, reason="has no Handle")
        else:
            if group and group[0].text("product_key") != row.text("product_key"):
                yield from _variants(group)
                group = []
            group.append(row)
    if group:
        yield from _variants(group)


def _variants(group: Sequence[Row]) -> Iterator[Item]:
    product = group[0]
    pictures = _pictures(group)
    reason = not_for_sale(product.text("status"), product.text("published"))
    for row in group:
        if not product.text("title"):
            handle = row.text("product_key")
            why = f"continues {handle!r}, whose line with a Title is not above it"
            yield BadLine(line=row.line, reason=why)
        elif row is product or _is_variant(row):
            if reason is not None:
                yield LeftOut(line=row.line, reason=reason)
            else:
                yield from read_product(row, _cells(row, product, pictures))


def _is_variant(row: Row) -> bool:
    return any(row.text(name) for name in ("sku", "price", "options.value.1"))


def _cells(row: Row, product: Row, pictures: list[str]) -> dict[str, object]:
    handle, options = product.text("product_key"), _options(row, product)
    cells: dict[str, object] = {
        # Spreadsheets put an apostrophe first to keep leading zeros; the SKU has none.
        "sku": row.text("sku").removeprefix("'") or variant_sku(handle, options),
        "product_key": handle,
        "link": handle,
        "title": variant_title(product.text("title"), options),
    }
    # A column that the file lacks gives no cell, not an empty one.
    cells |= {
        name: product.cells[name] for name in ("description", "owner") if name in product.cells
    }
    if "price" in row.cells:
        cells["price"] = row.text("price")
    if "barcode" in row.cells:
        cells["barcode"] = row.text("barcode").removeprefix("'")
    if "options.value.1" in row.cells:
        cells["options"] = options
    if {"images", "images.variant"} & row.cells.keys():
        cells["images"] = [row.text("images.variant"), *pictures]
    if {"category", "category.type"} & product.cells.keys():
        cells["category"] = product.text("category") or product.text("category.type")
    return cells


def _options(row: Row, product: Row) -> dict[str, str]:
    """Return the values of a variant's options, by option name.

    Only the first line of a product has the names.
    """
    values = row.numbered("options.value")
    options = {
        product.text(f"options.name.{number}") or f"Option {number}": value
        for number, value in values
    }
    return {name: value for name, value in options.items() if value not in {"", DEFAULT_OPTION}}


def _pictures(group: Sequence[Row]) -> list[str]:
    """Return the product's pictures in the order of Image Position.

    Pictures without a position come last.
    """
    found = [
        (row.place("images.position"), place, row.text("images")) for place, row in enumerate(group)
    ]
    return [address for _, _, address in sorted(found) if address]


FORMAT = Format(
    name="Shopify export",
    columns={
        **{"Handle": "product_key", "URL handle": "product_key", "Title": "title"},
        **{"Body (HTML)": "description", "Description": "description"},
        **{"Variant SKU": "sku", "SKU": "sku", "Variant Price": "price", "Price": "price"},
        **{"Variant Barcode": "barcode", "Barcode": "barcode"},
        **{"Product Category": "category", "Type": "category.type"},
        **{"Option# Name": "options.name.#", "Option# Value": "options.value.#"},
        **{"Image Src": "images", "Product image URL": "images"},
        "Image Position": "images.position",
        **{"Variant Image": "images.variant", "Variant image URL": "images.variant"},
        **{"Status": "status", "Published": "published"},
        "Published on online store": "published",
    },
    recognises=has_columns(
        {"Handle", "Title", "Image Src"},
        {"Handle", "Title", "Option1 Value"},
        {"Handle", "Title", "Variant SKU"},
        {"URL handle", "Title", "Product image URL"},
        {"URL handle", "Title", "Option1 value"},
        {"URL handle", "Title", "SKU"},
    ),
    products=_products,
)
