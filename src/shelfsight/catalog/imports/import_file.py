"""Imports a file of products: reads it line by line and writes it page by page."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from shelfsight.catalog.imports import writer
from shelfsight.catalog.imports.imported import BadLine, ImportedProduct
from shelfsight.catalog.imports.importers import read_import
from shelfsight.postgres.connection import Database

OnBadLine = Callable[[int, str], None]
"""A function that is called for each line that is not a product, with its number and the reason."""


def import_file(database: Database, file: Path, on_bad_line: OnBadLine) -> writer.Imported:
    """Write the products of a file into the shop's tables; return how many were new or changed.

    Raises:
        ImportFileError: the file cannot be read as products.
        SchemaError: the tables are not those that `init` makes.
    """
    return write_products(database, _products(file, on_bad_line))


def count_products(file: Path, on_bad_line: OnBadLine) -> int:
    """Count the products of a file that could be imported.

    Raises:
        ImportFileError: the file cannot be read as products.
    """
    return sum(1 for _ in _products(file, on_bad_line))


def write_products(database: Database, products: Iterator[ImportedProduct]) -> writer.Imported:
    """Write products into the shop's tables, one page in each transaction.

    Products that are stored already are found again by SKU and owner, so writing twice changes
    nothing.

    Raises:
        SchemaError: the tables are not those that `init` makes.
    """
    imported = writer.Imported()
    writer.check(database)
    while page := list(islice(products, writer.PAGE)):
        writer.write(database, page, imported)
    return imported


def _products(file: Path, on_bad_line: OnBadLine) -> Iterator[ImportedProduct]:
    for row in read_import(file):
        if isinstance(row, BadLine):
            on_bad_line(row.line, row.reason)
        else:
            yield row
