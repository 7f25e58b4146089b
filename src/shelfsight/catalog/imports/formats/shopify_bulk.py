"""Reads the JSON lines of Shopify's bulk operations (GraphQL Admin API).

Products, variants and pictures each have a line, and `__parentId` names the product of the others.
The lines of a product need not follow each other, so the file is read twice: for the products with
their pictures, and then for the variants.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shelfsight.catalog.imports.formats.format import Format
from shelfsight.catalog.imports.formats.shopify import DEFAULT_OPTION, not_for_sale
from shelfsight.catalog.imports.formats.variants import (
    own_or_inherited,
    variant_sku,
    variant_title,
)
from shelfsight.catalog.imports.imported import Item, LeftOut
from shelfsight.catalog.imports.product_cells import read_product
from shelfsight.catalog.imports.rows import Row, Rows

_PRODUCT, _VARIANT = "gid://shopify/Product/", "gid://shopify/ProductVariant/"
_ADDRESS = ("images.url", "images.src", "images.original")


@dataclass(slots=True)
class _Products:
    """The products of a file by their id, with their pictures, and those that have variants."""

    rows: dict[str, Row] = field(default_factory=dict)
    pictures: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    with_variants: set[str] = field(default_factory=set)


def _products(rows: Rows) -> Iterator[Item]:
    products = _read_products(rows)
    for row in rows:
        if not isinstance(row, Row):
            yield row
            continue
        id_ = row.text("sku.id")
        if id_.startswith(_VARIANT):
            parent = row.text("product_key.parent")
        elif id_.startswith(_PRODUCT) and id_ not in products.with_variants:
            parent = id_
        else:
            continue
        yield from _variant(row, products.rows.get(parent, row), products.pictures[parent])


def _read_products(rows: Rows) -> _Products:
    found = _Products()
    for row in rows:
        if not isinstance(row, Row):
            continue
        id_, parent = row.text("sku.id"), row.text("product_key.parent")
        if id_.startswith(_PRODUCT):
            found.rows[id_] = row
            found.pictures[id_][:0] = _addresses(row)
        elif id_.startswith(_VARIANT):
            found.with_variants.add(parent)
        elif parent:
            found.pictures[parent] += _addresses(row)
    return found


def _variant(row: Row, product: Row, pictures: list[str]) -> Iterator[Item]:
    reason = not_for_sale(product.text("status"))
    if reason is not None:
        yield LeftOut(line=row.line, reason=reason)
        return
    options = _options(row)
    key = product.text("product_key") or _number(product.text("sku.id"))
    cells = own_or_inherited(row, product, ("description", "price", "barcode", "owner"))
    cells["sku"] = row.text("sku") or variant_sku(key, options)
    cells["product_key"] = key
    if {"link", "product_key"} & product.cells.keys():
        cells["link"] = product.text("link") or product.text("product_key")
    if "title" in product.cells:
        cells["title"] = variant_title(product.text("title"), options)
    if "options" in row.cells:
        cells["options"] = options
    category = _category(product)
    if category is not None:
        cells["category"] = category
    own = [] if row is product else _addresses(row)
    if own or pictures:
        cells["images"] = [*own, *pictures]
    yield from read_product(row, cells)


def _options(row: Row) -> dict[str, str]:
    given = row.cells.get("options")
    pairs = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    options = {str(pair.get("name") or ""): str(pair.get("value") or "") for pair in pairs}
    return {name: value for name, value in options.items() if value not in {"", DEFAULT_OPTION}}


def _category(product: Row) -> str | None:
    """Return the category, else the type; None if the file has neither."""
    if not {"category", "category.type"} & product.cells.keys():
        return None
    category = product.cells.get("category")
    if isinstance(category, Mapping):
        category = category.get("fullName") or category.get("name")
    return str(category or "") or product.text("category.type")


def _addresses(row: Row) -> list[str]:
    """Return the picture of a product, a variant or a picture's own line."""
    found = [row.text(name) for name in _ADDRESS]
    found += [_address(row.cells.get(name)) for name in ("images", "images.preview")]
    return list(dict.fromkeys(filter(None, found)))[:1]


def _address(value: object) -> str:
    """Return the address in `{"url": ...}`, also where it is the `image` of another object."""
    if not isinstance(value, Mapping):
        return ""
    for name in ("url", "src", "originalSrc"):
        if isinstance(value.get(name), str):
            return str(value[name])
    return _address(value.get("image"))


def _number(id_: str) -> str:
    return id_.rpartition("/")[2]


def _recognises(first: Mapping[str, object]) -> bool:
    return str(first.get("id", "")).startswith("gid://shopify/")


FORMAT = Format(
    name="Shopify bulk operation",
    columns={
        **{"id": "sku.id", "__parentId": "product_key.parent", "handle": "product_key"},
        **{"title": "title", "descriptionHtml": "description", "bodyHtml": "description"},
        **{"description": "description", "sku": "sku", "price": "price", "barcode": "barcode"},
        **{"selectedOptions": "options", "category": "category", "productType": "category.type"},
        **{"image": "images", "featuredImage": "images", "preview": "images.preview"},
        **{"url": "images.url", "src": "images.src", "originalSrc": "images.original"},
        **{"status": "status", "onlineStoreUrl": "link"},
    },
    recognises=_recognises,
    products=_products,
)
