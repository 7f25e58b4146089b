"""Turns the cells of a line into a product. What cannot be read is left out, with the reason."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from shelfsight.catalog.imports.imported import (
    BadCell,
    BadLine,
    Column,
    ImportedProduct,
    is_empty,
)
from shelfsight.catalog.imports.price import read_price
from shelfsight.catalog.imports.rows import BROKEN, Row, describe_broken

_KEYS = frozenset({"sku", "product_key", "owner"})
"""The fields that say which product it is: if one of them cannot be read, the line is bad."""

_EXCEL_NUMBER = re.compile(r"[0-9]([.,][0-9]+)?E\+[0-9]+")
_ENDINGS = ("avif", "bmp", "gif", "heic", "jpeg", "jpg", "png", "tif", "tiff", "webp")
_AFTER_PICTURE = "|".join(rf"(?<=\.{ending})" for ending in _ENDINGS)
_LIST = re.compile(r"\[(.+)\]|\{(.+)\}", re.DOTALL)
_QUOTE = re.compile(r"""(?:^|(?<=[,\s]))['"]|['"](?=\s*(?:,|$))""")
"""A quote at the start or the end of an item of a list."""

_BETWEEN_ADDRESSES = re.compile(
    r"(?:[,;]|(?<!\s))\s*[|\r\n\t][|\s]*|[,;]\s+|(?:[,;]|(?<!\s)\s)\s*(?=https?://|//)"
    rf"|(?:{_AFTER_PICTURE})[,;\s]\s*",
    re.IGNORECASE,
)
"""Blanks are looked at from the first of them only, so that many of them take no more time."""
_KINDS = {bool: "true or false", list: "a list", dict: "an object", float: "no finite number"}


class _UnreadableError(Exception):
    """A cell cannot be read; the message is the reason."""


def read_product(
    row: Row, cells: Mapping[str, object]
) -> Iterator[ImportedProduct | BadCell | BadLine]:
    """Yield the product that these cells of a row make, after a `BadCell` for each unreadable one.

    The cells are sku, product_key, title, description, price, barcode, options, image, images,
    owner, category and link, with text or any JSON value. All except sku may be missing or empty.
    What the user mapped to one of them takes the place of the cell, unless it is empty. If sku,
    owner or product_key cannot be read, a `BadLine` comes instead of the product.
    """
    given = {name: value for name, value in row.mapped.items() if value or name not in cells}
    reader = _Reader({**cells, **given})
    product = reader.product(row.line)
    for name, reason in reader.unreadable.items():
        if name in _KEYS:
            yield BadLine(line=row.line, reason=reason)
            return
    for reason in reader.unreadable.values():
        yield BadCell(line=row.line, reason=reason)
    yield product or BadLine(line=row.line, reason="has no sku")


class _Reader:
    """Reads the cells of a line. `unreadable` collects the reasons, by the name of the cell."""

    def __init__(self, cells: Mapping[str, object]) -> None:
        self.unreadable: dict[str, str] = {}
        self._cells = cells

    def product(self, line: int) -> ImportedProduct | None:
        """Return the product of the cells; None if it has no sku."""
        product = ImportedProduct(
            line=line,
            sku=self._code("sku"),
            product_key=self._text("product_key"),
            title=self._text("title"),
            description=self._text("description"),
            price=self._price(),
            barcode=self._code("barcode") or None,
            options=self._options(),
            image_urls=tuple(
                dict.fromkeys((*self._addresses("image"), *self._addresses("images")))
            ),
            owner_id=self._text("owner") or None,
            category=self._text("category") or None,
            link=self._text("link") or None,
        )
        given = {"images" if name == "image" else name for name in self._cells}
        given -= self.unreadable.keys()
        empty = {c for c in Column if c in given and is_empty(product.value(c))}
        return replace(product, empty=frozenset(empty)) if product.sku else None

    def _text(self, name: str) -> str:
        try:
            return _text(name, self._cells.get(name))
        except _UnreadableError as error:
            self.unreadable[name] = str(error)
            return ""

    def _code(self, name: str) -> str:
        """Return a SKU or barcode. A spreadsheet that shortened one has lost its last digits."""
        text = self._text(name)
        if not _EXCEL_NUMBER.fullmatch(text):
            return text
        self.unreadable[name] = (
            f"{name} {text} is a number that a spreadsheet has shortened, so its last digits are"
            " lost: format the column as text there, and export it again"
        )
        return ""

    def _price(self) -> Decimal | None:
        text = self._text("price")
        price = read_price(text) if text else None
        if text and price is None:
            self.unreadable["price"] = f"price {_shortened(text)} cannot be read as one price"
        return price

    def _options(self) -> dict[str, str]:
        try:
            return _options(self._cells.get("options"))
        except _UnreadableError as error:
            self.unreadable["options"] = str(error)
            return {}

    def _addresses(self, name: str) -> list[str]:
        try:
            return _addresses(name, self._cells.get(name))
        except _UnreadableError as error:
            self.unreadable[Column.IMAGES] = str(error)
            return []


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _UnreadableError(f"{name} is {_KINDS.get(type(value), 'no text')}, not text")
    if broken := BROKEN.search(value):
        raise _UnreadableError(f"{name} holds {describe_broken(broken[0])}")
    return value.strip()


def _options(value: object) -> dict[str, str]:
    if isinstance(value, str):  # a cell of a table
        value = value.strip() or None
    if value is None:
        return {}
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value, parse_float=Decimal)
    if not isinstance(value, dict):
        raise _UnreadableError('options is not an object such as {"Colour": "red"}')
    texts = {_text("options", key): _text(f"option {key}", value[key]) for key in value}
    return {key: text for key, text in texts.items() if key}


def addresses_in(text: str) -> list[str]:
    """Return the picture addresses in a text.

    They are a list in JSON, a list as Python prints it, an array of Postgres, or divided by | and
    line breaks, by commas and semicolons before a blank, and by commas, semicolons and blanks
    before a whole address or after a picture's ending. Other blanks are part of an address.
    """
    if text.startswith("["):
        with suppress(ValueError, RecursionError):
            return _addresses("images", json.loads(text))
    if listed := _LIST.fullmatch(text):
        text = _QUOTE.sub("", listed[1] or listed[2])
    return [part.strip() for part in _BETWEEN_ADDRESSES.split(text) if part.strip()]


def _addresses(name: str, value: object) -> list[str]:
    if isinstance(value, list):
        return list(filter(None, (_text(name, item) for item in value)))
    return addresses_in(_text(name, value))


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
