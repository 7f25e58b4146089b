"""Compares an imported product with what is stored, and says which values change."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from shelfsight.catalog.imports.imported import Column, ImportedProduct, is_empty


class StoredVariant(NamedTuple):
    """A row of `"ProductVariants"` that may be the product of a line, with its pictures.

    `given_price` is the price of the line as the column would store it. `is_living` says that
    neither the row nor its product is archived; `is_marked` says that the column in which
    `--complete` archives products marks the row.
    """

    id: UUID
    sku: str
    owner_id: str | None
    product_id: UUID | None
    title: str | None
    description: str | None
    price: object
    given_price: object
    barcode: str | None
    options: object
    link: str | None
    images: list[str]
    is_living: bool
    is_marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The values of a stored product that an import replaces, and the columns that it empties.

    `values` has the new text, price or pictures by column. `options` has the options that get
    another value, and `removed_options` the names of those that are removed.
    """

    values: dict[Column, object]
    emptied: frozenset[Column]
    options: dict[str, str]
    removed_options: tuple[str, ...]

    @property
    def changed(self) -> frozenset[Column]:
        """The columns with a new value that is not empty."""
        return frozenset(self.values) | ({Column.OPTIONS} if self.options else set())


_COMPARED = (
    *(Column.TITLE, Column.DESCRIPTION, Column.PRICE, Column.BARCODE, Column.LINK),
    Column.IMAGES,
)


def compare(product: ImportedProduct, stored: StoredVariant, *, clear_empty: bool) -> Changes:
    """Return what an import of the product changes in a stored variant.

    A value that the file does not give stays. Only with `clear_empty`, a value whose cell is empty
    is emptied. Of the options, only those that the file names change.
    """
    values: dict[Column, object] = {}
    emptied: set[Column] = set()
    for column in _COMPARED:
        given, old = product.value(column), getattr(stored, column.value)
        if not is_empty(given):
            if _as_stored(column, given, stored) != old:
                values[column] = given
        elif clear_empty and column in product.empty and not is_empty(old):
            emptied.add(column)
    options = stored.options if isinstance(stored.options, dict) else {}
    given_options = {name: text for name, text in product.options.items() if text}
    is_cleared = clear_empty and Column.OPTIONS in product.empty
    removed = tuple(
        name for name in options if is_cleared or (clear_empty and product.options.get(name) == "")
    )
    if removed or (is_cleared and not is_empty(stored.options)):
        emptied.add(Column.OPTIONS)
    return Changes(
        values=values,
        emptied=frozenset(emptied),
        options={n: text for n, text in given_options.items() if options.get(n) != text},
        removed_options=removed,
    )


def _as_stored(column: Column, given: object, stored: StoredVariant) -> object:
    if column is Column.PRICE:
        return stored.given_price
    return list(given) if isinstance(given, tuple) else given
