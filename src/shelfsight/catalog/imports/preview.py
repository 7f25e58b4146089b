"""Shows a product as an import would store it."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from shelfsight.backfill.report import one_line
from shelfsight.catalog.imports.changes import Changes, StoredVariant
from shelfsight.catalog.imports.imported import Column, ImportedProduct, is_empty

PREVIEWED = 3
"""How many products a dry run shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The values of a product after the import, as they are stored."""

    sku: str
    product_key: str | None
    owner: str | None
    title: str
    description: str
    price: Decimal | None
    barcode: str | None
    options: dict[str, Any]
    category: str | None
    images: list[str]

    def values(self) -> dict[str, Any]:
        """Return the values by name, those of JSON's types; without the empty ones."""
        values = {**asdict(self), "price": None if self.price is None else str(self.price)}
        return {name: value for name, value in values.items() if not is_empty(value)}

    def lines(self) -> list[str]:
        """Return the values as lines of text; long ones are shortened."""
        options = [f"{name}: {value}" for name, value in self.options.items()]
        shown = {**self.values(), "options": ", ".join(options)}
        lines = []
        for name, value in shown.items():
            texts = value if isinstance(value, list) else [value]
            for place, text in enumerate(filter(None, texts)):
                lines.append(f"  {'' if place else name:<12} {_shortened(str(text))}")
        return lines


def preview(
    product: ImportedProduct,
    stored: StoredVariant | None,
    changes: Changes | None,
    category: str | None,
) -> Preview:
    """Return a product as the import stores it, given what is stored and what changes of it."""

    def value(column: Column) -> Any:  # noqa: ANN401 (a value of the column's type)
        if stored is None or changes is None:
            return product.value(column)
        if column in changes.emptied:
            return None
        return changes.values.get(column, getattr(stored, column.value))

    options = product.options
    if stored is not None and changes is not None:
        old = stored.options if isinstance(stored.options, dict) else {}
        kept = {name: old[name] for name in old if name not in changes.removed_options}
        options = {**kept, **changes.options}
    return Preview(
        sku=product.sku,
        product_key=product.product_key or None,
        owner=product.owner_id if stored is None else stored.owner_id,
        title=value(Column.TITLE) or "",
        description=value(Column.DESCRIPTION) or "",
        price=value(Column.PRICE),
        barcode=value(Column.BARCODE),
        options={name: text for name, text in options.items() if text},
        category=category,
        images=list(value(Column.IMAGES) or ()),
    )


def _shortened(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= 100 else f"{line[:100]}..."
