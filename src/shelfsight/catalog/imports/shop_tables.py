"""The columns of the shop's tables, and the conditions on archived products that follow."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from shelfsight.errors import SchemaError
from shelfsight.postgres import archived, statements
from shelfsight.postgres.connection import Connection, Database, columns

_NEEDED = {
    "Products": ("Id", "UserId", "Title", "Category"),
    "ProductVariants": (
        *("Id", "ProductId", "UserId", "Sku", "Barcode", "Title"),
        *("Description", "Price", "Options"),
    ),
    "ProductImages": ("Id", "ProductVariantId", "ImageUrl", "Position"),
}

_ARCHIVING = {
    "ArchivedAt": ("now()", "NULL"),
    "IsArchived": ("'1'", "'0'"),
    "Archived": ("'1'", "'0'"),
}
"""For each column in which an import archives a variant: the values of archived and of restored
rows. `"DeletedAt"` and the like are left out since a shop may delete these rows for good, and
`"Status"` since its former value would be lost."""


@dataclass(frozen=True, slots=True)
class ArchiveColumn:
    """The column of `"ProductVariants"` in which archived products are marked.

    `mark` and `unmark` are the SQL values of archived and of restored rows.
    """

    name: sql.Identifier
    mark: sql.SQL
    unmark: sql.SQL
    is_marked: sql.Composed


@dataclass(frozen=True, slots=True)
class ShopTables:
    """The columns of `"ProductVariants"` and `"Products"` with their types.

    The SQL conditions are about a row `v` of `"ProductVariants"`.
    """

    variants: Mapping[str, str]
    products: Mapping[str, str]

    @property
    def is_living(self) -> sql.Composable:
        """The condition that neither the variant nor its product is archived."""
        conditions = archived.not_archived(self.variants, self.products, "v")
        return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")

    @property
    def has_links(self) -> bool:
        """Whether there is a column for the address or handle of a product's page."""
        return "Link" in self.variants

    def archive_column(self) -> ArchiveColumn | None:
        """Return the column in which an import can archive variants; None if there is none."""
        for name, (mark, unmark) in _ARCHIVING.items():
            if name in self.variants:
                condition = statements.trusted(archived.MARKS[name])
                return ArchiveColumn(
                    sql.Identifier(name),
                    statements.trusted(mark),
                    statements.trusted(unmark),
                    condition.format(sql.Identifier("v", name)),
                )
        return None

    def needed_archive_column(self) -> ArchiveColumn:
        """Return the column in which an import can archive variants.

        Raises:
            SchemaError: the table has no such column; the message has the statement that adds one.
        """
        column = self.archive_column()
        if column is None:
            names = ", ".join(f'"{name}"' for name in _ARCHIVING)
            raise SchemaError(
                f'--complete marks archived products, but "ProductVariants" has no column for it'
                f" ({names}); add one:"
                ' ALTER TABLE "ProductVariants" ADD COLUMN "ArchivedAt" timestamptz'
            )
        return column


def read_tables(database: Database) -> ShopTables:
    """Read the columns of the shop's tables.

    Raises:
        SchemaError: the tables are not those that `shelfsight init` makes.
    """

    def work(connection: Connection) -> dict[str, dict[str, str]]:
        return {table: columns(connection, table) for table in _NEEDED}

    found = database.run(work, read_only=True)
    for table, names in _NEEDED.items():
        missing = [name for name in names if name not in found[table]]
        if missing or found[table]["Id"] != "uuid":
            what = f"lacks {', '.join(missing)}" if missing else "has ids that are not uuid"
            raise SchemaError(
                f'"{table}" {what}: products can be imported into the tables that'
                " `shelfsight init` makes, not into these"
            )
    return ShopTables(found["ProductVariants"], found["Products"])
