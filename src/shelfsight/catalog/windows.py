"""Goes through a range of product ids window by window, in smaller ones after a time limit."""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from shelfsight.backfill.runs import KeyRange
from shelfsight.catalog.selection import QUERIES
from shelfsight.catalog.where_condition import CONDITION_SECONDS, MIN_PRODUCTS, too_slow
from shelfsight.catalog.window_rows import Row
from shelfsight.errors import DatabaseTimeoutError, LockTimeoutError, SelectionError
from shelfsight.postgres import statements
from shelfsight.postgres.adaptive_size import AdaptiveSize
from shelfsight.postgres.connection import Connection, Transactions


class Bounds(NamedTuple):
    """The ids greater than `after` and at most `last`, of which `window` products are read."""

    after: str | None
    last: str | None
    window: int


class Windows:
    """The windows of one key range.

    A window has the next `size` products that are selected. If few are, one statement goes through
    much of the table to find them. So after a time limit of the database a window is a range of few
    ids instead, whether they are selected or not.
    """

    def __init__(self, database: Transactions, id_type: str, within: KeyRange, size: int) -> None:
        self.is_over = False
        self._database = database
        self._end = QUERIES["window_end"].format(id_type=statements.trusted(id_type))
        self._within = within
        self._after = within.after
        self._size = AdaptiveSize(size)

    def read_next(self, read: Callable[[Bounds, bool], list[Row]], where: str | None) -> list[Row]:
        """Return the rows of the next window. `read(bounds, patient)` returns those of one window.

        Raises:
            SelectionError: the condition `where` takes too long, or is not one condition.
            DatabaseTimeoutError: even one product takes too long.
        """

        def attempt(size: int, patient: bool) -> tuple[Bounds, list[Row]]:
            bounds = self._bounds(size, patient)
            if where is None:
                return bounds, read(bounds, patient)
            return bounds, _read_condition(read, bounds, where, size)

        bounds, rows = self._size.run(attempt)
        if rows[0].size >= bounds.window:
            if rows[0].last == self._after:
                raise SelectionError(f"--where {where!r} is not one condition")
            self._after = rows[0].last
        elif bounds.last != self._within.last:
            self._after = bounds.last
        else:
            self.is_over = True
        return rows

    def _bounds(self, size: int, patient: bool) -> Bounds:
        largest = self._size.largest
        if size == largest:
            return Bounds(self._after, self._within.last, largest)
        values = {"after": self._after, "last": self._within.last, "size": size}

        def end(connection: Connection) -> str | None:
            row = connection.execute(self._end, values).fetchone()
            return None if row is None else str(row[0])

        last = self._database.run(end, read_only=True, patient=patient)
        return Bounds(self._after, last or self._within.last, largest)


def _read_condition(
    read: Callable[[Bounds, bool], list[Row]], bounds: Bounds, where: str, size: int
) -> list[Row]:
    """Read a window whose products a condition selects.

    Raises:
        SelectionError: the condition takes too long for a window of this size.
        DatabaseTimeoutError: it may be fast enough for fewer products.
    """
    began = monotonic()
    try:
        return read(bounds, False)
    except LockTimeoutError:
        if size > 1:
            raise
    except DatabaseTimeoutError as error:
        took = monotonic() - began
        if size == 1 or (size <= MIN_PRODUCTS and took >= CONDITION_SECONDS):
            raise too_slow(where, size, took) from error
        raise
    return read(bounds, True)  # a lock is no fault of the condition
