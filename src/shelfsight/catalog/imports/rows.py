"""A row of a product file: its cells by the field that their columns mean."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from shelfsight.catalog.imports.columns import ColumnMap
from shelfsight.catalog.imports.imported import BadCell, BadLine

BROKEN = re.compile("[\x00\ud800-\udfff]")
"""Characters that no database stores. Bytes that are not text are read as some of them."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row with the number of its first line, counted from 1.

    `cells` has text without surrounding blanks, or a JSON value, by field. A column that the file
    lacks has no cell; an empty cell is "". `mapped` has the cells of the fields that the user
    named the columns of.
    """

    line: int
    cells: Mapping[str, object]
    mapped: Mapping[str, object] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a cell; "" if it is missing or is no text."""
        value = self.cells.get(name)
        return value if isinstance(value, str) else ""

    def place(self, name: str) -> float:
        """Return a cell with a place in an order; infinity if it holds no such number."""
        text = self.text(name)
        return int(text) if re.fullmatch("[0-9]{1,9}", text) else math.inf

    def numbered(self, name: str) -> list[tuple[int, str]]:
        """Return the cells of the fields `name.1`, `name.2` and so on, in this order."""
        found = [
            (int(field_name.removeprefix(f"{name}.")), self.text(field_name))
            for field_name in self.cells
            if re.fullmatch(rf"{re.escape(name)}\.[0-9]{{1,9}}", field_name)
        ]
        return sorted(found)


class Rows(Protocol):
    """The rows of a file, which can be read several times."""

    def __iter__(self) -> Iterator[Row | BadLine | BadCell]:
        """Yield the rows in order. A broken cell is yielded before its row, which lacks it."""


Record = tuple[int, Mapping[str, object]]
"""The number of a record's first line, and its values by column."""


class Records(Protocol):
    """The records of a file, which can be read several times.

    `first` has the columns of the file or of its first record; `encoding` is that of its text.
    """

    first: Mapping[str, object]
    encoding: str

    def __iter__(self) -> Iterator[Record | BadLine | BadCell]:
        """Yield the records in order. A `BadCell` stands before the record that it is of."""


@dataclass(frozen=True, slots=True)
class MappedRows:
    """The rows that the records of a file make with a map of its columns."""

    records: Records
    columns: ColumnMap

    def __iter__(self) -> Iterator[Row | BadLine | BadCell]:
        """Yield the rows in order."""
        for record in self.records:
            if isinstance(record, BadLine | BadCell):
                yield record
            else:
                yield from self._row(*record)

    def _row(self, line: int, values: Mapping[str, object]) -> Iterator[Row | BadCell]:
        cells: dict[str, object] = {}
        for name, column in self.columns.plan(tuple(values)).items():
            value = values[column]
            if isinstance(value, str):
                if broken := BROKEN.search(value):
                    what = describe_broken(broken[0])
                    yield BadCell(line=line, reason=f"{_printable(column)} holds {what}")
                    continue
                value = _unquoted(value.strip())
            cells[name] = value
        mapped = {name: cells[name] for name in self.columns.mapped if name in cells}
        yield Row(line, cells, mapped)


def describe_broken(character: str) -> str:
    """Say what is wrong with a character that `BROKEN` finds."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # no text; decoded by errors="surrogateescape"
        return f"the byte 0x{code - 0xDC00:02X}, which is no letter: save the file as UTF-8"
    return f"the character U+{code:04X}, which no database takes"


def _unquoted(text: str) -> str:
    """Return what a spreadsheet shows for `="00123"`, its way to keep leading zeros."""
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        return text[2:-1].replace('""', '"').strip()
    return text


def _printable(column: str) -> str:
    return BROKEN.sub("?", column)
