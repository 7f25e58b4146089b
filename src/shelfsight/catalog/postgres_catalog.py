"""Reads the products that are due from the shop's own tables, window by window of their ids.

A window is one short read-only statement: no cursor stays open while models work, a
statement_timeout is not reached, and the anti-join is Postgres' own.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from shelfsight.backfill.runs import WHOLE, KeyRange, Partitioning
from shelfsight.catalog.selection import QUERIES, chosen, due, needs
from shelfsight.errors import SchemaError, SelectionError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Transactions, columns
from shelfsight.records import Due, ModelPair, Need, PictureFile, Product, Selection

WINDOW = 2_000
"""Products looked at by one statement of `pages`: few milliseconds, few megabytes."""

COUNT_WINDOW = 20_000
"""Products looked at by one statement of `due`."""

FEW = 10_000
"""Products of which a run may remember the ids, some hundred kilobytes in its ledger."""

SPARSE = 20
"""It does where one of so many or fewer is due: to look for them again would take longer."""

TEXT_LIMIT = 50_000
"""Characters of a title or description that are read; more than the text models take in."""


_NOT_PREPARED = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)

_NOTHING: Mapping[str, Any] = {}


class _Window(NamedTuple):
    size: int
    last: str | None
    rows: list[tuple[Any, ...]]


class PostgresCatalog:
    """`seams.Catalog` over `"ProductVariants"` and `"ProductImages"`.

    Columns other than `"Id"` may be missing. `images_per_product` is part of the content that
    is hashed: only addresses that are used count. A vector of another model than those of `models`
    is needed anew, if its product is due.
    """

    def __init__(
        self,
        database: Transactions,
        *,
        images_per_product: int = 1,
        models: ModelPair | None = None,
    ) -> None:
        self._database = database
        self._images = images_per_product
        self._models = models

    def due(self, selection: Selection) -> Due:
        """Count what `pages` would give."""
        total = [0, 0, 0, 0, 0]
        for window in self._windows("count", selection, COUNT_WINDOW):
            total = [sum(pair) for pair in zip(total, window.rows[0], strict=True)]
        return Due(
            products=total[0],
            with_picture=total[1],
            with_text=total[2],
            with_neither=total[3],
            with_image=total[4],
        )

    def partition(self, selection: Selection, size: int, limit: int | None = None) -> Partitioning:
        """Divide what is due into ranges of `size` products, up to `limit` of them.

        The last range is open where there is no limit: what is added meanwhile belongs to it.
        """
        due = size_of_all = 0
        so_far = {"before": due, "range": size, "limit": limit, "few": FEW}
        bounds: list[str | None] = []
        ids: list[str] = []
        last: str | None = None
        for window in self._windows("cut", selection, COUNT_WINDOW, also=so_far):
            ((found, ends, named),) = window.rows
            due += found
            so_far |= {"before": due, "few": FEW - due}
            bounds += ends
            ids += named
            size_of_all += window.size
            last = window.last or last
        are_few = 0 < due <= min(FEW, size_of_all // SPARSE)
        if limit is None or due < limit:
            bounds = [*bounds[: (due - 1) // size], None] if due else []
        starts = [None, *bounds][: len(bounds)]
        ranges = tuple(KeyRange(after=a, last=b) for a, b in zip(starts, bounds, strict=True))
        return Partitioning(due=due, ranges=ranges, ids=tuple(ids) if are_few else None, last=last)

    def pages(
        self, selection: Selection, size: int, within: KeyRange = WHOLE
    ) -> Iterator[list[Product]]:
        """The products that are due, in order of their ids, `size` a page, the last shorter."""
        waiting: list[Product] = []
        for window in self._windows("window", selection, max(size, WINDOW), within):
            waiting += [_product(row) for row in window.rows if row[0] is not None]
            while len(waiting) >= size:
                page, waiting = waiting[:size], waiting[size:]
                yield page
        if waiting:
            yield waiting

    def _windows(
        self,
        name: str,
        selection: Selection,
        size: int,
        within: KeyRange = WHOLE,
        also: Mapping[str, Any] = _NOTHING,
    ) -> Iterator[_Window]:
        """Window after window; `also` are values that may change between two of them."""
        statement, values = self._statement(name, selection)
        after = within.after
        while True:
            bounds = {"after": after, "last": within.last, "window": size}
            window = self._read(statement, {**values, **bounds, **also}, selection)
            yield window
            if window.size < size:
                return
            if window.last == after:
                raise SelectionError(f"--where {selection.where!r} is not one condition")
            after = window.last

    def _statement(self, name: str, selection: Selection) -> tuple[sql.Composed, dict[str, Any]]:
        variants, images, products = self._database.run(_shop_columns, read_only=True)
        condition, values = chosen(selection, variants, products)
        source = QUERIES["source"].format(
            id_type=statements.trusted(variants["Id"]),
            product_id=_column(variants, "ProductId", "NULL::text"),
            owner=_column(variants, "UserId", "NULL::text"),
            title=_text(variants, "Title"),
            description=_text(variants, "Description"),
            position=_column(images, "Position", "0"),
            chosen=condition,
            within=QUERIES["within"],
            files=QUERIES["files"],
            due=due(selection),
            **needs(selection),
        )
        text_limit = sql.Literal(TEXT_LIMIT)
        statement = QUERIES[name].format(source=source, text_limit=text_limit)
        models = self._models
        return statement, {
            **values,
            "images": self._images,
            "image_model": models and models.image,
            "text_model": models and models.text,
        }

    def _read(
        self, statement: sql.Composed, values: dict[str, Any], selection: Selection
    ) -> _Window:
        def work(connection: Connection) -> list[tuple[Any, ...]]:
            return connection.execute(statement, values).fetchall()

        try:
            rows = self._database.run(work, read_only=True)
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            reason = error.diag.message_primary or str(error)
            if selection.where is not None:
                raise SelectionError(f"--where {selection.where!r}: {reason}") from error
            if isinstance(error, _NOT_PREPARED):
                raise SchemaError(f"{reason}; run: shelfsight init") from error
            if isinstance(error, psycopg.DataError):
                raise SelectionError(f"the selection is refused: {reason}") from error
            raise SchemaError(f"the shop's tables cannot be read: {reason}") from error
        size, last, *_ = rows[0]
        return _Window(size, last, [row[2:] for row in rows])


def _shop_columns(connection: Connection) -> tuple[dict[str, str], ...]:
    """Those of the variants, of their images, and of the products, if there is such a table."""
    variants, images = columns(connection, "ProductVariants"), columns(connection, "ProductImages")
    for table, found in (("ProductVariants", variants), ("ProductImages", images)):
        if "Id" not in found:
            raise SchemaError(
                f'there is no table "{table}" with a column "Id"; run: shelfsight init'
            )
    return variants, images, columns(connection, "Products")


def _column(found: dict[str, str], name: str, otherwise: str) -> sql.Composable:
    return sql.Identifier(name) if name in found else statements.trusted(otherwise)


def _text(found: dict[str, str], name: str) -> sql.Composable:
    return sql.SQL("coalesce({}::text, '')").format(_column(found, name, "NULL"))


def _product(row: tuple[Any, ...]) -> Product:
    id_, product_id, owner_id, title, description, image_urls, source_hash, *state = row
    is_new, image_need, text_need, files = state
    return Product(
        id=id_,
        product_id=product_id,
        owner_id=owner_id,
        title=title,
        description=description,
        image_urls=tuple(image_urls),
        source_hash=source_hash,
        is_new=is_new,
        image_need=Need(image_need),
        text_need=Need(text_need),
        files=tuple(_file(url, said) for url, said in (files or {}).items()),
    )


def _file(url: str, said: Mapping[str, str]) -> PictureFile:
    return PictureFile(
        url=url,
        content_hash=said["hash"],
        etag=said.get("etag"),
        last_modified=said.get("modified"),
        source=said.get("source"),
    )
