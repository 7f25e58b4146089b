"""Products from a file into the shop's tables."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from shelfsight.postgres.connection import Database
from shelfsight.settings import Settings
from shelfsight.wiring.database import open_database

if TYPE_CHECKING:
    from shelfsight.catalog.imports.imported import ImportedProduct
    from shelfsight.catalog.imports.writer import Imported

Complain = Callable[[int, str], None]
"""Hears of a bad line: its number, and why."""


def import_products(settings: Settings, file: Path, complain: Complain) -> "Imported":
    """Write a file's products into the shop's tables, page by page."""
    with open_database(settings) as database:
        return write_products(database, _good_lines(file, complain))


def write_products(database: Database, products: Iterator["ImportedProduct"]) -> "Imported":
    """Write products into the shop's tables, page by page; the same ones twice change nothing.

    Raises:
        SchemaError: the tables are not those that `init` makes.
    """
    from shelfsight.catalog.imports import writer

    imported = writer.Imported()
    writer.check(database)
    while page := list(islice(products, writer.PAGE)):
        writer.write(database, page, imported)
    return imported


def count_products(file: Path, complain: Complain) -> int:
    """How many products of a file could be imported."""
    return sum(1 for _ in _good_lines(file, complain))


def _good_lines(file: Path, complain: Complain) -> "Iterator[ImportedProduct]":
    from shelfsight.catalog.imports.imported import BadLine
    from shelfsight.catalog.imports.importers import read_import

    for row in read_import(file):
        if isinstance(row, BadLine):
            complain(row.line, row.reason)
        else:
            yield row
