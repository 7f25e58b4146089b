"""Reads JSON lines: one object in each line."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from shelfsight.catalog.imports.encoding import UnreadableFileError, find_encoding
from shelfsight.catalog.imports.imported import BadLine
from shelfsight.catalog.imports.rows import Record


class JsonLines:
    """A file of JSON lines, which can be read several times."""

    def __init__(self, path: Path, encoding: str | None) -> None:
        """Read the first object.

        Raises:
            UnreadableFileError: the file has one JSON value over many lines.
            OSError: the file cannot be read.
            UnicodeError: the file is broken UTF-16.
        """
        self._path = path
        self.encoding, self._errors = find_encoding(path, encoding)
        objects = (record[1] for record in self if not isinstance(record, BadLine))
        self.first: Mapping[str, object] = next(objects, {})

    def __iter__(self) -> Iterator[Record | BadLine]:
        """Yield each object with the number of its line; skip blank lines."""
        with self._path.open(encoding=self.encoding, errors=self._errors, newline="") as file:
            for number, line in enumerate(file, start=1):
                if number == 1 and (line.startswith("[") or line.strip() == "{"):
                    raise UnreadableFileError(
                        "is one JSON value over many lines; one object a line is"
                        " wanted, as `jq -c '.[]'` writes them"
                    )
                if line.strip():
                    yield _read(number, line)


def _read(number: int, line: str) -> Record | BadLine:
    try:
        value = json.loads(line, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        return BadLine(line=number, reason=f"is not JSON: {error}")
    if not isinstance(value, dict):
        return BadLine(line=number, reason="is not a JSON object")
    return number, value
