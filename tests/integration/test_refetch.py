"""A refetch over a real database: what it writes, what it leaves alone, how it resumes."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from shelfsight.catalog.content import Content
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.errors import SchemaError
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import EmbeddedProduct, PictureFile, Pixels, Selection
from shelfsight.storage import schema
from shelfsight.storage.runs.run_store import PostgresLedger
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import MODELS, direction
from tests.shop import FUSION, backfill_all, fill, picture, rows

REFETCH = Selection(refetch=True)

VERSIONS = """
    SELECT "ProductVariantId"::text, e.xmin::text, "UpdatedAt"::text, "ImageHash",
      "CombinedEmbedding"::text
    FROM "ProductEmbeddings" AS e ORDER BY 1
"""


def pictures(count: int, *, replaced: int = 0, lost: int = 0) -> dict[str, Pixels]:
    """The pictures of `count` products by address; one may be replaced, one missing."""
    numbers = (number for number in range(1, count + 1) if number != lost)
    return {f"http://shop.test/{n}.png": picture(100 + n if n == replaced else n) for n in numbers}


def versions(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, VERSIONS)


def execute(database: Database, query: str) -> None:
    def work(connection: Connection) -> None:
        connection.execute(query)

    database.run(work)


def test_a_refetch_that_finds_nothing_new_writes_no_row_of_vectors(database: Database) -> None:
    fill(database, 5, pictures=True)
    backfill_all(database, pictures=pictures(5))
    before = versions(database)
    report = backfill_all(database, pictures=pictures(5), selection=REFETCH, batch_size=2)
    assert (report.found, report.refetched, report.unchanged) == (5, 5, 5)
    assert (report.image, report.text, report.combined, report.embedded) == (0, 0, 0, 0)
    assert (report.success_rate, report.exit_status) == (100.0, 0)
    assert versions(database) == before


def test_only_the_row_of_a_replaced_picture_is_written(
    database: Database,
) -> None:
    fill(database, 4, pictures=True)
    backfill_all(database, pictures=pictures(4))
    before = versions(database)
    report = backfill_all(database, pictures=pictures(4, replaced=2, lost=3), selection=REFETCH)
    assert (report.refetched, report.unchanged, report.changed) == (4, 2, 1)
    assert (report.image, report.text, report.embedded, report.failed) == (1, 0, 1, 0)
    assert report.failures == {"http_404": 1}
    after = versions(database)
    assert [old == new for old, new in zip(before, after, strict=True)] == [1, 0, 1, 1]
    assert rows(
        database, 'SELECT "Kind", "NextAttemptAt" > now() FROM shelfsight."EmbeddingFailures"'
    ) == [("http_404", True)]


def test_rows_of_older_versions_are_checked_by_their_one_hash(database: Database) -> None:
    fill(database, 2, pictures=True)
    backfill_all(database, pictures=pictures(2))
    execute(database, 'ALTER TABLE "ProductEmbeddings" DROP "ImageFiles"')
    with pytest.raises(SchemaError, match=r"lacks ImageFiles.*shelfsight init"):
        PostgresVectorStore(database, FUSION).require(MODELS)
    with pytest.raises(SchemaError, match="shelfsight init"):
        PostgresCatalog(database).due(REFETCH)
    assert schema.create(database) == ['created column "ProductEmbeddings"."ImageFiles"']
    updated = [row[2] for row in versions(database)]
    report = backfill_all(database, pictures=pictures(2, replaced=2), selection=REFETCH)
    assert (report.unchanged, report.changed, report.image) == (1, 1, 1)
    assert versions(database)[0][2] == updated[0]


def test_an_image_of_several_pictures_from_an_older_version_has_one_known_hash(
    database: Database,
) -> None:
    fill(database, 1, pictures=True)
    execute(
        database,
        'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl", "Position")'
        ' SELECT "Id", \'http://shop.test/2.png\', 1 FROM "ProductVariants"',
    )
    catalog = PostgresCatalog(database, content=Content(images_per_product=2))
    ((new,),) = catalog.pages(Selection(), 10)
    image = direction(b"both", 768)
    first = PictureFile(url=new.image_urls[0], content_hash="c0ffee")
    item = EmbeddedProduct(product=new, image=image, combined=image, picture=first)
    PostgresVectorStore(database, FUSION).save([item], MODELS)
    ((product,),) = catalog.pages(REFETCH, 10)
    hashes = {file.url: file.content_hash for file in product.files}
    assert [hashes[url] for url in product.image_urls] == ["c0ffee", ""]


def test_the_validators_of_a_file_are_kept_and_given_back(database: Database) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database, pictures=pictures(1))
    execute(
        database,
        'UPDATE "ProductEmbeddings" SET "ImageFiles" = jsonb_build_object("ImageUrl",'
        " jsonb_build_object('hash', \"ImageHash\", 'etag', 'W/\"1\"', 'modified', 'then',"
        " 'source', 'https://cdn.test/1.png'))",
    )
    ((product,),) = PostgresCatalog(database).pages(REFETCH, 10)
    ((hash_,),) = rows(database, 'SELECT "ImageHash" FROM "ProductEmbeddings"')
    assert product.files == (
        PictureFile(
            url="http://shop.test/1.png",
            content_hash=hash_,
            etag='W/"1"',
            last_modified="then",
            source="https://cdn.test/1.png",
        ),
    )
    ((ordinary,),) = PostgresCatalog(database).pages(Selection(skip_existing=False), 10)
    assert ordinary.files == ()


def test_a_refetch_does_not_overwrite_a_later_edit(database: Database) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database, pictures=pictures(1))
    execute(database, 'UPDATE "ProductEmbeddings" SET "ImageFiles" = NULL')

    def edit(_page: object) -> None:
        execute(database, 'UPDATE "ProductImages" SET "ImageUrl" = \'http://shop.test/2.png\'')
        with closing(Database(database.url)) as other:
            backfill_all(other, pictures=pictures(2))

    backfill_all(database, pictures=pictures(2), selection=REFETCH, before_save=once(edit))
    ((files,),) = rows(database, 'SELECT "ImageFiles" FROM "ProductEmbeddings"')
    assert list(files) == ["http://shop.test/2.png"]


def once(function: Callable[[object], None]) -> Callable[[object], None]:
    """Wrap a function so that only its first call has an effect."""
    waiting = [function]

    def call(given: object) -> None:
        if waiting:
            waiting.pop()(given)

    return call


class Stopped(Exception):
    """Ends a run halfway."""


def test_a_refetch_that_broke_goes_on_where_it_stopped_and_can_be_joined(
    database: Database,
) -> None:
    fill(database, 6, pictures=True)
    backfill_all(database, pictures=pictures(6))
    pages = iter(range(2))

    def stop(_page: object) -> None:
        if next(pages, None) is None:
            raise Stopped

    with pytest.raises(Stopped):
        backfill_all(
            database, pictures=pictures(6), selection=REFETCH, batch_size=2, before_save=stop
        )
    ledger = PostgresLedger(database)
    assert ledger.newest_open().job.selection == REFETCH
    report = backfill_all(
        database, pictures=pictures(6, replaced=6), selection=REFETCH, batch_size=2
    )
    assert (report.found, report.unchanged, report.changed) == (4, 3, 1)
    done = ledger.runs(1)[0]
    counts = {name: done.counts[name] for name in ("found", "refetched", "unchanged", "changed")}
    assert counts == {"found": 6, "refetched": 6, "unchanged": 5, "changed": 1}
    assert done.outcome == "done"
    again = backfill_all(database, pictures=pictures(6, replaced=6), selection=REFETCH)
    assert (again.found, again.unchanged) == (6, 6)


def test_a_refetch_respects_its_selection_and_batches(database: Database) -> None:
    fill(database, 3, owner="ann", pictures=True)
    fill(database, 2, first=4, owner="eve")
    backfill_all(database, pictures=pictures(3))
    catalog = PostgresCatalog(database)
    due = [catalog.due(Selection(refetch=True, owner=owner)) for owner in ("ann", "eve")]
    assert [one.with_image for one in due] == [3, 0]
    assert catalog.partition(REFETCH, 2, 2).due == 3
    some = Selection(refetch=True, where="\"Sku\" = 'sku-2'")
    assert backfill_all(database, pictures=pictures(3), selection=some).unchanged == 1


def test_ids_that_are_numbers_and_addresses_with_quotes_are_asked_for_again(
    database: Database,
) -> None:
    execute(
        database,
        "DROP SCHEMA shelfsight CASCADE;"
        'DROP TABLE "ProductEmbeddings", "ProductImages", "ProductVariants";'
        'CREATE TABLE "ProductVariants" ("Id" integer PRIMARY KEY, "Title" text, "UserId" text)',
    )
    schema.create(database)
    odd = 'http://shop.test/it\'s%20100% "odd" \\ {0}.png'
    execute(
        database,
        "INSERT INTO \"ProductVariants\" VALUES (1, '50% \"off\" of O''Neill {0}'), (2, NULL)",
    )

    def address(connection: Connection) -> None:
        for id_ in (1, 2):
            connection.execute(
                'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl") VALUES (%s, %s)',
                [id_, f"{odd}{id_}"],
            )

    database.run(address)
    site = {f"{odd}{number}": picture(number) for number in (1, 2)}
    assert backfill_all(database, pictures=site).image == 2
    report = backfill_all(database, pictures=site | {f"{odd}2": picture(9)}, selection=REFETCH)
    assert (report.unchanged, report.changed, report.image, report.text) == (1, 1, 1, 0)
