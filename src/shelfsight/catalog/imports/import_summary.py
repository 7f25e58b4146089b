"""Counts what an import does to the products of the shop."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from shelfsight.catalog.imports.imported import Column


@dataclass(slots=True, kw_only=True)
class ImportSummary:
    """What an import did, or would do.

    Each product of the file is `new`, `changed` or `untouched`. `changed_columns` and
    `emptied_columns` count the values that were replaced and emptied; a product of which a value
    was emptied is a changed one. `archived` and `restored` are only counted for a complete file;
    restored products are among those that changed.
    """

    new: int = 0
    changed: int = 0
    untouched: int = 0
    bad_lines: int = 0
    archived: int = 0
    restored: int = 0
    changed_columns: Counter[Column] = field(default_factory=Counter)
    emptied_columns: Counter[Column] = field(default_factory=Counter)

    @property
    def products(self) -> int:
        """The number of products of the file."""
        return self.new + self.changed + self.untouched

    @property
    def emptied(self) -> int:
        """The number of values that were emptied."""
        return self.emptied_columns.total()

    def add(self, page: "ImportSummary") -> None:
        """Add the counts of a page of products."""
        self.new += page.new
        self.changed += page.changed
        self.untouched += page.untouched
        self.restored += page.restored
        self.changed_columns.update(page.changed_columns)
        self.emptied_columns.update(page.emptied_columns)

    def counts(self) -> dict[str, object]:
        """Return all counts by name, as `--json` prints them."""
        return {
            "new": self.new,
            "changed": self.changed,
            "changed_columns": _in_order(self.changed_columns),
            "emptied": self.emptied,
            "emptied_columns": _in_order(self.emptied_columns),
            "untouched": self.untouched,
            "bad_lines": self.bad_lines,
            "archived": self.archived,
            "restored": self.restored,
        }

    def text(self) -> str:
        """Return the counts of the file's products as one line."""
        changed = f"{self.changed} changed{_by_column(self.changed_columns)}"
        emptied = f"{self.emptied} emptied{_by_column(self.emptied_columns)}"
        return (
            f"{self.new} new, {changed}, {emptied}, {self.untouched} untouched,"
            f" {self.bad_lines} bad lines"
        )


def _in_order(counts: Mapping[Column, int]) -> dict[str, int]:
    return {column.value: counts[column] for column in Column if counts[column]}


def _by_column(counts: Mapping[Column, int]) -> str:
    parts = ", ".join(f"{name} {count}" for name, count in _in_order(counts).items())
    return f" ({parts})" if parts else ""
