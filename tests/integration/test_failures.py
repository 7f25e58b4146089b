"""Recorded failures: when they are retried, how they are reported, how a success clears them."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.postgres.connection import Database
from shelfsight.records import EmbeddedProduct, Failure, Product, Selection, Stage
from shelfsight.storage import failure_report, schema
from shelfsight.storage.vectors.failure_log import MAX_SETTINGS
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import MODELS
from tests.shop import FUSION, embed, fill, rows

MINUTES, DAY = timedelta(minutes=5), timedelta(days=1)


def failure(kind: str, *, retryable: bool = False, host: str | None = None) -> Failure:
    message = f"http://{host}/a.png: {kind}"
    return Failure(stage=Stage.FETCH, kind=kind, message=message, retryable=retryable, host=host)


TIMEOUT = failure("timeout", retryable=True, host="slow.test:8080")
GONE = failure("http_404", host="cdn.test")
BROKEN = failure("not_an_image", host="cdn.test")


def products(database: Database) -> list[Product]:
    """All products, in order."""
    return [
        p
        for page in PostgresCatalog(database).pages(Selection(skip_existing=False), 100)
        for p in page
    ]


def fail(database: Database, *failures: Failure | None) -> None:
    """Store the first products with their texts, each with its failure or, for None, without."""
    page = [
        embed(product) if one is None else replace(embed(product), failures=(one,))
        for product, one in zip(products(database), failures, strict=False)
    ]
    PostgresVectorStore(database, FUSION).save(page, MODELS)


def waits(database: Database) -> list[timedelta | None]:
    """How long each failure waits, in the order of the products."""
    found = rows(
        database,
        'SELECT "NextAttemptAt" - "UpdatedAt" FROM shelfsight."EmbeddingFailures"'
        ' ORDER BY "ProductVariantId"',
    )
    return [wait for (wait,) in found]


def test_a_timeout_waits_minutes_a_404_a_day_and_a_broken_picture_for_another(
    database: Database,
) -> None:
    fill(database, 4, pictures=True)
    fail(database, TIMEOUT, GONE, BROKEN, failure("tls_failed"))
    assert waits(database) == [MINUTES, DAY, None, DAY]
    assert PostgresCatalog(database).due(Selection()).products == 0
    address = 'UPDATE "ProductImages" SET "ImageUrl" = \'http://cdn.test/new.png\''
    database.run(lambda connection: connection.execute(address))
    assert PostgresCatalog(database).due(Selection()).products == 4


def test_a_repeated_timeout_waits_twice_as_long_up_to_a_day(database: Database) -> None:
    fill(database, 1, pictures=True)
    seen = []
    for _ in range(11):
        fail(database, TIMEOUT)
        seen += waits(database)
    doubled = [MINUTES * 2**n for n in range(9)]
    assert seen == [min(wait, DAY) for wait in doubled] + [DAY, DAY]


def test_a_success_clears_its_own_failure_only(database: Database) -> None:
    fill(database, 2, pictures=True)
    fail(database, TIMEOUT, GONE)
    fail(database, None)
    assert rows(database, 'SELECT "Kind", "Host" FROM shelfsight."EmbeddingFailures"') == [
        ("http_404", "cdn.test")
    ]


def test_failures_are_reported_by_kind_most_products_first(database: Database) -> None:
    fill(database, 4, pictures=True)
    fail(database, TIMEOUT, GONE, GONE)
    fail(database, TIMEOUT)
    gone, slow = failure_report.by_kind(database)
    assert (gone.kind, gone.products, gone.attempts) == ("http_404", 2, 2)
    assert (slow.kind, slow.products, slow.attempts) == ("timeout", 1, 2)
    assert (slow.title, slow.message) == ("Product 1", TIMEOUT.message)
    assert slow.next_attempt is not None
    fail(database, BROKEN)
    (broken,) = failure_report.by_kind(database, "not_an_image")
    assert broken.next_attempt is None


@pytest.mark.parametrize(
    ("host", "kinds"),
    [
        ("cdn.test", ["http_404", "not_an_image"]),
        ("slow.test", ["timeout"]),
        ("slow.test:8080", ["timeout"]),
        ("slow.test:80", []),
        ("test", []),
    ],
)
def test_a_host_is_given_with_its_port_or_without(
    database: Database, host: str, kinds: list[str]
) -> None:
    fill(database, 4, pictures=True)
    fail(database, TIMEOUT, GONE, BROKEN, failure("file_not_found"))
    assert [one.kind for one in failure_report.by_kind(database, host=host)] == kinds
    selection = Selection(retry_failed=True, only_failed=True, hosts=(host,))
    assert PostgresCatalog(database).due(selection).products == len(kinds)


def test_the_products_of_a_kind_are_shown_one_by_one_up_to_a_limit(database: Database) -> None:
    fill(database, 3, pictures=True)
    fail(database, GONE, GONE, TIMEOUT)
    shown = failure_report.one_by_one(database, "http_404", limit=10)
    assert [one.title for one in shown] == ["Product 1", "Product 2"]
    assert {(one.kind, one.attempts, one.host) for one in shown} == {("http_404", 1, "cdn.test")}
    assert len(failure_report.one_by_one(database, "http_404", limit=1)) == 1
    assert failure_report.one_by_one(database, "http_404", "other.test", limit=1) == []


def test_a_shop_without_titles_is_shown_by_its_ids(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('CREATE TABLE "ProductVariants" ("Id" int PRIMARY KEY)')
        connection.execute('INSERT INTO "ProductVariants" VALUES (7)')
    with closing(Database(url)) as database:
        schema.create(database)
        PostgresVectorStore(database, FUSION).save(
            [EmbeddedProduct(product=Product(id="7"), failures=(GONE,))], MODELS
        )
        (only,) = failure_report.by_kind(database)
        assert (only.id, only.title) == ("7", "")


ROOT, OTHER_ROOT = "image_root=0123", "image_root=4567"


def no_file(settings: str) -> Failure:
    return Failure(stage=Stage.FETCH, kind="bad_address", message="a.png", settings=settings)


def due_with(database: Database, *settings: str) -> int:
    return PostgresCatalog(database, settings=settings).due(Selection()).products


def test_a_failure_of_the_settings_is_due_again_once_they_are_others(database: Database) -> None:
    fill(database, 2, pictures=True)
    fail(database, no_file(ROOT), GONE)
    unrelated = "allow_private_images=89ab"
    assert due_with(database, ROOT, unrelated) == 0
    assert due_with(database, OTHER_ROOT, unrelated) == 1
    assert PostgresCatalog(database).due(Selection()).products == 0


def test_a_failure_of_several_settings_is_due_again_once_one_of_them_is_another(
    database: Database,
) -> None:
    fill(database, 1, pictures=True)
    hosts = "allow_private_images=89ab"
    fail(database, no_file(f"{ROOT} {hosts}"))
    assert due_with(database, ROOT, hosts) == 0
    assert due_with(database, ROOT, "allow_private_images=cdef") == 1


def test_workers_that_disagree_on_a_setting_try_a_product_once_each(database: Database) -> None:
    fill(database, 1, pictures=True)
    tried = []
    for settings in (ROOT, OTHER_ROOT) * 3:
        if due_with(database, settings):
            tried.append(settings)
            fail(database, no_file(settings))
    assert tried == [ROOT, OTHER_ROOT]
    address = 'UPDATE "ProductImages" SET "ImageUrl" = \'b.png\''
    database.run(lambda connection: connection.execute(address))
    fail(database, no_file(ROOT))
    assert due_with(database, OTHER_ROOT) == 1


def test_a_failure_remembers_a_bounded_number_of_settings(database: Database) -> None:
    fill(database, 1, pictures=True)
    for number in [*range(MAX_SETTINGS + 2), MAX_SETTINGS]:
        fail(database, no_file(f"image_root={number}"))
    ((kept,),) = rows(database, 'SELECT "Settings" FROM shelfsight."EmbeddingFailures"')
    newest = [MAX_SETTINGS, MAX_SETTINGS + 1, *range(MAX_SETTINGS - 1, 1, -1)]
    assert kept == [f"image_root={number}" for number in newest]
