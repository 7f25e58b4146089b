"""Reads the products that are due from the shop's own tables, window by window of their ids.

Each window is read by a short read-only statement. So no cursor stays open while models work, and
a statement_timeout is rarely reached; then the windows become smaller. Postgres itself compares the
products with what is stored.
"""

from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any

import psycopg
from psycopg import sql

from shelfsight.backfill.picture_identity import MAX_ADDRESS_LENGTH
from shelfsight.backfill.runs import WHOLE, KeyRange, Partitioning
from shelfsight.catalog import column_memory
from shelfsight.catalog.content import Content, content_parts
from shelfsight.catalog.selection import QUERIES, due_condition, needs, selected
from shelfsight.catalog.stored_text_fields import stored_text_fields
from shelfsight.catalog.where_condition import limit_condition, refused_condition
from shelfsight.catalog.window_rows import (
    COUNT,
    PARTITION,
    PRODUCTS,
    Row,
    WindowQuery,
    product_of,
)
from shelfsight.catalog.windows import Bounds, Windows
from shelfsight.errors import SchemaError, SelectionError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Transactions, columns, fetch_as
from shelfsight.postgres.need import model_parameters
from shelfsight.postgres.rows import readable_columns
from shelfsight.records import (
    TEXT_FIELDS,
    Due,
    ModelPair,
    Product,
    Selection,
    TextField,
    VectorCounts,
)

_TEXT_FIELDS_SECONDS = 60
"""Seconds between two looks for stored texts, while there are none: each reads a whole table."""

WINDOW = 2_000
"""How many products one statement of `pages` goes through: that takes a few milliseconds and
megabytes."""

COUNT_WINDOW = 20_000
"""How many products one statement of `due` and `partition` goes through."""

FEW = 10_000
"""How many product ids a run may remember at most. They take some hundred kilobytes in the tables
of runs."""

SPARSE = 20
"""A run stores the ids of its due products if at most one product in this many is due. Then the
workers need not scan all products again."""

TEXT_LIMIT = 50_000
"""How many characters of each part of a text are read. The text models take fewer."""


_NOT_PREPARED = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)

_NEEDED = {"ProductVariants": ("Id",), "ProductImages": ("Id", "ProductVariantId", "ImageUrl")}
"""The columns of the shop that a backfill cannot do without."""

WHOLE_CONTENT = Content()

_NO_VALUES: Mapping[str, Any] = {}


class PostgresCatalog:
    """Implements `ports.Catalog` on `"ProductVariants"` and `"ProductImages"`.

    Columns other than `"Id"` may be missing. `content` says what counts: a change to anything else,
    such as to further pictures, does not make a product due. If a product is due, its vectors by
    models other than `models` are replaced too. `settings` are the fingerprints of the settings in
    use: a failure caused by a setting that has changed since is due again. Without `settings` it
    waits for its next attempt.
    """

    def __init__(
        self,
        database: Transactions,
        *,
        content: Content = WHOLE_CONTENT,
        models: ModelPair | None = None,
        settings: tuple[str, ...] | None = None,
    ) -> None:
        self._database = database
        self._content = content
        self._text_fields = content.text_fields
        self._ask_text_fields_at = 0.0
        self._models = models
        self._settings = None if settings is None else list(settings)

    def due(self, selection: Selection) -> Due:
        """Count the products that `pages` would return."""
        counts = [rows[0] for rows in self._windows(COUNT, selection, COUNT_WINDOW)]
        return Due(
            products=sum(row.products for row in counts),
            with_picture=sum(row.with_picture for row in counts),
            with_text=sum(row.with_text for row in counts),
            with_neither=sum(row.with_neither for row in counts),
            with_image=sum(row.with_image for row in counts),
            selected=sum(row.size for row in counts),
            lost=sum((row.lost for row in counts), VectorCounts()),
        )

    def partition(self, selection: Selection, size: int, limit: int | None = None) -> Partitioning:
        """Divide the products that are due into ranges of `size` products, up to `limit` in all.

        If the limit is not reached, the last range is open-ended: products that are added later
        belong to it.
        """
        due = scanned = 0
        lost = VectorCounts()
        so_far = {"before": due, "range": size, "limit": limit, "few": FEW}
        bounds: list[str | None] = []
        ids: list[str] = []
        last: str | None = None
        for (row,) in self._windows(PARTITION, selection, COUNT_WINDOW, values=so_far):
            due += row.products
            so_far |= {"before": due, "few": FEW - due}
            bounds += row.range_ends
            ids += row.ids
            scanned += row.size
            lost += row.lost
            last = row.last or last
        are_few = 0 < due <= min(FEW, scanned // SPARSE)
        if limit is None or due < limit:
            bounds = [*bounds[: (due - 1) // size], None] if due else []
        starts = [None, *bounds][: len(bounds)]
        ranges = tuple(KeyRange(after=a, last=b) for a, b in zip(starts, bounds, strict=True))
        return Partitioning(
            due=due,
            selected=scanned,
            ranges=ranges,
            ids=tuple(ids) if are_few else None,
            last=last,
            lost=lost,
        )

    def pages(
        self, selection: Selection, size: int, within: KeyRange = WHOLE
    ) -> Iterator[list[Product]]:
        """Yield pages of `size` products each: those that are due, in the order of their ids."""
        waiting: list[Product] = []
        for rows in self._windows(PRODUCTS, selection, max(size, WINDOW), within):
            fields = self.text_fields()
            waiting += [
                product_of(row, row.id, self._content, fields) for row in rows if row.id is not None
            ]
            while len(waiting) >= size:
                page, waiting = waiting[:size], waiting[size:]
                yield page
        if waiting:
            yield waiting

    def text_fields(self) -> tuple[TextField, ...]:
        """Return the parts that texts are made of: those asked for, or else of the stored texts."""
        if self._text_fields is None and monotonic() >= self._ask_text_fields_at:
            # while no text is stored, another run may store the first ones
            self._text_fields = self._database.run(stored_text_fields, read_only=True)
            self._ask_text_fields_at = monotonic() + _TEXT_FIELDS_SECONDS
        return self._text_fields or TEXT_FIELDS

    def check(self) -> None:
        """Read one product with the statement of `pages`, to see whether a backfill could.

        Raises:
            SchemaError: a table or a column is missing, or cannot be read; the message says what to
                do.
            CatalogueChangedError: one that an earlier run has read.
        """
        statement, values, _ = self._statement(PRODUCTS.name, Selection())
        bounds = Bounds(after=None, last=None, window=1)
        self._read(PRODUCTS.row, statement, {**values, **bounds._asdict()}, Selection())

    def remember(self) -> None:
        """Remember which columns there are, so that later runs notice if one is gone."""
        fields = self.text_fields()

        def work(connection: Connection) -> None:
            column_memory.remember(connection, _read_columns(connection), fields)

        self._database.run(work)

    def forget(self) -> None:
        """Forget which columns there were, because what is gone is gone on purpose."""
        self._database.run(column_memory.forget)

    def _windows(
        self,
        query: WindowQuery[Row],
        selection: Selection,
        size: int,
        within: KeyRange = WHOLE,
        values: Mapping[str, Any] = _NO_VALUES,
    ) -> Iterator[list[Row]]:
        """Yield the rows of one window after another. Each window has at least one row.

        `values` are further parameters of the statement. The caller may change them between two
        windows.
        """
        statement, own_values, id_type = self._statement(query.name, selection)
        windows = Windows(self._database, id_type, within, size)
        while not windows.is_over:

            def read(bounds: Bounds, patient: bool) -> list[Row]:
                given = {**own_values, **bounds._asdict(), **values}
                return self._read(query.row, statement, given, selection, patient=patient)

            yield windows.read_next(read, selection.where)

    def _statement(
        self, name: str, selection: Selection
    ) -> tuple[sql.Composed, dict[str, Any], str]:
        """Return a statement about a window, its values but the bounds, and the type of ids."""
        variants, images, products, readable = self._database.run(_shop_columns, read_only=True)
        condition, values = selected(selection, variants, products, self._content.time_zone)
        source = QUERIES["source"].format(
            id_type=statements.trusted(variants["Id"]),
            product_id=_column(variants, "ProductId", "NULL::text"),
            **content_parts(self.text_fields(), self._content.language, variants, readable),
            chosen_image=_chosen_image(variants),
            is_other=QUERIES["is_other"] if "ImageId" in variants else sql.SQL(""),
            position=_column(images, "Position", "0"),
            selected=condition,
            within=_within(selection, variants["Id"]),
            files=QUERIES["files"],
            due=due_condition(selection),
            **needs(selection),
        )
        owner = QUERIES["owner_of_due"] if "UserId" in variants else sql.SQL("NULL::text")
        statement = QUERIES[name].format(
            source=source,
            text_limit=sql.Literal(TEXT_LIMIT),
            address_limit=sql.Literal(MAX_ADDRESS_LENGTH + 1),
            owner_of_due=owner,
        )
        values |= {
            **self._content.parameters(),
            "vector_set": self._database.vector_set,
            "settings": self._settings,
            **model_parameters(self._models),
        }
        return statement, values, variants["Id"]

    def _read(
        self,
        row: type[Row],
        statement: sql.Composed,
        values: Mapping[str, Any],
        selection: Selection,
        *,
        patient: bool = True,
    ) -> list[Row]:
        def work(connection: Connection) -> list[Row]:
            if selection.where is not None:
                limit_condition(connection)
            with refused_condition(selection.where):
                return fetch_as(row, connection, statement, values)

        try:
            return self._database.run(work, read_only=True, patient=patient)
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            reason = error.diag.message_primary or str(error)
            if isinstance(error, _NOT_PREPARED):
                self._database.run(_shop_columns, read_only=True)  # explains it better, if it can
                raise SchemaError(f"{reason}; run: shelfsight init") from error
            if isinstance(error, psycopg.DataError):
                raise SelectionError(f"the selection is refused: {reason}") from error
            raise SchemaError(f"the shop's tables cannot be read: {reason}") from error


def _read_columns(connection: Connection) -> dict[str, dict[str, str]]:
    return {table: columns(connection, table) for table in (*_NEEDED, "Products")}


def _shop_columns(connection: Connection) -> tuple[dict[str, str], ...]:
    """Return the columns of the variants, of their images, and twice of the products.

    The columns of the products are empty if there is no table `"Products"`. The second time they
    are those that the role may read: texts do without the others.

    Raises:
        SchemaError: a table or column is missing that no run can do without.
        CatalogueChangedError: one is gone that an earlier run has read.
    """
    found = _read_columns(connection)
    column_memory.refuse_missing(connection, found)
    for table, needed in _NEEDED.items():
        if not found[table]:
            raise SchemaError(f'there is no table "{table}"; run: shelfsight init')
        missing = [f'"{name}"' for name in needed if name not in found[table]]
        if missing:
            raise SchemaError(
                f'"{table}" lacks {", ".join(missing)}, and a backfill cannot do without;'
                f" shelfsight does not change that table: add what is missing, or put a view named"
                f' "{table}" in its place'
            )
    readable = readable_columns(connection, "Products")
    return found["ProductVariants"], found["ProductImages"], found["Products"], readable


def _chosen_image(variants: dict[str, str]) -> sql.Composable:
    return sql.SQL("{}::text").format(_column(variants, "ImageId", "NULL"))


def _within(selection: Selection, id_type: str) -> sql.Composable:
    """Return the condition on ids that narrows each join: chosen ids, or the bounds of a window."""
    if not selection.variants:
        return QUERIES["within"]
    return QUERIES["among"].format(id_type=statements.trusted(id_type))


def _column(found: dict[str, str], name: str, otherwise: str) -> sql.Composable:
    return sql.Identifier(name) if name in found else statements.trusted(otherwise)
