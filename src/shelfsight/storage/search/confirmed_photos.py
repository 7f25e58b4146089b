"""Stores the image vectors of photos that people have confirmed to show a product.

They are further references of the product. The photos themselves are not stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

import psycopg

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import (
    Connection,
    Query,
    Rows,
    Transactions,
    columns,
    fetch_as,
)
from shelfsight.records import ModelPair, stored_identities
from shelfsight.scan.matching import ConfirmedScan, Filters
from shelfsight.storage.search.filters import FilterSql
from shelfsight.storage.search.search_statement import (
    EXACT_CONFIRMED,
    ConfirmedSearch,
    column_or_null,
)

QUERIES = statements.load("shelfsight.storage.search", "confirmed_photos.sql")

MOST = 16
"""How many photos of a product are kept for each owner and model. The oldest go first."""

ALIKE = 1e-3
"""Two photos whose cosine distance is smaller are the same photo."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedPhoto:
    """A stored photo, without its vector. `sku` is None if its product has none or is gone."""

    id: int
    product: str
    sku: str | None
    title: str
    owner: str | None
    scan_id: str
    model: str
    resembles: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Chooses stored photos: those that meet all conditions. None means no condition.

    Attributes:
        ids: their ids.
        product: the id of their product variant.
        owner: the owner whose products were scanned.
    """

    ids: Sequence[int] | None = None
    product: str | None = None
    owner: str | None = None


class ConfirmedPhotos:
    """The table `"ConfirmedPhotos"`. Methods raise `DatabaseError` if it cannot be used."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def add(self, scan: ConfirmedScan) -> int:
        """Store the photos of a scan, and return how many were stored: none if the product is gone.

        Raises:
            SchemaError: `shelfsight init` has not run.
        """
        return self._run(partial(add, scan=scan))

    def may_confirm(self, product: str, owner: str | None) -> bool:
        """Return whether a product exists, is not archived, and belongs to the owner, if any."""

        def work(connection: Connection) -> bool:
            chosen = FilterSql(Filters(owner=owner), partial(columns, connection))
            query = QUERIES["has_product"].format(join=chosen.join, condition=chosen.condition)
            values = {"product": product, **chosen.values}
            return bool(connection.execute(query, values).fetchall()[0][0])

        return self._run(work, read_only=True)

    def find(self, choice: Choice, limit: int) -> list[ConfirmedPhoto]:
        """Return the chosen photos, the newest first, and at most `limit` of them.

        Raises:
            SchemaError: `shelfsight init` has not run.
        """

        def work(connection: Connection) -> list[ConfirmedPhoto]:
            variants = columns(connection, "ProductVariants")
            query = QUERIES["list"].format(
                sku=column_or_null(variants, "Sku"),
                title=column_or_null(variants, "Title"),
                chosen=QUERIES["chosen"],
            )
            values = {**_values(choice), "limit": limit}
            return fetch_as(ConfirmedPhoto, connection, query, values)

        return self._run(work, read_only=True)

    def remove(self, choice: Choice, *, dry_run: bool = False) -> int:
        """Delete the chosen photos, or only count them; return how many there are.

        Raises:
            SchemaError: `shelfsight init` has not run.
        """
        query = QUERIES["would_remove" if dry_run else "remove"].format(chosen=QUERIES["chosen"])

        def work(connection: Connection) -> int:
            return connection.execute(query, _values(choice)).rowcount

        return self._run(work, read_only=dry_run)

    def _run(self, work: Callable[[Connection], Result], *, read_only: bool = False) -> Result:
        try:
            return self._database.run(work, read_only=read_only)
        except psycopg.errors.UndefinedTable:
            raise SchemaError(
                'the database is not prepared (no table "ConfirmedPhotos"); run: shelfsight init'
            ) from None


def add(connection: Connection, scan: ConfirmedScan) -> int:
    """Store the photos of a scan in this transaction; return how many were stored."""
    id_type = statements.trusted(columns(connection, "ProductVariants")["Id"])
    query = {name: QUERIES[name].format(id_type=id_type) for name in ("drop_alike", "add")}
    common = {
        "product": scan.product,
        "owner": scan.owner,
        "model": scan.model,
        "scan_id": scan.id,
        "resembles": scan.resembles,
        "alike": ALIKE,
        "most": MOST,
    }
    added = 0
    for number, vector in enumerate(scan.vectors):
        values = {**common, "number": number, "vector": vector}
        connection.execute(query["drop_alike"], values)
        added += connection.execute(query["add"], values).rowcount
    connection.execute(QUERIES["drop_oldest"].format(id_type=id_type), common)
    return added


def drop_scan(connection: Connection, scan_id: str, product: str | None) -> None:
    """Take back the photos of a scan in this transaction: of a product, or None for all."""
    connection.execute(QUERIES["drop_scan"], {"scan_id": scan_id, "product": product})


def confirmed_search(
    ask: Callable[[Query], Rows], models: ModelPair
) -> tuple[ConfirmedSearch, ...]:
    """Return how to find the nearest photos that these models have seen; empty if there are none.

    There are none either if this role may not read them. `ask` runs a query.
    """
    ((may_read,),) = ask((QUERIES["may_read"], {}))
    if not may_read:
        return ()
    values = {"models": stored_identities(models.image), "count_limit": EXACT_CONFIRMED + 1}
    ((photos, has_index),) = ask((QUERIES["count"], values))
    if not photos:
        return ()
    return ("index",) if has_index and photos > EXACT_CONFIRMED else ("exact",)


def _values(choice: Choice) -> dict[str, object]:
    return {
        "ids": None if choice.ids is None else [*choice.ids],
        "product": choice.product,
        "owner": choice.owner,
    }
