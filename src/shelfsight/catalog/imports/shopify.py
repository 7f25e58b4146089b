"""Reads Shopify's product export, in which all lines with the same Handle make up a product.

A line holds a variant or a picture. Only the first line of a Handle has the fields of the product.
A line that has only a Handle and an image adds a picture. Two headers are supported: that of the
export (`Handle`, `Variant SKU`) and that of the product template (`URL handle`, `SKU`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, takewhile

from shelfsight.catalog.imports.imported import (
    BadFieldError,
    BadLine,
    ImportedProduct,
    product_from,
    text_of,
)

Line = tuple[int, Mapping[str, str]]
"""The number of a line, and the line's fields by column name in lower case."""

_COLUMNS = {
    "url handle": "handle",
    "body (html)": "description",
    "variant sku": "sku",
    "variant price": "price",
    "variant barcode": "barcode",
    "image src": "image",
    "product image url": "image",
    "variant image": "variant image",
    "variant image url": "variant image",
    "product category": "category",
}


def is_shopify(columns: Iterable[str]) -> bool:
    """Return whether this is the header of a Shopify file."""
    names = {_COLUMNS.get(column.lower(), column.lower()) for column in columns}
    return {"handle", "title"} <= names and bool({"image", "option1 value"} & names)


def products(lines: Iterable[Line | BadLine]) -> Iterator[ImportedProduct | BadLine]:
    """Yield a product for each variant. Only the lines of one Handle at a time are in memory."""
    group: list[Line] = []
    for line in lines:
        read = line if isinstance(line, BadLine) else _read(*line)
        if isinstance(read, BadLine):
            yield read
            continue
        if group and group[0][1]["handle"] != read[1]["handle"]:
            yield from _variants(group)
            group = []
        group.append(read)
    if group:
        yield from _variants(group)


def _read(number: int, fields: Mapping[str, str]) -> Line | BadLine:
    """Return the line with its fields named as our columns, and without surrounding blanks."""
    try:
        texts = {_COLUMNS.get(name, name): text_of(fields, name) for name in fields}
    except BadFieldError as error:
        return BadLine(line=number, reason=str(error))
    if not texts["handle"]:
        return BadLine(line=number, reason="has no Handle")
    return number, texts


def _variants(group: Sequence[Line]) -> Iterator[ImportedProduct | BadLine]:
    first, product = group[0]
    pictures = _pictures(group)
    for number, fields in group:
        if not product["title"]:
            reason = f"continues {fields['handle']!r}, whose line with a Title is not above it"
            yield BadLine(line=number, reason=reason)
        elif number == first or _is_variant(fields):
            yield _variant(number, fields, product, pictures)


def _is_variant(fields: Mapping[str, str]) -> bool:
    return any(fields.get(name) for name in ("sku", "price", "option1 value"))


def _variant(
    number: int, fields: Mapping[str, str], product: Mapping[str, str], pictures: list[str]
) -> ImportedProduct | BadLine:
    handle, title = product["handle"], product["title"]
    options = _options(fields, product)
    variant = " / ".join(options.values())
    cells: dict[str, object] = {
        # Spreadsheets put an apostrophe first to keep leading zeros; the SKU has none.
        "sku": fields.get("sku", "").removeprefix("'")
        or (f"{handle}:{variant}" if variant else handle),
        "product_key": handle,
        "title": f"{title} - {variant}" if variant else title,
    }
    # A column that the file lacks gives no cell, not an empty one.
    if "description" in product:
        cells["description"] = product["description"]
    if "price" in fields:
        cells["price"] = fields["price"]
    if "barcode" in fields:
        cells["barcode"] = fields["barcode"].removeprefix("'")
    if "option1 value" in fields:
        cells["options"] = options
    if "image" in fields or "variant image" in fields:
        cells["images"] = [fields.get("variant image"), *pictures]
    if "category" in product or "type" in product:
        cells["category"] = product.get("category") or product.get("type")
    return product_from(number, cells)


def _options(fields: Mapping[str, str], product: Mapping[str, str]) -> dict[str, str]:
    """Return the values of a variant's options, by option name.

    Only the first line of a product has the names.
    """
    numbers = takewhile(lambda n: f"option{n} value" in fields, count(1))
    options = {
        product.get(f"option{n} name") or f"Option {n}": fields[f"option{n} value"] for n in numbers
    }
    return {name: value for name, value in options.items() if value and value != "Default Title"}


def _pictures(group: Sequence[Line]) -> list[str]:
    """Return the product's pictures in the order of Image Position.

    Pictures without a position come last.
    """
    found = [
        (_position(fields), place, fields.get("image", ""))
        for place, (_, fields) in enumerate(group)
    ]
    return [address for _, _, address in sorted(found) if address]


def _position(fields: Mapping[str, str]) -> float:
    position = fields.get("image position", "")
    return int(position) if re.fullmatch("[0-9]{1,9}", position) else float("inf")
