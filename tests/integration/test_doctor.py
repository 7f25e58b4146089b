"""`doctor` finds a fault in the tables exactly where a backfill fails, and names the same cure."""

from contextlib import closing

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shelfsight.doctor import Finding, examine_database
from shelfsight.errors import SchemaError
from shelfsight.postgres.connection import Database
from shelfsight.settings import Settings
from shelfsight.storage import schema
from tests.conftest import created
from tests.shop import backfill_all, fill, rows

COLUMNS = {
    "Products": ("Id", "UserId", "Title", "Category"),
    "ProductVariants": ("Id", "ProductId", "UserId", "Sku", "Title", "Description", "UpdatedAt"),
    "ProductImages": ("Id", "ProductVariantId", "ImageUrl", "Position", "AltText"),
    "ProductEmbeddings": ("ImageEmbedding", "SourceHash", "ProductText", "UpdatedAt"),
}
INIT = "run: shelfsight init"

PARTS = st.sampled_from(
    [(table, column) for table, names in COLUMNS.items() for column in (None, *names)]
)
"""A table, and one of its columns, or None for the whole table."""


def drop(url: str, table: str, column: str | None, *, behind_a_view: bool) -> None:
    """Drop a table or a column. With `behind_a_view`, the shop's table becomes a view."""
    with psycopg.connect(url, autocommit=True) as connection:
        if column is None:
            connection.execute(f'DROP TABLE "{table}" CASCADE')
            return
        connection.execute(f'ALTER TABLE "{table}" DROP COLUMN "{column}" CASCADE')
        if behind_a_view:
            connection.execute(f'ALTER TABLE "{table}" RENAME TO base')
            connection.execute(f'CREATE VIEW "{table}" AS SELECT * FROM base')


def diagnose(url: str) -> dict[str, Finding]:
    with closing(Database(url)) as database:
        found = examine_database(database, Settings.model_construct(database_url=url))
        return {finding.subject: finding for finding in found}


def failure_of_a_backfill(url: str) -> str | None:
    with closing(Database(url)) as database:
        try:
            backfill_all(database)
        except SchemaError as error:
            return str(error)
    return None


@pytest.fixture
def shop(server: str, prepared: str) -> tuple[str, str]:
    return server, prepared


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(part=PARTS, behind_a_view=st.booleans())
def test_doctor_finds_a_fault_exactly_where_a_backfill_fails_and_names_the_same_cure(
    shop: tuple[str, str], part: tuple[str, str | None], behind_a_view: bool
) -> None:
    server, prepared = shop
    table, column = part
    with created(server, template=prepared) as url:
        with closing(Database(url)) as database:
            fill(database, 2, pictures=True)
        drop(url, table, column, behind_a_view=behind_a_view and table != "ProductEmbeddings")
        found = diagnose(url)
        wrong = [finding.what for finding in found.values() if finding.verdict == "wrong"]
        failure = failure_of_a_backfill(url)
        assert wrong == ([] if failure is None else [failure])
        if failure is not None:
            with closing(Database(url)) as database:
                schema.create(database)
            assert (failure_of_a_backfill(url) is None) == (INIT in failure)


def test_images_without_an_id_are_not_sent_to_init(server: str, prepared: str) -> None:
    with created(server, template=prepared) as url:
        drop(url, "ProductImages", "Id", behind_a_view=False)
        found = diagnose(url)["catalogue"]
        assert found.verdict == "wrong"
        assert found.what == failure_of_a_backfill(url)
        assert found.what.startswith('"ProductImages" lacks "Id", and a backfill cannot')
        assert "init" not in found.what


def test_no_index_is_advised_on_a_view(prepared_url: str) -> None:
    with psycopg.connect(prepared_url, autocommit=True) as connection:
        connection.execute('ALTER TABLE "ProductImages" RENAME TO base')
        connection.execute('DROP INDEX "ProductImages_ProductVariantId_idx"')
        connection.execute('CREATE VIEW "ProductImages" AS SELECT * FROM base')
    found = diagnose(prepared_url)["tables"]
    assert (found.verdict, found.advice) == ("ok", "")


def test_rows_of_the_shops_own_are_not_counted_as_products(database: Database, url: str) -> None:
    """The shop keeps its scans in the table: rows without a variant or without our hash."""
    fill(database, 3)
    backfill_all(database)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('ALTER TABLE "ProductEmbeddings" ALTER "ProductVariantId" DROP NOT NULL')
        connection.execute(
            'INSERT INTO "ProductEmbeddings" ("SourceType", "ImageEmbedding")'
            " VALUES ('quick_scan', array_fill(1, ARRAY[768])::vector)"
        )
        connection.execute(
            'UPDATE "ProductEmbeddings" SET "SourceHash" = NULL WHERE "ProductVariantId" ='
            ' (SELECT min("Id"::text)::uuid FROM "ProductVariants")'
        )
    assert diagnose(url)["embeddings"].what.startswith("2 products embedded")
    assert rows(database, 'SELECT count(*) FROM "ProductEmbeddings"') == [(4,)]
