"""What is read from a product file: products, and lines that are not imported or only in part."""

from collections.abc import Sized
from dataclasses import dataclass
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
    LINK = "link"
    IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedProduct:
    """A product variant that was read from a file. Variants of a product share their `product_key`.

    An empty value means that the file does not give this value. `empty` are the columns that the
    file has, but with an empty cell for this product. In `options`, an option with an empty cell
    has the value "".

    `link` is the address of its page in the shop, or its handle (slug).
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
    link: str | None = None
    empty: frozenset[Column] = frozenset()

    def value(self, column: Column) -> object:
        """Return the value of a column; an empty one if the file does not give it."""
        return self.image_urls if column is Column.IMAGES else getattr(self, column.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that cannot be imported: its number in the file, counted from 1, and the reason."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCell:
    """A cell that cannot be read. Its product is imported without it: the stored value stays."""

    line: int
    reason: str


class NotForSale(StrEnum):
    """Why a product of a shop's export is left out."""

    DRAFT = "draft"
    ARCHIVED = "archived"
    UNPUBLISHED = "unpublished"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A product that its shop does not show to customers, so that it is not imported."""

    line: int
    reason: NotForSale


Item = ImportedProduct | BadLine | BadCell | LeftOut
"""What the lines of a product file give."""


def is_empty(value: object) -> bool:
    """Return whether a value of a product is missing or empty. A price of 0 is not."""
    return value is None or (isinstance(value, Sized) and len(value) == 0)
