"""Writes imported products into the shop's tables. A second import of a file changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from psycopg.types.json import Jsonb

from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database, columns, fetch_as

QUERIES = statements.load("shelfsight.catalog.imports", "imports.sql")

PAGE = 500
"""How many products one transaction writes."""

_NAMESPACE = UUID("6f3b2c1e-8d5a-4f0b-9c37-2f6f5d0a7e41")
"""The namespace of the ids that are derived from owner and SKU. It never changes, so that the ids
are the same everywhere."""

_NEEDED = {
    "Products": ("Id", "UserId", "Title", "Category"),
    "ProductVariants": (
        *("Id", "ProductId", "UserId", "Sku", "Barcode", "Title"),
        *("Description", "Price", "Options"),
    ),
    "ProductImages": ("ProductVariantId", "ImageUrl", "Position"),
}


class _Variant(NamedTuple):
    """A variant that was written: its SKU and id, and whether it is new or was changed."""

    sku: str
    id: UUID
    is_new: bool
    is_changed: bool


@dataclass(slots=True, kw_only=True)
class Imported:
    """The numbers of imported products that were new, changed, and unchanged."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


def check(database: Database) -> None:
    """Check that the shop's tables have the columns that an import needs.

    Raises:
        SchemaError: the tables are not those that `shelfsight init` makes.
    """
    for table, names in _NEEDED.items():
        found = database.run(partial(columns, table=table), read_only=True)
        missing = [name for name in names if name not in found]
        if missing or found.get("Id", "uuid") != "uuid":
            what = f"lacks {', '.join(missing)}" if missing else "has ids that are not uuid"
            raise SchemaError(
                f'"{table}" {what}: products can be imported into the tables that'
                " `shelfsight init` makes, not into these"
            )


def write(database: Database, page: Sequence[ImportedProduct], imported: Imported) -> None:
    """Store a page in one transaction, and count its products in `imported`."""
    rows = [_row(product) for product in page]
    pictures = {row["sku"]: list(p.image_urls) for row, p in zip(rows, page, strict=True)}

    def work(connection: Connection) -> tuple[list[_Variant], set[UUID]]:
        values = {"rows": Jsonb(rows)}
        connection.execute(QUERIES["import_products"], values)
        variants = fetch_as(_Variant, connection, QUERIES["import_variants"], values)
        images = [{"variant_id": str(v.id), "urls": pictures[v.sku]} for v in variants]
        changed = connection.execute(QUERIES["import_images"], {"rows": Jsonb(images)}).fetchall()
        return variants, {id_ for (id_,) in changed}

    variants, repictured = database.run(work)
    for variant in variants:
        if variant.is_new:
            imported.new += 1
        elif variant.is_changed or variant.id in repictured:
            imported.changed += 1
        else:
            imported.unchanged += 1


def _row(product: ImportedProduct) -> dict[str, Any]:
    owner = product.owner_id or ""
    return {
        "variant_id": str(uuid5(_NAMESPACE, f"variant\n{owner}\n{product.sku}")),
        "product_id": str(uuid5(_NAMESPACE, f"product\n{owner}\n{product.product_key}")),
        "owner": product.owner_id,
        "sku": product.sku,
        "barcode": product.barcode,
        "title": product.title,
        "description": product.description,
        "price": None if product.price is None else str(product.price),
        "options": product.options,
        "category": product.category,
    }
