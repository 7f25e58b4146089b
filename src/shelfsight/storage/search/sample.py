"""Reads what the page shows of a catalogue: counts, a sample of image vectors, pictures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TypeVar

import numpy as np
import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Transactions, Work, columns
from shelfsight.records import Vector
from shelfsight.scan.matching import Filters
from shelfsight.storage import schema
from shelfsight.storage.search.filters import FilterSql
from shelfsight.storage.search.search_statement import column_or_null, variant_price

QUERIES = statements.load("shelfsight.storage.search", "sample.sql")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueCounts:
    """The number of products, of products with any vector, and of products with each vector.

    `failures` are tuples of a kind of failure, the number of products, and an example message.
    """

    products: int
    embedded: int
    image: int
    text: int
    combined: int
    failures: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampledProduct:
    """A product with its image vector, float32 (768,), and the URL of the vector's picture."""

    id: str
    title: str
    image_url: str | None
    vector: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant of a product: its SKU, its price, and its options such as size and colour."""

    id: str
    product_id: str
    sku: str | None
    price: Decimal | None
    options: Mapping[str, object]


class CatalogueSample:
    """Reads the stored data of an owner's products, or of all products if `owner` is None.

    Every method raises SchemaError if `shelfsight init` has not run.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def counts(self, owner: str | None) -> CatalogueCounts:
        """Count the products, the products with vectors, and the failures."""

        def work(connection: Connection) -> CatalogueCounts:
            queries = _OwnerQueries(connection, owner)
            (counts,) = queries.rows("counts")
            failed = queries.rows("failed")
            failures = tuple((row["kind"], row["products"], row["example"]) for row in failed)
            return CatalogueCounts(**counts, failures=failures)

        return self._run(work)

    def spread(self, owner: str | None, limit: int) -> list[SampledProduct]:
        """Return up to `limit` products with an image vector, sampled from the whole catalogue."""
        return self._sampled(owner, "sample", {"limit": limit})

    def some(self, owner: str | None, ids: Sequence[str]) -> list[SampledProduct]:
        """Return the products that have one of these ids and an image vector, in any order."""
        return self._sampled(owner, "by_ids", {"ids": list(ids)})

    def picture(self, owner: str | None, id_: str) -> str | None:
        """Return the URL of the first picture that the product's image vector was made from."""

        def work(connection: Connection) -> str | None:
            rows = _OwnerQueries(connection, owner).rows("image_url", {"ids": [id_]})
            return rows[0]["image_url"] if rows else None

        try:
            return self._run(work)
        except psycopg.DataError:  # `id_` has another type than the shop's ids
            return None

    def variants(self, owner: str | None, products: Sequence[str], limit: int) -> list[Variant]:
        """Return up to `limit` variants of these products, those of one product in a row by SKU.

        There are none if the shop's variants do not say of which product they are.
        """

        def work(connection: Connection) -> list[Variant]:
            queries = _OwnerQueries(connection, owner)
            if not queries.has_products:
                return []
            rows = queries.rows("variants", {"products": list(products), "limit": limit})
            return [Variant(**{**row, "options": _options(row["options"])}) for row in rows]

        try:
            return self._run(work)
        except psycopg.DataError:  # an id has another type than the shop's ids
            return []

    def _sampled(
        self, owner: str | None, name: str, values: Mapping[str, object]
    ) -> list[SampledProduct]:
        def work(connection: Connection) -> list[SampledProduct]:
            return [_sampled(row) for row in _OwnerQueries(connection, owner).rows(name, values)]

        return self._run(work)

    def _run(self, work: Work[Result]) -> Result:
        try:
            return self._database.run(work, read_only=True)
        except psycopg.errors.UndefinedTable as error:
            raise SchemaError(f"{error.diag.message_primary}; run: shelfsight init") from error
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction) as error:
            self._database.run(schema.check, read_only=True)  # ids may have got another type
            raise SchemaError(f"{error.diag.message_primary}; see: shelfsight doctor") from error


class _OwnerQueries:
    """Runs named statements of `sample.sql` over the products of an owner."""

    def __init__(self, connection: Connection, owner: str | None) -> None:
        self._connection = connection
        self._filter_sql = FilterSql(Filters(owner=owner), partial(columns, connection))
        variants = self._filter_sql.variants
        title = sql.SQL('v."Title"') if "Title" in variants else sql.SQL("''")
        self._parts = {
            "join": self._filter_sql.join,
            "condition": self._filter_sql.condition,
            "columns": QUERIES["columns"].format(title=title),
            "id_type": statements.trusted(variants.get("Id", "uuid")),
            "product_id_type": statements.trusted(variants.get("ProductId", "uuid")),
            "sku": column_or_null(variants, "Sku"),
            "price": variant_price(variants),
            "options": column_or_null(variants, "Options"),
        }

    @property
    def has_products(self) -> bool:
        """Whether variants name the product that they belong to."""
        return "ProductId" in self._filter_sql.variants

    def rows(self, name: str, values: Mapping[str, object] | None = None) -> list[DictRow]:
        statement = QUERIES[name].format(**self._parts)
        given = {**self._filter_sql.values, **(values or {})}
        cursor = self._connection.cursor(row_factory=dict_row)
        return cursor.execute(statement, given, binary=True).fetchall()


def _options(value: object) -> Mapping[str, object]:
    """Return options that are a JSON object; a shop may keep them as text, or in another form."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _sampled(row: DictRow) -> SampledProduct:
    return SampledProduct(
        id=row["id"],
        title=row["title"] or "",
        image_url=row["image_url"],
        vector=np.asarray(row["vector"].to_numpy(), dtype=np.float32),
    )
