"""Reads product feeds for Google Merchant Center and for the catalogues of Meta (Facebook).

They have the same fields, as tables or as XML. The id of an offer is its SKU, and offers with the
same item group are variants of one product.
"""

from collections.abc import Iterator, Mapping

from shelfsight.catalog.imports.formats.format import Format, has_columns
from shelfsight.catalog.imports.formats.lists import comma_list
from shelfsight.catalog.imports.imported import Item, LeftOut, NotForSale
from shelfsight.catalog.imports.product_cells import read_product
from shelfsight.catalog.imports.rows import Row, Rows

_OPTIONS = ("color", "size", "material", "pattern")
_SIMPLE = (*("sku", "product_key", "title", "description", "price", "barcode", "owner", "link"),)
_STATUS = {
    "archived": NotForSale.ARCHIVED,
    "hidden": NotForSale.UNPUBLISHED,
    "staging": NotForSale.UNPUBLISHED,
}
_IMAGES = ("image", "images")
_CATEGORIES = ("category", "category.google", "category.facebook")


def _products(rows: Rows) -> Iterator[Item]:
    for row in rows:
        if not isinstance(row, Row):
            yield row
            continue
        words = (_first(row, name).casefold() for name in ("status", "visibility"))
        reason = next((_STATUS[word] for word in words if word in _STATUS), None)
        if reason is not None:
            yield LeftOut(line=row.line, reason=reason)
        else:
            yield from read_product(row, _cells(row))


def _cells(row: Row) -> dict[str, object]:
    cells: dict[str, object] = {name: _first(row, name) for name in _SIMPLE if name in row.cells}
    options = {n: _first(row, f"options.{n}") for n in _OPTIONS if f"options.{n}" in row.cells}
    if options:
        cells["options"] = options
    numbered = [address for _, address in row.numbered("images")]
    if numbered or any(name in row.cells for name in _IMAGES):
        cells["images"] = [*_addresses(row, "image"), *_addresses(row, "images"), *numbered]
    if any(name in row.cells for name in _CATEGORIES):
        # Google's own category may be a number of its taxonomy, which says nothing to people.
        names = [_first(row, name) for name in _CATEGORIES]
        cells["category"] = next((name for name in names if name and not name.isdecimal()), "")
    return cells


def _first(row: Row, name: str) -> str:
    """Return a text; of an element that is there several times the first."""
    return next(iter(_all(row, name)), "")


def _all(row: Row, name: str) -> list[str]:
    value = row.cells.get(name)
    texts = value if isinstance(value, list) else [value]
    return [text.strip() for text in texts if isinstance(text, str) and text.strip()]


def _addresses(row: Row, name: str) -> list[str]:
    return [address for text in _all(row, name) for address in comma_list(text)]


_has_columns = has_columns(
    *({"id", "title", column} for column in ("image link", "link", "availability", "condition")),
    {"id", "title", "image[0].url"},
)


def _recognises(columns: Mapping[str, object]) -> bool:
    return _has_columns(columns) and not has_columns({"sku"})(columns)


FORMAT = Format(
    name="Google Merchant or Facebook feed",
    columns={
        **{"id": "sku", "item group id": "product_key", "title": "title"},
        **{"description": "description", "rich text description": "description"},
        **{"price": "price", "gtin": "barcode"},
        **{"image link": "image", "additional image link": "images", "image[#].url": "images.#"},
        **{"product type": "category", "google product category": "category.google"},
        "fb product category": "category.facebook",
        **{name: f"options.{name}" for name in _OPTIONS},
        **{"link": "link", "status": "status", "visibility": "visibility"},
    },
    recognises=_recognises,
    products=_products,
)
