"""Writes vectors page by page."""

from functools import cached_property, partial
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.backfill.leases import Checkpoint
from shelfsight.errors import SchemaError
from shelfsight.ports import Fusion
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database, columns, copy_rows
from shelfsight.records import IMAGE_STAGES, TEXT_STAGES, EmbeddedProduct, ModelPair, Stage, Vector
from shelfsight.storage import schema
from shelfsight.storage.runs.lease_keeper import LeaseLostError, advance, count_outcomes
from shelfsight.storage.vectors.copy import bulk_copy, types_of
from shelfsight.storage.vectors.failure_log import record_failures
from shelfsight.storage.vectors.image_files import as_json, keep_files
from shelfsight.storage.vectors.merge import array, merge_stored
from shelfsight.storage.vectors.model_check import checked_table, lock_table, refuse_others
from shelfsight.storage.vectors.queries import QUERIES

_STAGED = (
    "text",
    "vector",
    "vector",
    "vector",
    "text",
    "text",
    "text",
    "text",
    "text",
    "text",
    "jsonb",
    "jsonb",
)

_CAST = ("ProductId", "UserId", "ImageUrl", "ImageHash", "ProductText", "SourceType")
"""Columns that a shop's own table may have in other types than ours: shorter, or an enum."""

RECOMBINE_PAGE = 1_000


class PostgresVectorStore:
    """`seams.VectorStore` over `"ProductEmbeddings"` and `"EmbeddingFailures"`."""

    def __init__(self, database: Database, fusion: Fusion) -> None:
        self._database = database
        self._fusion = fusion
        self._found: dict[str, dict[str, str]] = {}
        self._table: int | None = None

    def require(self, models: ModelPair, *, replace: bool = False) -> None:
        """Refuse, before the first write, vectors that would not fit those that are stored.

        Raises:
            SchemaError: the columns are missing or of other dimensions.
            ModelMismatchError: other models made the stored vectors, and not `replace`.
        """
        if replace:
            self._table = self._database.run(checked_table, read_only=True)
        else:
            self._table = refuse_others(self._database, models)

    def save(
        self, page: list[EmbeddedProduct], models: ModelPair, checkpoint: Checkpoint | None = None
    ) -> list[EmbeddedProduct]:
        """Store a page in one transaction, and hand it on. A lost connection redoes the page.

        With `checkpoint` its claim moves on in the same transaction; returns `[]` where that is
        lost. What is handed on has its stored vectors too; a product of which they have become
        others, or are gone, is left as it is, and out.

        Raises:
            SchemaError: a product is there twice.
            ModelMismatchError: the table was switched to vectors of other models meanwhile.
        """
        types, upsert = self._straight, self._upsert
        id_type = self._id_type()
        values = {"image_model": models.image, "text_model": models.text}

        def work(connection: Connection) -> list[EmbeddedProduct]:
            self._table = lock_table(connection, self._table)
            whole = merge_stored(connection, page, models, self._fusion, id_type)
            if checkpoint is not None and not advance(connection, checkpoint, whole):
                return whole
            made = [item for item in whole if not item.is_untouched]
            staged = [self._staged(item, models) for item in made]
            if made and (types is None or not bulk_copy(connection, made, staged, types)):
                connection.execute(QUERIES["stage_vectors"])
                copy_rows(connection, QUERIES["copy_vectors"], _STAGED, staged)
                connection.execute(QUERIES["count_staged"])
                connection.execute(upsert, values)
            keep_files(connection, whole, id_type)
            record_failures(connection, whole, id_type)
            if failed := [item.product.id for item in whole if item.failures]:
                self._recombine(connection, after=None, only=failed)
            return whole

        try:
            stored = self._database.run(work)
        except LeaseLostError as error:
            error.lease.lose()
            return []
        except psycopg.errors.CardinalityViolation as error:
            raise SchemaError('"ProductVariants" holds several rows of one "Id"') from error
        if checkpoint is not None:
            checkpoint.lease.note(checkpoint, count_outcomes(stored))
        return stored

    def recombine(self) -> int:
        """Bring combined vectors made with other weights up to date; gives how many."""
        count = 0
        after: object = None
        while rows := self._database.run(partial(self._recombine, after=after)):
            count += len(rows)
            after = rows[-1][0]
        return count

    def _staged(self, item: EmbeddedProduct, models: ModelPair) -> tuple[Any, ...]:
        versions = {"fusion": self._fusion.name}
        if item.image is not None:
            versions["image"] = models.image
        if item.text is not None:
            versions["text"] = models.text
        picture = item.picture
        return (
            item.product.id,
            item.image,
            item.text,
            item.combined,
            _state(item, IMAGE_STAGES, item.image),
            _state(item, TEXT_STAGES, item.text),
            picture.url if picture else None,
            picture.content_hash if picture else None,
            item.text_used or None,
            item.product.source_hash,
            Jsonb(versions),
            Jsonb(as_json(item.files)) if item.files else None,
        )

    def _recombine(
        self, connection: Connection, *, after: object, only: list[str] | None = None
    ) -> list[tuple[Any, ...]]:
        """Do one page, of all products or of `only` some; gives its rows, ids first."""
        id_type = self._id_type()
        limit = RECOMBINE_PAGE if only is None else len(only)
        values = {"fusion": self._fusion.name, "after": after, "only": only, "limit": limit}
        query = QUERIES["out_of_date"].format(id_type=id_type)
        rows = connection.execute(query, values, binary=True).fetchall()
        if rows:
            combined = (
                (str(id_), self._fusion.combine(array(image), array(text)))
                for id_, image, text in rows
            )
            connection.execute(QUERIES["stage_combined"])
            copy_rows(connection, QUERIES["copy_combined"], ("text", "vector"), combined)
            connection.execute(QUERIES["update_combined"].format(id_type=id_type), values)
        return rows

    @cached_property
    def _straight(self) -> tuple[str, ...] | None:
        """The column types for a COPY without staging, None where rows must be staged."""
        if self._database.run(schema.needs_id, read_only=True):
            return None
        return types_of(self._columns("ProductEmbeddings"))

    @cached_property
    def _upsert(self) -> sql.Composed:
        """The statement that stores a page, in the types of the columns that are there."""
        variants, stored = self._columns("ProductVariants"), self._columns("ProductEmbeddings")
        own_id = self._database.run(schema.needs_id, read_only=True)
        return QUERIES["upsert_vectors"].format(
            id_type=self._id_type(),
            product_id=_or_null(variants, "ProductId"),
            owner=_or_null(variants, "UserId"),
            id_column=sql.SQL('"Id",' if own_id else ""),
            id_value=sql.SQL("gen_random_uuid()," if own_id else ""),
            **{name: statements.trusted(stored[name]) for name in _CAST},
        )

    def _id_type(self) -> sql.SQL:
        return statements.trusted(self._columns("ProductVariants")["Id"])

    def _columns(self, table: str) -> dict[str, str]:
        if table not in self._found:
            read = partial(columns, table=table)
            self._found[table] = self._database.run(read, read_only=True)
        return self._found[table]


def _or_null(found: dict[str, str], name: str) -> sql.Composable:
    """A variant's column, or NULL of a fitting type where the table has none."""
    return sql.SQL("v.{}").format(sql.Identifier(name)) if name in found else sql.SQL("NULL::text")


def _state(item: EmbeddedProduct, stages: frozenset[Stage], vector: Vector | None) -> str:
    """What became of an image or a text, which goes through these stages."""
    if vector is not None and stages <= item.product.unneeded_stages:
        return "kept"
    return "made" if stages.isdisjoint(failure.stage for failure in item.failures) else "failed"
