"""Where the cases run, and how large they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suite.figure import Figure

from shelfsight.postgres.connection import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where the cases run. `quick` makes them small: they then show that they run, not how fast."""

    database: Database
    folder: Path
    quick: bool
    large: bool = False

    def size(self, full: int, quick: int) -> int:
        """How many products."""
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        """How often each is measured."""
        return 1 if self.quick else 3


Case = Callable[[Bench], Iterator[Figure]]
