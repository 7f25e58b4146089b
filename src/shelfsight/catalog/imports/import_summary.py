"""Counts what an import does to the products of the shop."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from shelfsight.catalog.imports.imported import BadCell, BadLine, Column, LeftOut, NotForSale
from shelfsight.catalog.imports.preview import PREVIEWED, Preview


@dataclass(slots=True, kw_only=True)
class ImportSummary:
    """What an import did, or would do.

    Each product of the file is `new`, `changed` or `untouched`. `changed_columns` and
    `emptied_columns` count the values that were replaced and emptied; a product of which a value
    was emptied is a changed one. `left_out` counts the products that the shop does not sell, and
    `bad_cells` those cells without which a product was imported. `archived` and `restored` are only
    counted for a complete file; restored products are among those that changed. A dry run has the
    first products as they would be stored.
    """

    new: int = 0
    changed: int = 0
    untouched: int = 0
    bad_lines: int = 0
    bad_cells: int = 0
    left_out: Counter[NotForSale] = field(default_factory=Counter)
    archived: int = 0
    restored: int = 0
    changed_columns: Counter[Column] = field(default_factory=Counter)
    emptied_columns: Counter[Column] = field(default_factory=Counter)
    first_products: list[Preview] = field(default_factory=list, compare=False)

    @property
    def products(self) -> int:
        """The number of products of the file."""
        return self.new + self.changed + self.untouched

    @property
    def emptied(self) -> int:
        """The number of values that were emptied."""
        return self.emptied_columns.total()

    def note(self, item: BadLine | BadCell | LeftOut) -> None:
        """Count what is not imported."""
        if isinstance(item, LeftOut):
            self.left_out[item.reason] += 1
        elif isinstance(item, BadLine):
            self.bad_lines += 1
        else:
            self.bad_cells += 1

    def add(self, page: "ImportSummary") -> None:
        """Add the counts of a page of products."""
        self.new += page.new
        self.changed += page.changed
        self.untouched += page.untouched
        self.restored += page.restored
        self.first_products = [*self.first_products, *page.first_products][:PREVIEWED]
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
            "bad_cells": self.bad_cells,
            "left_out": {r.value: self.left_out[r] for r in NotForSale if self.left_out[r]},
            "archived": self.archived,
            "restored": self.restored,
        }

    def text(self) -> str:
        """Return the counts of the file's products as one line."""
        changed = f"{self.changed} changed{_by_column(self.changed_columns)}"
        emptied = f"{self.emptied} emptied{_by_column(self.emptied_columns)}"
        left_out = ", ".join(f"{r} {self.left_out[r]}" for r in NotForSale if self.left_out[r])
        return (
            f"{self.new} new, {changed}, {emptied}, {self.untouched} untouched,"
            f" {self.bad_lines} bad lines"
            + (f", {self.bad_cells} bad cells" if self.bad_cells else "")
            + (f", {self.left_out.total()} left out ({left_out})" if left_out else "")
        )


def _in_order(counts: Mapping[Column, int]) -> dict[str, int]:
    return {column.value: counts[column] for column in Column if counts[column]}


def _by_column(counts: Mapping[Column, int]) -> str:
    parts = ", ".join(f"{name} {count}" for name, count in _in_order(counts).items())
    return f" ({parts})" if parts else ""
