"""Reads product files: CSV with our column names, Shopify's product export, or JSON lines."""

import codecs
import csv
import json
import logging
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

from shelfsight.catalog.imports import shopify
from shelfsight.catalog.imports.imported import BadLine, ImportedProduct, product_from
from shelfsight.errors import ImportFileError

__all__ = ["BadLine", "ImportedProduct", "read_import"]

if TYPE_CHECKING:
    from _csv import Reader

log = logging.getLogger(__name__)

LONGEST_FIELD = 10_000_000
"""The most characters that a field may have. A longer field most likely has a quote that was never
closed."""

MAX_IGNORED_LOGGED = 50
"""How many unknown keys of JSON lines are logged, each of them once."""

_JSON_ENDINGS = frozenset({".jsonl", ".ndjson", ".json"})
_FIELDS = {
    "sku": "sku",
    "product_key": "product_key",
    "title": "title",
    "name": "title",
    "description": "description",
    "price": "price",
    "barcode": "barcode",
    "options": "options",
    "image": "image",
    "images": "images",
    "image_url": "image",
    "image_urls": "images",
    "owner": "owner",
    "owner_id": "owner",
    "user_id": "owner",
    "category": "category",
}


def read_import(path: Path) -> Iterator[ImportedProduct | BadLine]:
    """Yield the products of a file in order, and a `BadLine` for each line that is no product.

    The file is UTF-8, or UTF-16 with a byte order mark. `.jsonl`, `.ndjson` and `.json` files hold
    one object in each line. All other files are tables with a header, separated by comma, semicolon
    or tab. A SKU may be given once for each owner, or once without an owner.

    Raises:
        ImportFileError: the file cannot be read, or has none of these formats.
    """
    first_lines: dict[tuple[str, str | None], int] = {}
    owned: dict[str, int] = {}
    for item in _read(path):
        if isinstance(item, BadLine):
            yield item
            continue
        first = first_lines.get((item.sku, item.owner_id)) or (
            owned.get(item.sku) if item.owner_id is None else first_lines.get((item.sku, None))
        )
        if first is None:
            first_lines[item.sku, item.owner_id] = item.line
            if item.owner_id is not None:
                owned.setdefault(item.sku, item.line)
            yield item
        else:
            reason = f"sku {item.sku!r} was given before, in line {first}"
            yield BadLine(line=item.line, reason=reason)


def _read(path: Path) -> Iterator[ImportedProduct | BadLine]:
    try:
        encoding, errors = _encoding(path)
        with path.open(encoding=encoding, errors=errors, newline="") as file:
            read = _json_lines if path.suffix.lower() in _JSON_ENDINGS else _table
            yield from read(path, file)
    except OSError as error:
        raise ImportFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeError as error:
        raise ImportFileError(f"{path} is broken UTF-16 ({error}): save it as UTF-8") from error


def _encoding(path: Path) -> tuple[str, str]:
    """Choose the encoding and the error handling by the byte order mark of the file.

    The error handling for UTF-8 keeps bytes that are not UTF-8, so that only their lines are
    refused and not the whole file.
    """
    with path.open("rb") as file:
        start = file.read(3)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "strict"
    return "utf-8-sig", "surrogateescape"


def _json_lines(path: Path, file: IO[str]) -> Iterator[ImportedProduct | BadLine]:
    ignored: set[str] = set()
    for number, line in enumerate(file, start=1):
        if number == 1 and (line.startswith("[") or line.strip() == "{"):
            raise ImportFileError(
                f"{path} is one JSON value over many lines; one object a line is wanted,"
                " as `jq -c '.[]'` writes them"
            )
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            yield BadLine(line=number, reason=f"is not JSON: {error}")
            continue
        if not isinstance(value, dict):
            yield BadLine(line=number, reason="is not a JSON object")
            continue
        _log_ignored(path, value, ignored)
        yield product_from(number, {_field(key): value[key] for key in value})


def _table(path: Path, file: IO[str]) -> Iterator[ImportedProduct | BadLine]:
    csv.field_size_limit(LONGEST_FIELD)
    blank, first = _first_line(path, file)
    reader = csv.reader(chain(blank, [first], file), delimiter=_delimiter(first), strict=True)
    columns = _header(path, reader)
    if shopify.is_shopify(columns):
        names = [column.lower() for column in columns]
        yield from shopify.products(_lines(reader, names))
        return
    names = [_field(column) for column in columns]
    _check_header(path, columns, names)
    _log_ignored(path, columns, set())
    for line in _lines(reader, names):
        yield line if isinstance(line, BadLine) else product_from(*line)


def _first_line(path: Path, file: IO[str]) -> tuple[list[str], str]:
    """Return the blank lines at the start of the file, and the first line that is not blank.

    Raises:
        ImportFileError: all lines are blank, or a line is not text.
    """
    blank: list[str] = []
    for line in file:
        if re.search("[\x00\ud800-\udfff]", line):
            raise ImportFileError(
                f"{path} is not text in UTF-8 (nor in UTF-16 with a byte order mark):"
                " save it as CSV in UTF-8"
            )
        if line.strip():
            return blank, line
        blank.append(line)
    raise ImportFileError(f"{path} is empty")


def _delimiter(header: str) -> str:
    """Choose the separator that occurs most often in the header; quoted parts do not count."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(",;\t", key=bare.count)


def _header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        return [column.strip() for column in next(filter(None, reader))]
    except csv.Error as error:
        raise ImportFileError(f"{path}: the header is not CSV: {error}") from error


def _check_header(path: Path, columns: list[str], names: list[str]) -> None:
    """Check that the header has a column sku, and that no two columns mean the same field."""
    if "sku" not in names:
        found = ", ".join(columns)
        raise ImportFileError(f"{path} has no column sku; its columns are: {found[:500]}")
    for place, name in enumerate(names):
        if name and name in names[:place]:
            same = columns[names.index(name)]
            raise ImportFileError(
                f"{path}: columns {same!r} and {columns[place]!r} mean the same; leave one out"
            )


def _lines(reader: "Reader", names: list[str]) -> Iterator[tuple[int, dict[str, str]] | BadLine]:
    """Yield the fields of each record, with the number of its first line; skip blank lines."""
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            through = f" (through line {reader.line_num})" if reader.line_num > number else ""
            yield BadLine(line=number, reason=f"is not CSV: {error}{through}")
            continue
        if len(row) == len(names):
            yield number, dict(zip(names, row, strict=True))
        elif row:
            reason = f"has {len(row)} fields where the header has {len(names)}"
            yield BadLine(line=number, reason=reason)


@lru_cache(maxsize=1024)
def _field(column: str) -> str:
    """Return the product field that a column or key means; "" if it means none."""
    return _FIELDS.get(re.sub(r"[\s_-]+", "_", column.strip().lower()), "")


def _log_ignored(path: Path, columns: Iterable[str], logged: set[str]) -> None:
    """Log the unknown columns that were not logged before, and add them to `logged`."""
    ignored = [column for column in columns if column and not _field(column)]
    new = [column for column in ignored if column not in logged]
    if new and len(logged) < MAX_IGNORED_LOGGED:
        logged.update(new)
        log.warning("%s: ignored columns: %s", path, ", ".join(map(repr, new)))
