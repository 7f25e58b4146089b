"""Imports a file of products: reads it line by line and writes it page by page."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from shelfsight.catalog.imports.complete import CompleteFile, Confirm, MissingProducts, archive
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.import_summary import ImportSummary
from shelfsight.catalog.imports.imported import BadCell, BadLine, ImportedProduct, Item, LeftOut
from shelfsight.catalog.imports.product_file import ProductFile
from shelfsight.catalog.imports.shop_tables import ShopTables, read_tables
from shelfsight.catalog.imports.writer import PAGE, ProductWriter
from shelfsight.errors import ImportFileError, UnconfirmedError
from shelfsight.postgres.connection import Database

Report = Callable[[BadLine | BadCell], None]
"""A function that is called for each line that is not a product, and each cell that is left out."""


def import_file(
    database: Database,
    file: ProductFile,
    options: ImportOptions,
    report: Report,
    confirm: Confirm,
) -> ImportSummary:
    """Write the products of a file into the shop's tables; return what was done.

    Each page of the file is one transaction, so an interrupted import leaves whole products, and
    the next one does the rest. A complete file is read twice: first to count, so that nothing is
    written before `confirm` agrees. If one of its lines is bad, nothing is archived.

    Raises:
        ImportFileError: the file cannot be read as products, or is complete and has none.
        SchemaError: the tables are not those that `init` makes, or no column can mark archived
            products of a complete file.
        UnconfirmedError: the complete file lacks many products, and `confirm` does not agree.
    """
    tables = read_tables(database)
    if not options.complete:
        return _write(database, tables, file, options, report)
    tables.needed_archive_column()
    counts, missing = _count(database, tables, file, options, report)
    if options.dry_run:
        counts.archived = len(missing.ids)
        return counts
    if missing.needs_confirmation and not confirm(len(missing.ids), missing.living):
        raise UnconfirmedError(
            f"{file} lacks {len(missing.ids)} of {missing.living} products, which is too many to"
            " archive unconfirmed: nothing was written. Check the file, then add --yes"
        )
    summary = _write(database, tables, file, options, _ignore)
    summary.archived = archive(database, tables, missing)
    return summary


def write_products(database: Database, products: Iterable[ImportedProduct]) -> ImportSummary:
    """Write products into the shop's tables, one page in each transaction.

    Products that are stored already are found again by SKU and owner, so writing twice changes
    nothing.

    Raises:
        SchemaError: the tables are not those that `init` makes.
    """
    return _write(database, read_tables(database), products, ImportOptions(), _ignore)


def _count(
    database: Database,
    tables: ShopTables,
    file: ProductFile,
    options: ImportOptions,
    report: Report,
) -> tuple[ImportSummary, MissingProducts]:
    """Count what an import of a complete file would do, and find the products that it lacks."""
    complete = CompleteFile()

    def noted() -> Iterator[Item]:
        for item in file:
            if isinstance(item, ImportedProduct):
                complete.add(item)
            yield item

    counts = _write(database, tables, noted(), replace(options, dry_run=True), report)
    if counts.bad_lines:
        return counts, MissingProducts([], 0)
    if not counts.products:
        raise ImportFileError(
            f"{file} has no products: as a complete file it would archive all; nothing was written"
        )
    return counts, complete.missing_in(database, tables)


def _write(
    database: Database,
    tables: ShopTables,
    items: Iterable[Item],
    options: ImportOptions,
    report: Report,
) -> ImportSummary:
    writer = ProductWriter(database, tables, options)

    def note(item: BadLine | BadCell | LeftOut) -> None:
        writer.summary.note(item)
        if not isinstance(item, LeftOut):
            report(item)

    def products() -> Iterator[ImportedProduct]:
        for item in items:
            if isinstance(item, ImportedProduct):
                yield item
            else:
                note(item)

    good = products()
    while page := list(islice(good, PAGE)):
        for bad in writer.add(page):
            note(bad)
    return writer.summary


def _ignore(_bad: BadLine | BadCell) -> None:
    """Say nothing about a bad line or cell: it is reported already."""
