"""What the variants of a product take from their product."""

from collections.abc import Iterable, Mapping

from shelfsight.catalog.imports.rows import Row

COMMON = ("title", "description", "price", "barcode", "category", "owner", "link")
"""The fields that most formats have a column for."""

_NEVER_INHERITED = "barcode"
"""A barcode is that of one variant, and a product's own may be that of another."""


def own_or_inherited(
    row: Row, parent: Row | None, names: Iterable[str] = COMMON
) -> dict[str, object]:
    """Return the cells of a variant, with those of its product for the ones that are empty.

    Only a barcode is not taken from the product.
    A field that the file has no column for gives no cell.
    """
    cells: dict[str, object] = {}
    for name in names:
        if name in row.cells or (parent is not None and name in parent.cells):
            giver = None if name == _NEVER_INHERITED else parent
            cells[name] = row.text(name) or ("" if giver is None else giver.text(name))
    return cells


def described_shortly(row: Row, parent: Row | None) -> dict[str, object]:
    """Return the short description as a description; no cell if the file has none."""
    short = own_or_inherited(row, parent, ["description.short"])
    return {"description": short["description.short"]} if short else {}


def variant_title(title: str, options: Mapping[str, str]) -> str:
    """Return the title of a variant that has none of its own: `Mug - Blue / Large`."""
    values = " / ".join(filter(None, options.values()))
    return f"{title} - {values}" if title and values else title


def variant_sku(product: str, options: Mapping[str, str]) -> str:
    """Return a SKU for a variant that has none: the key of its product, and its options."""
    values = " / ".join(filter(None, options.values()))
    return f"{product}:{values}" if product and values else product
