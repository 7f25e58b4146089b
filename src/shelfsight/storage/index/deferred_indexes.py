"""Speeds up a large load: drops the indexes before it, and builds them again after it."""

from collections.abc import Sequence
from types import TracebackType

from shelfsight.errors import ShelfsightError
from shelfsight.postgres.connection import Database
from shelfsight.storage.index.build import BuildObserver, build
from shelfsight.storage.index.indexes import drop
from shelfsight.storage.index.recall import tune

LARGE = 10_000
"""A load is large if it has more products than this, and more than a fifth of the stored
products."""

_HOW_TO_RESUME = "run: shelfsight index build"


def is_large(products: int, stored: int) -> bool:
    """Return whether a load is large, so that its indexes should be dropped and built again.

    For a large load that is faster than updating the indexes row by row.
    """
    return products > LARGE and products > stored / 5


class DeferredIndexes:
    """Context manager for a large load: drops our indexes on entry, rebuilds `names` on exit.

    The indexes are built again after an error too, and after an interrupt that lets the load end in
    an orderly way. They are not built after KeyboardInterrupt, with which the user asks to stop at
    once.
    """

    def __init__(self, database: Database, names: Sequence[str], observer: BuildObserver) -> None:
        self._database = database
        self._names = names
        self._observer = observer

    def __enter__(self) -> None:
        self._observer.notify(
            f"Dropping {len(self._names)} indexes for this load; they are built again at its end."
            f" If it is killed, {_HOW_TO_RESUME}"
        )
        drop(self._database)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._observer.notify(f"The indexes are not built again; {_HOW_TO_RESUME}")
            return
        self._observer.notify("Building the indexes again")
        try:
            build(self._database, self._observer, self._names)
            for line in tune(self._database):
                self._observer.notify(line)
        except ShelfsightError as failure:
            self._observer.notify(f"The indexes are not built again: {failure}; {_HOW_TO_RESUME}")
            if error is None:
                raise
