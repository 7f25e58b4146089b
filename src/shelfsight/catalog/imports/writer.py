"""Writes imported products into the shop's tables. A second import of a file changes nothing."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.catalog.imports.changes import StoredVariant
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.import_summary import ImportSummary
from shelfsight.catalog.imports.imported import BadLine, Column, ImportedProduct
from shelfsight.catalog.imports.page_plan import (
    ChangedVariant,
    Line,
    PagePlan,
    ProductState,
    match,
    plan,
)
from shelfsight.catalog.imports.shop_tables import ArchiveColumn, ShopTables
from shelfsight.postgres import statements
from shelfsight.postgres.adaptive_size import AdaptiveSize, Part
from shelfsight.postgres.connection import Connection, Database, fetch_as

QUERIES = statements.load("shelfsight.catalog.imports", "imports.sql")

PAGE = 500
"""How many products one transaction writes at most."""

_PATCHED = {
    Column.TITLE: "Title",
    Column.DESCRIPTION: "Description",
    Column.PRICE: "Price",
    Column.BARCODE: "Barcode",
}
_EMPTY_TEXT = frozenset({Column.TITLE, Column.DESCRIPTION})
"""The columns in which an empty value is "". In the others it is NULL."""


class ProductWriter:
    """An import in progress: writes pages of products and counts them in `summary`.

    In a dry run nothing is written, and the counts are the same.
    """

    def __init__(self, database: Database, tables: ShopTables, options: ImportOptions) -> None:
        self.summary = ImportSummary()
        self._database = database
        self._options = options
        self._archive_column = tables.archive_column()
        self._has_links = tables.has_links
        self._query = _stored_variants(tables, self._archive_column, lock=not options.dry_run)
        self._products: dict[UUID, ProductState] = {}
        self._page_size = AdaptiveSize(PAGE)

    def add(self, page: Sequence[ImportedProduct]) -> list[BadLine]:
        """Write a page in one transaction, and count it; return the lines that were not imported.

        After a time limit of the database a page is written in parts.

        Raises:
            DatabaseError: the database stays unreachable, or the role lacks a right.
        """

        def write(part: Part[ImportedProduct]) -> tuple[PagePlan, list[BadLine]]:
            work = partial(self._work, part.items)
            dry_run = self._options.dry_run
            return self._database.run(work, read_only=dry_run, patient=part.patient)

        bad: list[BadLine] = []
        for done, refused in self._page_size.in_parts(page, write):
            self._products.update(done.products)
            self.summary.add(done.summary)
            bad += refused
        return bad

    def _work(
        self, page: Sequence[ImportedProduct], connection: Connection
    ) -> tuple[PagePlan, list[BadLine]]:
        rows = [
            {"sku": p.sku, "owner": p.owner_id, "price": _text(p.price), "link": p.link}
            for p in page
        ]
        stored = fetch_as(StoredVariant, connection, self._query, {"rows": Jsonb(rows)})
        lines, bad = match(page, stored)
        result = plan(lines, self._read_products(connection, lines), self._options)
        if not self._options.dry_run:
            self._write(connection, result)
        return result, bad

    def _read_products(
        self, connection: Connection, lines: Sequence[Line]
    ) -> dict[UUID, ProductState]:
        """Read the rows of `"Products"` of the lines. What this import decided before counts."""
        ids = {line.product_id for line in lines}
        ids |= {line.stored.product_id for line in lines if line.stored is not None}
        known = [id_ for id_ in ids if id_ is not None]
        found = connection.execute(QUERIES["product_categories"], {"ids": known})
        states = {id_: ProductState(category, False) for id_, category in found}
        return states | {id_: self._products[id_] for id_ in known if id_ in self._products}

    def _write(self, connection: Connection, page: PagePlan) -> None:
        def run(name: str, rows: Sequence[object], **values: object) -> list[tuple[UUID, UUID]]:
            if not rows:
                return []
            cursor = connection.execute(QUERIES[name], {"rows": Jsonb(rows), **values})
            return cursor.fetchall() if cursor.description else []

        created = page.new_products.items()
        run("create_products", [_product_row(id_, line, page) for id_, line in created])
        categories = page.categories.items()
        run("set_categories", [{"id": str(id_), "category": name} for id_, name in categories])
        new_ids = dict(run("insert_variants", [_new_row(line) for line in page.new]))
        run("update_variants", [_changed_row(variant) for variant in page.changed])
        if self._has_links:
            run("set_links", _links(page, new_ids))
        images = _images(page, new_ids)
        image_rows = [{"variant_id": str(id_), "urls": urls} for id_, urls in images.items()]
        run("replace_images", image_rows, variants=list(images))
        if page.restored and self._archive_column is not None:
            column = self._archive_column
            query = QUERIES["restore_variants"].format(column=column.name, unmark=column.unmark)
            connection.execute(query, {"ids": page.restored})


def _stored_variants(
    tables: ShopTables, column: ArchiveColumn | None, *, lock: bool
) -> sql.Composed:
    query = QUERIES["stored_variants"].format(
        is_living=tables.is_living,
        link=sql.SQL('v."Link"' if tables.has_links else "x.link"),
        is_marked=sql.SQL("false") if column is None else column.is_marked,
    )
    return query + sql.SQL("\n") + QUERIES["lock_variants"] if lock else query


def _product_row(id_: UUID, line: Line, page: PagePlan) -> dict[str, object]:
    title = line.product.title or (line.stored.title if line.stored is not None else "")
    category = page.products[id_].category
    return {"id": str(id_), "owner": line.owner_id, "title": title, "category": category}


def _new_row(line: Line) -> dict[str, object]:
    product = line.product
    return {
        "id": str(line.new_id),
        "product_id": str(line.product_id),
        "owner": product.owner_id,
        "sku": product.sku,
        "barcode": product.barcode,
        "title": product.title,
        "description": product.description,
        "price": _text(product.price),
        "options": {name: text for name, text in product.options.items() if text},
    }


def _changed_row(variant: ChangedVariant) -> dict[str, object]:
    line, changes = variant.line, variant.changes
    patch: dict[str, object] = {}
    for column, name in _PATCHED.items():
        if column in changes.values:
            value = changes.values[column]
            patch[name] = _text(value) if column is Column.PRICE else value
        elif column in changes.emptied:
            patch[name] = "" if column in _EMPTY_TEXT else None
    if line.is_moved:
        patch["ProductId"] = str(line.product_id)
    has_options = changes.options or Column.OPTIONS in changes.emptied
    return {
        "id": str(variant.id),
        "patch": patch,
        "options": changes.options if has_options else None,
        "removed_options": list(changes.removed_options),
    }


def _links(page: PagePlan, new_ids: dict[UUID, UUID]) -> list[dict[str, object]]:
    """Return the link of each variant whose link changes; `new_ids` is as in `_images`."""
    links: dict[UUID, str | None] = {
        new_ids[line.new_id]: line.product.link for line in page.new if line.product.link
    }
    for variant in page.changed:
        if Column.LINK in variant.changes.values.keys() | variant.changes.emptied:
            links[variant.id] = variant.line.product.link
    return [{"id": str(id_), "link": link} for id_, link in links.items()]


def _images(page: PagePlan, new_ids: dict[UUID, UUID]) -> dict[UUID, list[str]]:
    """Return the pictures of each variant whose pictures change, by its id.

    `new_ids` has the stored id of each new variant by the id that it should have.
    """
    images = {new_ids[line.new_id]: list(line.product.image_urls) for line in page.new}
    images = {id_: urls for id_, urls in images.items() if urls}
    for variant in page.changed:
        if Column.IMAGES in variant.changes.values.keys() | variant.changes.emptied:
            images[variant.id] = list(variant.line.product.image_urls)
    return images


def _text(value: object) -> str | None:
    return None if value is None else str(value)
