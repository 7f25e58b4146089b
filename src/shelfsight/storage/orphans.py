"""Deletes the vectors and failures of products that the shop has deleted, while a watch runs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import psycopg
from psycopg import sql

from shelfsight.backfill.losses import excess
from shelfsight.errors import DatabaseError
from shelfsight.postgres import statements
from shelfsight.postgres.adaptive_size import AdaptiveSize
from shelfsight.postgres.connection import Connection, Transactions, columns, fetch_as
from shelfsight.records import VectorCounts
from shelfsight.storage.prune import (
    FAILURES,
    VECTORS,
    WINDOW,
    disable_row_security,
    prune_confirmed_photos,
    prune_table,
)

QUERIES = statements.load("shelfsight.storage", "orphans.sql")


class _Window(NamedTuple):
    """One window of the stored rows: its size and last id, its vectors, and those without product.

    The fields are the columns of the statement `count`, in order.
    """

    size: int
    last: str | None
    image: int
    text: int
    combined: int
    gone_image: int
    gone_text: int
    gone_combined: int


class PostgresOrphanPruner:
    """Implements `backfill.ports.OrphanPruner`. `notify` is called with what could not be done."""

    def __init__(self, database: Transactions, notify: Callable[[str], None]) -> None:
        self._database = database
        self._notify = notify
        self._told: str | None = None

    def are_in_shop(self, ids: Sequence[str]) -> bool:
        """Return whether the shop still has all these products."""

        def work(connection: Connection) -> bool:
            query = QUERIES["are_in_shop"].format(id_type=_id_type(connection))
            values = {"ids": [*ids], "wanted": len(set(ids))}
            return bool(connection.execute(query, values).fetchall()[0][0])

        return self._database.run(work, read_only=True)

    def prune(self) -> int:
        """Delete the rows of deleted products; return how many there were.

        If they hold more than a tenth of the vectors of a kind, they stay, and `notify` is told:
        the shop may be about to fill a table that it has emptied.
        """
        try:
            if "Id" not in self._database.run(_variants, read_only=True):
                return 0
            stored, gone = self._count()
            if much := excess(gone, stored):
                self._say(f"{much} are of deleted products; to delete them: shelfsight prune")
                return 0
            self._told = None
            prune_gone = partial(prune_table, self._database, archived=False)
            rows = (prune_gone(VECTORS) if gone.is_any else 0) + prune_gone(FAILURES)
            return rows + prune_confirmed_photos(self._database)
        except DatabaseError as error:
            if not isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                raise
            self._say(f"what is left of deleted products stays: {error}")
            return 0

    def _count(self) -> tuple[VectorCounts, VectorCounts]:
        """Count the stored vectors, and those among them whose products are deleted."""
        stored, gone = VectorCounts(), VectorCounts()
        after: str | None = None

        def count_window(size: int, patient: bool) -> tuple[_Window, bool]:
            work = partial(_count_window, after=after, size=size)
            window = self._database.run(work, read_only=True, patient=patient)
            return window, window.size < size

        sizes, is_over = AdaptiveSize(WINDOW), False
        while not is_over:
            window, is_over = sizes.run(count_window)
            stored += VectorCounts(image=window.image, text=window.text, combined=window.combined)
            gone += VectorCounts(
                image=window.gone_image, text=window.gone_text, combined=window.gone_combined
            )
            after = window.last
        return stored, gone

    def _say(self, message: str) -> None:
        """Say each message once."""
        if message != self._told:
            self._notify(message)
        self._told = message


def _variants(connection: Connection) -> dict[str, str]:
    return columns(connection, "ProductVariants")


def _id_type(connection: Connection) -> sql.SQL:
    return statements.trusted(_variants(connection).get("Id", "uuid"))


def _count_window(connection: Connection, *, after: str | None, size: int) -> _Window:
    disable_row_security(connection)
    statement = QUERIES["count"].format(id_type=_id_type(connection))
    (window,) = fetch_as(_Window, connection, statement, {"after": after, "window": size})
    return window
