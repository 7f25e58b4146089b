"""The content of a product: which columns, and which parts of them, its vectors depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from shelfsight.backfill.picture_identity import LAST_SEPARATOR, parameters_pattern
from shelfsight.catalog.selection import QUERIES
from shelfsight.postgres import statements
from shelfsight.records import DEFAULT_LANGUAGE, FIRST_TEXT_FIELDS, TEXT_FIELDS, TextField

Columns = Mapping[str, str]
"""The columns of a table with their SQL types."""

_NAMES: Mapping[TextField, tuple[str, ...]] = {
    "title": ("Title",),
    "description": ("Description",),
    "category": ("Category",),
    "options": ("Options",),
    "brand": ("Brand", "Vendor", "Manufacturer"),
}
"""The columns of each part of a text; the first one that exists is read."""

_OF_PRODUCT: tuple[TextField, ...] = ("category", "brand")
"""The parts that may be columns of `"Products"`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What counts as the content of a product.

    Attributes:
        images_per_product: how many pictures count, from the first one on.
        ignored_parameters: query parameters that do not count in a picture's address, in lower
            case. A name that ends in `*` stands for all that begin so.
        text_fields: the parts of the text; None: those of the stored texts, or all for a new set.
        language: the language to take, as `en` or `de-AT`, if a text is there in several.
        time_zone: the zone of the shop's times that are stored without one.
    """

    images_per_product: int = 1
    ignored_parameters: tuple[str, ...] = ()
    text_fields: tuple[TextField, ...] | None = None
    language: str = DEFAULT_LANGUAGE
    time_zone: str = "UTC"

    @property
    def pattern(self) -> str:
        """The regular expression of the query parameters that do not count in an address."""
        return parameters_pattern(self.ignored_parameters)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the query `source` that depend on these options."""
        return {
            "images": self.images_per_product,
            "parameters": self.pattern,
            "last_separator": LAST_SEPARATOR,
        }


def parse_text_fields(names: str) -> tuple[TextField, ...]:
    """Return the parts of a text, in their usual order, from names divided by commas."""
    given = {name.strip().lower() for name in names.split(",")}
    return tuple(field for field in TEXT_FIELDS if field in given)


def content_parts(
    fields: Sequence[TextField], language: str, variants: Columns, products: Columns
) -> dict[str, sql.Composable]:
    """Return the parts of the query `source` that read and hash a product's text and pictures.

    `variants` and `products` are the columns of the two tables. Category and brand are read from
    the product if the variants have no such column.
    """
    own = {field: _own(field, fields, variants) for field in TEXT_FIELDS}
    of_product: dict[TextField, sql.Identifier] = {
        field: column
        for field in _OF_PRODUCT
        if own[field] is None and "ProductId" in variants and "Id" in products
        if (column := _own(field, fields, products)) is not None
    }
    further = [
        QUERIES["further_text"].format(part=sql.Identifier(field), name=sql.Literal(field))
        for field in TEXT_FIELDS
        if field not in FIRST_TEXT_FIELDS and (own[field] is not None or field in of_product)
    ]
    if language != DEFAULT_LANGUAGE:
        further.append(QUERIES["language"].format(language=sql.Literal(language)))
    return {
        "title": _text(own["title"]),
        "description": _text(own["description"]),
        "options": _text(own["options"]),
        "own_category": _text(own["category"]),
        "own_brand": _text(own["brand"]),
        "category": _from_product("category", of_product),
        "brand": _from_product("brand", of_product),
        "product_join": _join(variants, products) if of_product else sql.SQL(""),
        "further_text": sql.SQL(" || ").join(further) if further else sql.SQL("''"),
        "image_hash": QUERIES["image_hash"],
    }


def text_columns(
    fields: Sequence[TextField], variants: Columns, products: Columns
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the columns of the variants and those of the products that texts are made of."""
    own = {name for field in fields for name in _NAMES[field] if name in variants}
    of_product = {
        name
        for field in _OF_PRODUCT
        if field in fields and _own(field, fields, variants) is None and "ProductId" in variants
        for name in _NAMES[field]
        if name in products
    }
    return frozenset(own), frozenset(of_product)


def _own(field: TextField, fields: Sequence[TextField], columns: Columns) -> sql.Identifier | None:
    """Return the column of a part of the text; None if it is not wanted or not there."""
    names = _NAMES[field] if field in fields else ()
    return next((sql.Identifier(name) for name in names if name in columns), None)


def _text(column: sql.Identifier | None) -> sql.Composable:
    return sql.SQL("coalesce({}::text, '')").format(column or sql.SQL("NULL"))


def _from_product(
    field: TextField, of_product: Mapping[TextField, sql.Identifier]
) -> sql.Composable:
    if field not in of_product:
        return sql.Identifier("span", field)
    return sql.SQL("coalesce(product.{}::text, '')").format(of_product[field])


def _join(variants: Columns, products: Columns) -> sql.Composable:
    same_type = products.get("Id") == variants["ProductId"]
    return QUERIES["product_join"].format(cast=statements.trusted("" if same_type else "::text"))
