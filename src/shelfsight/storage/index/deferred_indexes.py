"""Speeds up a large load: drops the indexes before it, and builds them again after it."""

from collections.abc import Sequence
from types import TracebackType

from shelfsight.errors import ShelfsightError
from shelfsight.postgres.connection import Database
from shelfsight.storage.index.build import BuildObserver, build
from shelfsight.storage.index.indexes import drop

LARGE = 10_000
"""A load of more products is large, if they also are more than a fifth of those stored."""

_HOW_TO_RESUME = "run: shelfsight index build"


def is_large(products: int, stored: int) -> bool:
    """Return whether building the indexes anew is faster than updating them during the load."""
    return products > LARGE and products > stored / 5


class DeferredIndexes:
    """Context manager: drops our indexes on entry, and builds those in `names` on exit.

    It also builds them after an error, and after an interrupt that lets the load end in order. It
    does not after KeyboardInterrupt, which asks to stop at once.
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
        except ShelfsightError as failure:
            self._observer.notify(f"The indexes are not built again: {failure}; {_HOW_TO_RESUME}")
            if error is None:
                raise
