"""What of the catalogue is shown to its owner: counts, a sample of its vectors, a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from shelfsight.storage.search.filters import FilterSql

QUERIES = statements.load("shelfsight.storage.search", "sample.sql")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Products, those with any vector, with each kind; failures as (kind, products, example)."""

    products: int
    embedded: int
    image: int
    text: int
    combined: int
    failures: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sampled:
    """A product with its image vector (768,) and the address of the picture that gave it."""

    id: str
    title: str
    image_url: str | None
    vector: Vector


class CatalogueSample:
    """Reads what is stored of an owner's products; None is the products of all.

    Every method raises SchemaError where `shelfsight init` has not run.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def counts(self, owner: str | None) -> Counts:
        """Count what there is, what is embedded and what failed."""

        def work(connection: Connection) -> Counts:
            select = _Select(connection, owner)
            (counts,) = select.rows("counts")
            failed = select.rows("failed")
            failures = tuple((row["kind"], row["products"], row["example"]) for row in failed)
            return Counts(**counts, failures=failures)

        return self._run(work)

    def spread(self, owner: str | None, limit: int) -> list[Sampled]:
        """At most `limit` products that have an image vector, from all over the catalogue."""
        return self._sampled(owner, "sample", {"limit": limit})

    def some(self, owner: str | None, ids: Sequence[str]) -> list[Sampled]:
        """Those of these products that have an image vector, in any order."""
        return self._sampled(owner, "some", {"ids": list(ids)})

    def picture(self, owner: str | None, id_: str) -> str | None:
        """The address of the first picture that a product's vector came from."""

        def work(connection: Connection) -> str | None:
            rows = _Select(connection, owner).rows("picture", {"ids": [id_]})
            return rows[0]["image_url"] if rows else None

        try:
            return self._run(work)
        except psycopg.DataError:  # not an id of this shop's type
            return None

    def _sampled(self, owner: str | None, name: str, values: Mapping[str, object]) -> list[Sampled]:
        def work(connection: Connection) -> list[Sampled]:
            return [_sampled(row) for row in _Select(connection, owner).rows(name, values)]

        return self._run(work)

    def _run(self, work: Work[Result]) -> Result:
        try:
            return self._database.run(work, read_only=True)
        except psycopg.errors.UndefinedTable as error:
            raise SchemaError(f"{error.diag.message_primary}; run: shelfsight init") from error


class _Select:
    """Statements over an owner's products."""

    def __init__(self, connection: Connection, owner: str | None) -> None:
        self._connection = connection
        self._chosen = FilterSql(Filters(owner=owner), partial(columns, connection))
        variants = self._chosen.variants
        title = sql.SQL('v."Title"') if "Title" in variants else sql.SQL("''")
        self._parts = {
            "join": self._chosen.join,
            "chosen": self._chosen.chosen,
            "columns": QUERIES["columns"].format(title=title),
            "id_type": statements.trusted(variants.get("Id", "uuid")),
        }

    def rows(self, name: str, values: Mapping[str, object] | None = None) -> list[DictRow]:
        statement = QUERIES[name].format(**self._parts)
        given = {**self._chosen.values, **(values or {})}
        cursor = self._connection.cursor(row_factory=dict_row)
        return cursor.execute(statement, given, binary=True).fetchall()


def _sampled(row: DictRow) -> Sampled:
    return Sampled(
        id=row["id"],
        title=row["title"] or "",
        image_url=row["image_url"],
        vector=np.asarray(row["vector"].to_numpy(), dtype=np.float32),
    )
