"""Reads a product file of any format that is known: its products, and what is wrong with it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from shelfsight.catalog.imports.columns import FIELDS, ColumnMap, ColumnUse, normal
from shelfsight.catalog.imports.encoding import UnreadableFileError
from shelfsight.catalog.imports.formats import FORMATS, PLAIN, Format
from shelfsight.catalog.imports.imported import BadLine, ImportedProduct, Item
from shelfsight.catalog.imports.json_lines import JsonLines
from shelfsight.catalog.imports.rows import MappedRows, Records
from shelfsight.catalog.imports.table_file import TableFile
from shelfsight.catalog.imports.xml_feed import XmlFeed
from shelfsight.errors import ImportFileError

_JSON_ENDINGS = frozenset({".jsonl", ".ndjson", ".json"})
_XML_STARTS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<\x00", b"\xfe\xff\x00<")


class ProductFile:
    """A file of products, which can be read several times.

    Files that begin with `<` are feeds in XML, and those that begin with `{` or are called
    `.jsonl`, `.ndjson` or `.json` are JSON lines. All others are tables. The format of a shop
    platform is recognised by its columns; without one of these, each row is a product with a SKU.

    `mapped` has columns of the user's choice, by the field of a product (`columns.FIELDS`) that
    they hold. `encoding` is that of a table or of JSON lines, where it should not be found out.
    `name` is what messages call the file. `columns` says how the file was read; it is complete when
    the file has been read to its end.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        mapped: Mapping[str, str] | None = None,
        encoding: str | None = None,
    ) -> None:
        self._path = path
        self._name = str(path) if name is None else name
        self.columns = ColumnUse()
        self._mapped = dict(mapped or {})
        self._encoding = encoding

    def __str__(self) -> str:
        return self._name

    def __iter__(self) -> Iterator[Item]:
        """Yield the products in order, and what else there is to say of the lines.

        A SKU may be given once for each owner, or once without an owner.

        Raises:
            ImportFileError: the file cannot be read, or has none of the known formats.
        """
        with self._readable():
            records = _open(self._path, self._encoding)
            format_ = next((f for f in FORMATS if f.recognises(records.first)), PLAIN)
            self.columns = ColumnUse(format_.name, records.encoding.removesuffix("-sig"))
            columns = ColumnMap(format_.columns, self._mapped, self.columns)
            self._check(records, columns, format_)
            yield from _once(format_.products(MappedRows(records, columns)))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except UnreadableFileError as error:
            raise ImportFileError(f"{self._name} {error}") from error
        except OSError as error:
            why = error.strerror or error
            raise ImportFileError(f"{self._name} cannot be read: {why}") from error
        except UnicodeError as error:
            raise ImportFileError(
                f"{self._name} is not {self.columns.encoding or 'UTF-16'} ({error}): save it as"
                " UTF-8"
            ) from error

    def _check(self, records: Records, columns: ColumnMap, format_: Format) -> None:
        """Check that the mapped columns are there, and that a table has one with SKUs."""
        given = tuple(records.first)
        plan = columns.plan(given)
        shown = ", ".join(given)[:500]
        for name, column in self._mapped.items():
            if name not in FIELDS:
                wanted = ", ".join(FIELDS)
                raise ImportFileError(f"there is no field {name!r} to map a column to: {wanted}")
            is_there = normal(column) in map(normal, given)
            if isinstance(records, TableFile) and not is_there:
                raise ImportFileError(
                    f"{self._name} has no column {column!r} for {name}; its columns are: {shown}"
                )
        if isinstance(records, TableFile) and format_ is PLAIN and "sku" not in plan:
            raise ImportFileError(
                f"{self._name} has no column sku (--map sku=COLUMN names another);"
                f" its columns are: {shown}"
            )


def _open(path: Path, encoding: str | None) -> Records:
    with path.open("rb") as file:
        start = file.read(64)
    if start.lstrip().startswith(_XML_STARTS):
        return XmlFeed(path)
    if start.startswith((b"{", b"\xef\xbb\xbf{")) or path.suffix.lower() in _JSON_ENDINGS:
        return JsonLines(path, encoding)
    return TableFile(path, encoding)


def _once(items: Iterable[Item]) -> Iterator[Item]:
    """Let each product through once; a line that gives it again is a bad line."""
    first_lines: dict[tuple[str, str | None], int] = {}
    owned: dict[str, int] = {}
    for item in items:
        if not isinstance(item, ImportedProduct):
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
