"""An in-memory shop and one in Postgres behind the same interface."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from uuid import UUID

import pytest

from shelfsight.backfill.ports import Catalog, VectorStore
from shelfsight.catalog.content import Content
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.fusion import WeightedMean
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import Product, Weights
from shelfsight.scan.matching import ConfirmedScan
from shelfsight.scan.ports import ProductSearch
from shelfsight.storage.search.confirmed_photos import ConfirmedPhotos
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import MemoryCatalog, MemorySearch, MemoryStore

HALF = 2e-4
"""How far a number of a unit vector may be from the same number after half precision, twice."""


def product_id(number: int) -> str:
    return str(UUID(int=number))


@dataclass
class Shop:
    """A catalogue with its store and search.

    `put` adds or edits a product; `store_with` returns the same store with other fusion weights;
    `confirm` stores confirmed photos.
    """

    catalog: Catalog
    store: VectorStore
    search: ProductSearch
    put: Callable[..., None]
    store_with: Callable[[Weights], VectorStore]
    confirm: Callable[[ConfirmedScan], object]


def memory_shop() -> Shop:
    fusion = WeightedMean(Weights())
    store = MemoryStore(fusion)
    catalog = MemoryCatalog([], store)

    def put(
        number: int,
        *,
        title: str = "",
        description: str = "",
        urls: tuple[str, ...] = (),
        owner: str | None = None,
    ) -> None:
        text_hash = hashlib.sha256(f"{title}\x1f{description}".encode()).hexdigest()
        image_hash = hashlib.sha256("\x1f".join(urls).encode()).hexdigest()
        catalog.products = [p for p in catalog.products if p.id != product_id(number)]
        catalog.products.append(
            Product(
                id=product_id(number),
                owner_id=owner,
                title=title,
                description=description,
                image_urls=urls,
                source_hash=f"{text_hash}:{image_hash}",
            )
        )

    def store_with(weights: Weights) -> VectorStore:
        other = MemoryStore(WeightedMean(weights))
        other.rows, other.failures = store.rows, store.failures
        other.fused_by, other.models = store.fused_by, store.models
        return other

    search = MemorySearch(store)
    return Shop(catalog, store, search, put, store_with, search.confirmed.append)


def postgres_shop(database: Database) -> Shop:
    def put(
        number: int,
        *,
        title: str = "",
        description: str = "",
        urls: tuple[str, ...] = (),
        owner: str | None = None,
    ) -> None:
        def work(connection: Connection) -> None:
            id_ = product_id(number)
            connection.execute(
                'INSERT INTO "ProductVariants" ("Id", "Title", "Description", "UserId")'
                ' VALUES (%s, %s, %s, %s) ON CONFLICT ("Id") DO UPDATE SET'
                ' "Title" = EXCLUDED."Title", "Description" = EXCLUDED."Description",'
                ' "UserId" = EXCLUDED."UserId"',
                [id_, title, description, owner],
            )
            connection.execute('DELETE FROM "ProductImages" WHERE "ProductVariantId" = %s', [id_])
            for position, address in enumerate(urls):
                connection.execute(
                    'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl", "Position")'
                    " VALUES (%s, %s, %s)",
                    [id_, address, position],
                )

        database.run(work)

    def store_with(weights: Weights) -> VectorStore:
        return PostgresVectorStore(database, WeightedMean(weights))

    catalog = PostgresCatalog(database, content=Content(images_per_product=3))
    search, confirmed = PostgresProductSearch(database), ConfirmedPhotos(database)
    return Shop(catalog, store_with(Weights()), search, put, store_with, confirmed.add)


@pytest.fixture(params=["memory", "postgres"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    if request.param == "memory":
        yield memory_shop()
        return
    with closing(request.getfixturevalue("database")) as database:
        yield postgres_shop(database)
