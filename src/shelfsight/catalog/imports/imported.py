"""Turns the fields of a line of an import file into a product, or into an error with the reason."""

import json
import re
from collections.abc import Mapping, Sized
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum


class Column(StrEnum):
    """A value of a stored product that an import may change. SKU and owner only find the product.

    The text is the name of the column in files and messages.
    """

    PRODUCT_KEY = "product_key"
    TITLE = "title"
    DESCRIPTION = "description"
    PRICE = "price"
    BARCODE = "barcode"
    OPTIONS = "options"
    CATEGORY = "category"
    IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedProduct:
    """A product variant that was read from a file. Variants of a product share their `product_key`.

    An empty value means that the file does not give this value. `empty` are the columns that the
    file has, but with an empty cell for this product. In `options`, an option with an empty cell
    has the value "".

    `title` and `description` are unchanged and may contain HTML. `line` is the number of the
    variant's first line in the file, counted from 1.
    """

    line: int
    sku: str
    product_key: str = ""
    title: str = ""
    description: str = ""
    price: Decimal | None = None
    barcode: str | None = None
    options: dict[str, str]
    image_urls: tuple[str, ...] = ()
    owner_id: str | None = None
    category: str | None = None
    empty: frozenset[Column] = frozenset()

    def value(self, column: Column) -> object:
        """Return the value of a column; an empty one if the file does not give it."""
        return self.image_urls if column is Column.IMAGES else getattr(self, column.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that cannot be imported: its number in the file, counted from 1, and the reason."""

    line: int
    reason: str


class BadFieldError(Exception):
    """A field cannot be read. The message of this error becomes the reason of a `BadLine`."""


def product_from(line: int, fields: Mapping[str, object]) -> ImportedProduct | BadLine:
    """Make a product from its fields, whose values are text or any JSON value.

    The fields are sku, product_key, title, description, price, barcode, options, image, images,
    owner and category. All except sku may be missing or empty.
    """
    try:
        sku = text_of(fields, "sku")
        if not sku:
            return BadLine(line=line, reason="has no sku")
        addresses = (*_addresses(fields, "image"), *_addresses(fields, "images"))
        product = ImportedProduct(
            line=line,
            sku=sku,
            product_key=text_of(fields, "product_key"),
            title=text_of(fields, "title"),
            description=text_of(fields, "description"),
            price=_price(text_of(fields, "price")),
            barcode=text_of(fields, "barcode") or None,
            options=_options(fields.get("options")),
            image_urls=tuple(dict.fromkeys(addresses)),
            owner_id=text_of(fields, "owner") or None,
            category=text_of(fields, "category") or None,
        )
    except BadFieldError as error:
        return BadLine(line=line, reason=str(error))
    return replace(product, empty=_empty_columns(product, fields))


def is_empty(value: object) -> bool:
    """Return whether a value of a product is missing or empty. A price of 0 is not."""
    return value is None or (isinstance(value, Sized) and len(value) == 0)


def _empty_columns(product: ImportedProduct, fields: Mapping[str, object]) -> frozenset[Column]:
    given = {Column.IMAGES if name == "image" else name for name in fields}
    return frozenset(
        column for column in Column if column in given and is_empty(product.value(column))
    )


def text_of(fields: Mapping[str, object], name: str) -> str:
    """Return a field as text without surrounding blanks; "" if it is missing.

    Raises:
        BadFieldError: the field is not text, or contains a character that no database stores.
    """
    return _text(name, fields.get(name))


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise BadFieldError(f"{name} is {_KINDS.get(type(value), 'no text')}, not text")
    if broken := _BROKEN.search(value):
        raise BadFieldError(f"{name} holds {_described(broken[0])}")
    return value.strip()


def _price(text: str) -> Decimal | None:
    if not text:
        return None
    if not _PRICE.fullmatch(text):
        raise BadFieldError(f"price {_shortened(text)} is not a plain number such as 1299.50")
    return Decimal(text)


def _options(value: object) -> dict[str, str]:
    if isinstance(value, str):  # a cell of a table
        value = value.strip() or None
    if value is None:
        return {}
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value, parse_float=Decimal)
    if not isinstance(value, dict):
        raise BadFieldError('options is not an object such as {"Colour": "red"}')
    texts = {_text("options", key): _text(f"option {key}", value[key]) for key in value}
    return {key: text for key, text in texts.items() if key}


def _addresses(fields: Mapping[str, object], name: str) -> list[str]:
    """Return the picture addresses in a field.

    Text is split at | and at blanks. The items of a list are returned unchanged.
    """
    value = fields.get(name)
    texts = (
        [_text(name, item) for item in value]
        if isinstance(value, list)
        else re.split(r"[|\s]+", _text(name, value))
    )
    return [text for text in texts if text]


def _described(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # not UTF-8; decoded by errors="surrogateescape"
        return f"the byte 0x{code - 0xDC00:02X}, which is not UTF-8: save the file as UTF-8"
    return f"the character U+{code:04X}, which no database takes"


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


_BROKEN = re.compile("[\x00\ud800-\udfff]")
_PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_KINDS = {bool: "true or false", list: "a list", dict: "an object", float: "no finite number"}
