"""Reads tables: CSV divided by comma, semicolon, tab or `|`."""

import csv
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

from shelfsight.catalog.imports.encoding import UnreadableFileError, find_encoding
from shelfsight.catalog.imports.imported import BadCell, BadLine
from shelfsight.catalog.imports.rows import BROKEN, Record

if TYPE_CHECKING:
    from _csv import Reader

LONGEST_FIELD = 10_000_000
"""The most characters that a field may have. A longer field most likely has a quote that was never
closed."""


class TableFile:
    """A table with a header, which can be read several times.

    The header is the first line that is not blank. A line `sep=;` above it names the separator, as
    Excel has it; lines that begin with `# ` are remarks, as in Facebook's template.
    """

    def __init__(self, path: Path, encoding: str | None) -> None:
        """Read the header.

        Raises:
            UnreadableFileError: the file is no table.
            OSError: the file cannot be read.
            UnicodeError: the file is broken UTF-16.
        """
        self._path = path
        self.encoding, self._errors = find_encoding(path, encoding)
        with self._open() as file:
            self._columns, _ = self._header(file)
        self.first: Mapping[str, object] = dict.fromkeys(self._columns, "")

    def __iter__(self) -> Iterator[Record | BadLine | BadCell]:
        """Yield the cells of each record by column; skip blank lines.

        A record with fewer fields than the header lacks the last cells, of which a `BadCell` before
        it tells. One with more fields is bad: most likely a comma in it should have been quoted.
        """
        with self._open() as file:
            columns, reader = self._header(file)
            yield from _records(reader, columns)

    def _open(self) -> IO[str]:
        return self._path.open(encoding=self.encoding, errors=self._errors, newline="")

    def _header(self, file: IO[str]) -> tuple[list[str], "Reader"]:
        """Return the columns, and the reader of the records below them."""
        csv.field_size_limit(LONGEST_FIELD)
        above, first = self._first_line(file)
        separator = re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE)
        if separator is None:
            lines, delimiter = chain(above, [first], file), _delimiter(first)
        else:
            blank = [*above, "\n"]
            lines, delimiter = chain(blank, file), separator[1]
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            row = next((row for row in reader if not _is_above_header(row)), None)
        except csv.Error as error:
            raise UnreadableFileError(f"has a header that is not CSV: {error}") from error
        if row is None:
            raise UnreadableFileError("has no header")
        return _unique([column.strip() for column in row]), reader

    def _first_line(self, file: IO[str]) -> tuple[list[str], str]:
        """Return the blank lines at the start of the file, and the first line that is not blank."""
        blank: list[str] = []
        for line in file:
            if BROKEN.search(line):
                raise UnreadableFileError(
                    "is not text in UTF-8 (nor in UTF-16 with a byte order mark):"
                    " save it as CSV in UTF-8"
                )
            if line.strip():
                return blank, line
            blank.append("\n")
        raise UnreadableFileError("is empty")


def _delimiter(header: str) -> str:
    """Choose the separator that occurs most often in the header; quoted parts do not count."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(",;\t|", key=bare.count)


def _is_above_header(row: list[str]) -> bool:
    return not any(cell.strip() for cell in row) or row[0].startswith("# ")


def _unique(columns: list[str]) -> list[str]:
    """Number the columns whose name was there before: `title (2)`."""
    counts: dict[str, int] = {}
    unique = []
    for column in columns:
        counts[column] = counts.get(column, 0) + 1
        unique.append(column if counts[column] == 1 else f"{column} ({counts[column]})")
    return unique


def _beyond(cell: str) -> str:
    shown = BROKEN.sub("?", cell if len(cell) <= 40 else f"{cell[:37]}...")
    return f", so {shown!r} has no column: put double quotes round a cell with the separator in it"


def _records(reader: "Reader", columns: list[str]) -> Iterator[Record | BadLine | BadCell]:
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
        if not any(cell.strip() for cell in row):
            continue
        reason = f"has {len(row)} fields where the header has {len(columns)}"
        if extra := [cell.strip() for cell in row[len(columns) :] if cell.strip()]:
            yield BadLine(line=number, reason=f"{reason}{_beyond(extra[0])}")
            continue
        if len(row) < len(columns):
            yield BadCell(line=number, reason=f"{reason}, so the last ones are missing")
        yield number, dict(zip(columns, row, strict=False))
