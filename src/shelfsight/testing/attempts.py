"""An in-memory fake of the attempt log."""

from collections import Counter
from collections.abc import Sequence


class MemoryAttemptLog:
    """Implements `backfill.ports.AttemptLog`."""

    def __init__(self) -> None:
        self._unended: Counter[str] = Counter()

    def unended(self) -> dict[str, int]:
        """Return how often each product's embedding began since it last ended."""
        return dict(self._unended)

    def begin(self, ids: Sequence[str]) -> None:
        """Record that the products are being embedded."""
        self._unended.update(set(ids))

    def end(self, ids: Sequence[str]) -> None:
        """Record that this has ended."""
        for id_ in ids:
            self._unended.pop(id_, None)
