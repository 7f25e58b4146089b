"""The environment that benchmark cases run in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suite.figure import Figure

from shelfsight.postgres.connection import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchContext:
    """A database and a folder for the cases, and their sizes.

    `quick` makes the cases so small that they only show that they run. `large` adds a search among
    1,000,000 products.
    """

    database: Database
    folder: Path
    quick: bool
    large: bool = False

    def size(self, full: int, quick: int) -> int:
        """Return the number of products: `quick` in a quick run, else `full`."""
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        """How often each figure is measured."""
        return 1 if self.quick else 3


Case = Callable[[BenchContext], Iterator[Figure]]
"""A benchmark: yields its figures."""
