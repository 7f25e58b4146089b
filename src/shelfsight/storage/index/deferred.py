"""A large load without indexes: dropped before it, built again after it."""

from collections.abc import Sequence
from types import TracebackType

from shelfsight.errors import ShelfsightError
from shelfsight.postgres.connection import Database
from shelfsight.storage.index.build import Watcher, build
from shelfsight.storage.index.indexes import drop

LARGE = 10_000
"""Products from which a load is large, if they also are more than a fifth of the stored ones."""

_GO_ON = "run: shelfsight index build"


def is_large(products: int, stored: int) -> bool:
    """Whether so many products take longer to put into live indexes than to index all anew."""
    return products > LARGE and products > stored / 5


class Deferred:
    """As a context: these indexes are gone within it, and are built again at its end.

    That is also done after an error and after an interrupt that let the load end in order, but
    not on KeyboardInterrupt, which asks to stop at once.
    """

    def __init__(self, database: Database, names: Sequence[str], watcher: Watcher) -> None:
        self._database = database
        self._names = names
        self._watcher = watcher

    def __enter__(self) -> None:
        self._watcher.notify(
            f"Dropping {len(self._names)} indexes for this load; they are built again at its end."
            f" If it is killed, {_GO_ON}"
        )
        drop(self._database)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._watcher.notify(f"The indexes are not built again; {_GO_ON}")
            return
        self._watcher.notify("Building the indexes again")
        try:
            build(self._database, self._watcher, self._names)
        except ShelfsightError as failure:
            self._watcher.notify(f"The indexes are not built again: {failure}; {_GO_ON}")
            if error is None:
                raise
