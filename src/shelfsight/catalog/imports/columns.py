"""Tells which column of a file means which field, and notes which columns are used."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

FIELDS = (
    *("sku", "product_key", "title", "description", "price", "barcode", "options"),
    *("image", "images", "owner", "category", "link"),
)
"""The fields of a product, as files and the user name them."""

MAX_UNUSED = 200
"""How many unused keys of records that each have other ones are remembered."""

_MOST_DIGITS = 9

_OWNER = {"owner": "owner", "owner id": "owner", "user id": "owner"}


@dataclass(slots=True)
class ColumnUse:
    """How a file was read: its format, its encoding, and its columns in the file's order.

    `used` has the field that each used column means.
    """

    format: str = ""
    encoding: str = ""
    used: dict[str, str] = field(default_factory=dict)
    unused: dict[str, None] = field(default_factory=dict)

    def add(self, plan: Mapping[str, str], columns: tuple[str, ...]) -> None:
        """Note the columns of a record, and which of them are used."""
        fields = {column: name for name, column in plan.items()}
        for column in columns:
            if column in fields:
                self.used[column] = fields[column].partition(".")[0]
                self.unused.pop(column, None)
            elif column and column not in self.used and len(self.unused) < MAX_UNUSED:
                self.unused[column] = None

    def lines(self) -> list[str]:
        """Return this as lines of text: a table of the used columns, and those not used."""
        used = {_printable(column): name for column, name in self.used.items()}
        width = min(max(map(len, used), default=0), 40)
        head = f"{self.format}, read as {self.encoding}:"
        table = [f"  {column:<{width}}  {name}" for column, name in used.items()]
        unused = ", ".join(map(_printable, self.unused))
        return [head, *table, *([f"  not used: {unused}"] if unused else [])]


class ColumnMap:
    """Maps columns to fields by the table of a format and the user's own choice.

    `known` has the field of each column. Upper and lower case, blanks, `-` and `_` make no
    difference. A `#` stands for any number, in a column and in its field. Where several columns
    mean the same field, the first of the table is used. What `mapped` names, the column by the
    field, comes before the table.
    """

    def __init__(self, known: Mapping[str, str], mapped: Mapping[str, str], use: ColumnUse) -> None:
        self.mapped = tuple(mapped)
        own = {normal(column): name for name, column in mapped.items()}
        table = {normal(column): name for column, name in {**_OWNER, **known}.items()}
        rest = {key: name for key, name in table.items() if name not in mapped and key not in own}
        self._known = {
            key: (rank, name) for rank, (key, name) in enumerate({**own, **rest}.items())
        }
        self._use = use
        self._plan = lru_cache(maxsize=256)(self._make_plan)

    def plan(self, columns: tuple[str, ...]) -> dict[str, str]:
        """Return the column of each field that a record with these columns has."""
        return self._plan(columns)

    def _make_plan(self, columns: tuple[str, ...]) -> dict[str, str]:
        best: dict[str, tuple[int, str]] = {}
        for column in columns:
            found = self._field(column)
            if found is None:
                continue
            rank, name = found
            if name not in best or rank < best[name][0]:
                best[name] = (rank, column)
        chosen = {column: name for name, (_, column) in best.items()}
        plan = {chosen[column]: column for column in columns if column in chosen}
        self._use.add(plan, columns)
        return plan

    def _field(self, column: str) -> tuple[int, str] | None:
        """Return the rank and the field of a column; None if it has none."""
        key = normal(column)
        if key in self._known:
            return self._known[key]
        number = re.search("[0-9]+", key)
        if number is None or len(number[0]) > _MOST_DIGITS:
            return None
        found = self._known.get(f"{key[: number.start()]}#{key[number.end() :]}")
        return found and (found[0], found[1].replace("#", str(int(number[0]))))


def _printable(column: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in column)


def normal(column: str) -> str:
    """Return the form of a column's name in which names are compared."""
    return re.sub(r"[\s_-]+", "_", column.strip().casefold())
