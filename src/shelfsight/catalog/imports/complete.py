"""Archives the products that a complete file lacks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.catalog.imports.shop_tables import ShopTables
from shelfsight.catalog.imports.writer import QUERIES
from shelfsight.postgres.adaptive_size import AdaptiveSize, Part
from shelfsight.postgres.connection import Connection, Database

CONFIRMED_ABOVE = 0.2
"""The largest share of the products that is archived without a confirmation."""

Confirm = Callable[[int, int], bool]
"""A function that is called with the number of missing products and that of all products. It
returns whether the missing ones may be archived."""


@dataclass(frozen=True, slots=True)
class MissingProducts:
    """The ids of the variants that a complete file lacks, and how many are not archived today."""

    ids: list[UUID]
    living: int

    @property
    def needs_confirmation(self) -> bool:
        """Whether the file lacks so many products that somebody has to agree."""
        return len(self.ids) > CONFIRMED_ABOVE * self.living


@dataclass(slots=True)
class CompleteFile:
    """The SKUs of a complete file with their owners.

    If the file names owners, it is complete for these owners only.
    """

    _skus: list[str] = field(default_factory=list)
    _owners: list[str | None] = field(default_factory=list)

    def add(self, product: ImportedProduct) -> None:
        """Note a product of the file."""
        self._skus.append(product.sku)
        self._owners.append(product.owner_id)

    def missing_in(self, database: Database, tables: ShopTables) -> MissingProducts:
        """Find the variants that are neither archived nor in the file.

        A variant without a SKU cannot be in a file, so it is missing too.

        Raises:
            DatabaseError: the database stays unreachable, or the role lacks a right.
        """
        owners = sorted({owner for owner in self._owners if owner is not None}) or None
        values = {"skus": self._skus, "sku_owners": self._owners, "owners": owners}

        def work(connection: Connection) -> MissingProducts:
            def column(name: str) -> list[Any]:
                query = QUERIES[name].format(is_living=tables.is_living)
                return [value for (value,) in connection.execute(query, values)]

            (living,) = column("count_living")
            return MissingProducts(column("missing_variants"), living)

        return database.run(work, read_only=True)


def archive(database: Database, tables: ShopTables, missing: MissingProducts) -> int:
    """Archive the missing variants in one transaction; return how many there were.

    After a time limit of the database they are archived in parts.

    Raises:
        SchemaError: `"ProductVariants"` has no column for it.
        DatabaseError: the database stays unreachable, or the role lacks a right.
    """
    column = tables.needed_archive_column()
    query = QUERIES["archive_variants"].format(
        column=column.name, mark=column.mark, is_marked=column.is_marked
    )

    def archive_part(part: Part[UUID]) -> int:
        values = {"ids": list(part.items)}
        return database.run(lambda c: c.execute(query, values).rowcount, patient=part.patient)

    return sum(AdaptiveSize(max(1, len(missing.ids))).in_parts(missing.ids, archive_part))
