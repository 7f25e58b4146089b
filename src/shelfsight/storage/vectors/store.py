"""Stores vectors and failures page by page."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import NamedTuple

import psycopg
from pgvector import Vector as PgVector
from psycopg import sql

from shelfsight.backfill.leases import Checkpoint
from shelfsight.errors import CatalogueChangedError, SchemaError
from shelfsight.ports import Fusion
from shelfsight.postgres import statements
from shelfsight.postgres.adaptive_size import AdaptiveSize, Part
from shelfsight.postgres.connection import Connection, Database, columns, fetch_as
from shelfsight.postgres.need import is_current, model_parameters
from shelfsight.records import EmbeddedProduct, ModelPair, VectorCounts
from shelfsight.storage.embeddings_table import needs_id
from shelfsight.storage.runs.lease_keeper import LeaseLostError, advance, count_outcomes, hold
from shelfsight.storage.shop_columns import (
    Column,
    emptied,
    holds_values,
    read_columns,
    with_parameters,
)
from shelfsight.storage.vectors.copy import bulk_copy, copy_types
from shelfsight.storage.vectors.failure_log import record_failures
from shelfsight.storage.vectors.image_files import update_files
from shelfsight.storage.vectors.merge import array, merge_stored
from shelfsight.storage.vectors.model_check import checked_table, lock_table, refuse_others
from shelfsight.storage.vectors.queries import QUERIES
from shelfsight.storage.vectors.staging import (
    StagedCombined,
    stage_combined,
    stage_products,
    staged_product,
)
from shelfsight.storage.vectors.target_set import TargetSet

_CAST = ("ProductId", "UserId", "ImageUrl", "ImageHash", "ProductText", "SourceType")
"""The columns whose types in the shop's table may differ from ours, such as a shorter text or an
enum. Their values are cast to the existing type."""

_STAGED_HASH = sql.SQL("s.source_hash")

MAX_PAGE = 10_000
"""How many products one transaction of `save` stores at most."""

RECOMBINE_PAGE = 1_000
"""How many products one transaction of `recombine` updates at most."""


class _Parts(NamedTuple):
    """The stored vectors of a product whose combined vector is out of date."""

    id: object
    image: PgVector | None
    text: PgVector | None


class PostgresVectorStore:
    """Implements `ports.VectorStore` on `"ProductEmbeddings"` and `"EmbeddingFailures"`."""

    def __init__(self, database: Database, fusion: Fusion) -> None:
        self._database = database
        self._fusion = fusion
        self._columns_read: dict[str, dict[str, str]] = {}
        self._table: int | None = None
        self._page_size = AdaptiveSize(MAX_PAGE)
        self._recombine_size = AdaptiveSize(RECOMBINE_PAGE)

    def require(self, models: ModelPair, *, replace: bool = False) -> None:
        """Check, before the first write, that these models made the stored vectors.

        With `replace`, vectors by other models are accepted, because they will be replaced.

        Raises:
            SchemaError: columns are missing or have other dimensions.
            ModelMismatchError: other models made the stored vectors, and `replace` is False.
        """
        if replace:
            self._table = self._database.run(checked_table, read_only=True)
        else:
            self._table = refuse_others(self._database, models)

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        """Store a page in one transaction and return the products that were stored.

        The returned products also have the stored vectors that were kept. A product is left out,
        and stays due, if a vector that it keeps has changed or is gone by now. With `checkpoint`,
        the progress of its claim is recorded in the same transaction. If another worker has taken
        over the claim, nothing is stored, and `[]` is returned. If the connection is lost, the
        transaction is repeated. After a time limit of the database the page is stored in parts,
        and its progress is recorded with the last one.

        Raises:
            SchemaError: a product occurs twice.
            CatalogueChangedError: meanwhile, a table or column was renamed or dropped.
            ModelMismatchError: meanwhile, vectors of other models were switched into use.
            DatabaseTimeoutError: even one product takes too long.
        """
        stored: list[EmbeddedProduct] = []

        def save_part(part: Part[EmbeddedProduct]) -> list[EmbeddedProduct]:
            def record(connection: Connection, merged: list[EmbeddedProduct]) -> bool:
                done = [*stored, *merged] if part.is_last else None
                return checkpoint is None or _record(connection, checkpoint, done)

            return self._save_part(part, models, record)

        try:
            with _explained():
                for saved in self._page_size.in_parts(page, save_part):
                    stored += saved
        except LeaseLostError as error:
            error.lease.mark_lost()
            return []
        if checkpoint is not None:
            checkpoint.claim.record_stored(checkpoint, count_outcomes(stored))
        return stored

    def _save_part(
        self,
        part: Part[EmbeddedProduct],
        models: ModelPair,
        record: Callable[[Connection, list[EmbeddedProduct]], bool],
    ) -> list[EmbeddedProduct]:
        """Store products in one transaction, unless `record` says that they were stored before."""
        types, upsert = self._copy_types, self._upsert
        target = self._target_set()
        values = model_parameters(models)

        def work(connection: Connection) -> list[EmbeddedProduct]:
            self._table = lock_table(connection, self._table)
            merged = merge_stored(connection, list(part.items), models, self._fusion, target)
            if not record(connection, merged):
                return merged
            written = [item for item in merged if not item.is_untouched]
            rows = [staged_product(item, models, self._fusion) for item in written]
            if written and (
                types is None or not bulk_copy(connection, written, rows, types, target.id_type)
            ):
                stage_products(connection, rows)
                connection.execute(upsert, values)
            update_files(connection, merged, target.id_type)
            record_failures(connection, merged, target)
            if failed := [item.product.id for item in merged if item.failures]:
                self._recombine(connection, after=None, limit=len(failed), only=failed)
            return merged

        return self._database.run(work, patient=part.patient)

    def count(self) -> VectorCounts:
        """Count the stored vectors of products that the shop has."""

        def work(connection: Connection) -> VectorCounts:
            return fetch_as(VectorCounts, connection, QUERIES["count_vectors"])[0]

        return self._database.run(work, read_only=True)

    def recombine(self) -> int:
        """Make the combined vectors again that were made with other weights; return how many."""
        count = 0
        after: object = None

        def update(size: int, patient: bool) -> list[_Parts]:
            work = partial(self._recombine, after=after, limit=size)
            return self._database.run(work, patient=patient)

        while rows := self._recombine_size.run(update):
            count += len(rows)
            after = rows[-1].id
        return count

    def _recombine(
        self,
        connection: Connection,
        *,
        after: object,
        limit: int,
        only: list[str] | None = None,
    ) -> list[_Parts]:
        """Make out-of-date combined vectors of one page again, and return the rows of that page.

        The page starts after the id `after`, and has up to `limit` products. With `only`, it has
        just the products with these ids.
        """
        id_type = self._id_type()
        values = {"fusion": self._fusion.name, "after": after, "only": only, "limit": limit}
        query = QUERIES["out_of_date"].format(id_type=id_type)
        rows = fetch_as(_Parts, connection, query, values, binary=True)
        if rows:
            combined = (
                StagedCombined(
                    id=str(row.id),
                    combined=self._fusion.combine(array(row.image), array(row.text)),
                )
                for row in rows
            )
            stage_combined(connection, combined)
            connection.execute(QUERIES["update_combined"].format(id_type=id_type), values)
        return rows

    @cached_property
    def _copy_types(self) -> dict[str, str] | None:
        """The columns and types for a COPY without staging; None if rows must be staged."""
        if self._database.run(needs_id, read_only=True):
            return None
        return copy_types(self._columns("ProductEmbeddings"))

    @cached_property
    def _stored_columns(self) -> list[Column]:
        return self._database.run(read_columns, read_only=True)

    @cached_property
    def _upsert(self) -> sql.Composed:
        """The statement that stores a staged page, cast to the types of the existing columns."""
        variants, stored = self._columns("ProductVariants"), self._columns("ProductEmbeddings")
        own_id = self._database.run(needs_id, read_only=True)
        return QUERIES["upsert_vectors"].format(
            id_type=self._id_type(),
            holds_values=with_parameters(holds_values(self._stored_columns, "e")),
            emptied=emptied(self._stored_columns),
            product_id=_or_null(variants, "ProductId"),
            owner=_or_null(variants, "UserId"),
            id_column=sql.SQL('"Id",' if own_id else ""),
            id_value=sql.SQL("gen_random_uuid()," if own_id else ""),
            image_is_current=is_current("image", _STAGED_HASH),
            text_is_current=is_current("text", _STAGED_HASH),
            **{name: statements.trusted(stored[name]) for name in _CAST},
        )

    def _target_set(self) -> TargetSet:
        return TargetSet(name=self._database.vector_set, id_type=self._id_type())

    def _id_type(self) -> sql.SQL:
        return statements.trusted(self._columns("ProductVariants")["Id"])

    def _columns(self, table: str) -> dict[str, str]:
        if table not in self._columns_read:
            read = partial(columns, table=table)
            self._columns_read[table] = self._database.run(read, read_only=True)
        return self._columns_read[table]


@contextmanager
def _explained() -> Iterator[None]:
    """Explain what the shop has done to its tables while products were embedded."""
    try:
        yield
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedFunction,  # ids of another type cannot be compared
    ) as error:
        raise CatalogueChangedError(
            f"a table was changed while products were embedded: {error.diag.message_primary};"
            " what was not stored by then stays due; see: shelfsight doctor"
        ) from error
    except psycopg.errors.CardinalityViolation as error:
        raise SchemaError('"ProductVariants" holds several rows of one "Id"') from error


def _record(
    connection: Connection, checkpoint: Checkpoint, page: list[EmbeddedProduct] | None
) -> bool:
    """Record that a page is stored; without `page`, only hold its claim for a part of the page.

    Returns False if the page was stored before.
    """
    if page is None:
        return hold(connection, checkpoint)
    return advance(connection, checkpoint, page)


def _or_null(found: dict[str, str], name: str) -> sql.Composable:
    """Return a column of the variant, or NULL if the table has no such column."""
    return sql.SQL("v.{}").format(sql.Identifier(name)) if name in found else sql.SQL("NULL::text")
