"""A column or table that is gone is not taken for an empty one: no vector is lost."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shelfsight.backfill.losses import RunPolicy
from shelfsight.errors import CatalogueChangedError, UnconfirmedLossError
from shelfsight.postgres.connection import Database
from shelfsight.records import Selection
from shelfsight.storage.changes import triggers
from tests.conftest import created
from tests.integration.test_watch import Watch
from tests.shop import backfill_all, fill, rows

READ = {
    "ProductVariants": ("ProductId", "UserId", "Title", "Description", "IsArchived"),
    "ProductImages": ("ProductVariantId", "ImageUrl", "Position"),
    "Products": ("DeletedAt",),
}
"""The columns of the catalogue that a backfill reads, besides the ids."""

COLUMNS = [(table, column) for table, columns in READ.items() for column in columns]
COUNT = (
    'SELECT count(*), count("ImageEmbedding"), count("TextEmbedding"), count("CombinedEmbedding")'
    ' FROM "ProductEmbeddings"'
)
PRODUCTS = 12


def run(database: Database, statement: str) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(statement.encode())


@contextmanager
def shop(server: str, prepared: str) -> Iterator[Database]:
    """An embedded shop that has every column a backfill can read."""
    with created(server, template=prepared) as url, closing(Database(url)) as database:
        run(
            database,
            'ALTER TABLE "ProductVariants" ADD "IsArchived" boolean;'
            ' ALTER TABLE "Products" ADD "DeletedAt" timestamptz',
        )
        fill(database, PRODUCTS, pictures=True)
        report = backfill_all(database)
        assert (report.image, report.text) == (PRODUCTS, PRODUCTS)
        yield database


def test_every_column_gone_is_told_with_the_statement_that_mends_it(
    server: str, prepared: str
) -> None:
    with shop(server, prepared) as database:
        before = rows(database, COUNT)
        for table, column in COLUMNS:
            run(database, f'ALTER TABLE "{table}" RENAME "{column}" TO "Other"')
            with pytest.raises(CatalogueChangedError, match=f'"{table}" has no "{column}"') as told:
                backfill_all(database)
            assert rows(database, COUNT) == before
            (mend,) = re.findall(r"run: (ALTER TABLE .*?);", str(told.value))
            run(database, mend)
            assert backfill_all(database).found == 0
        for table in READ:
            run(database, f'ALTER TABLE "{table}" RENAME TO "Other"')
            with pytest.raises(CatalogueChangedError, match=f'no table "{table}"') as told:
                backfill_all(database)
            (mend,) = re.findall(r"run: (ALTER TABLE .*?);", str(told.value))
            run(database, mend)
            assert backfill_all(database).found == 0
            assert rows(database, COUNT) == before


@settings(max_examples=4, suppress_health_check=list(HealthCheck), database=None)
@given(
    gone=st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4, unique=True),
    is_dropped=st.booleans(),
    selection=st.sampled_from(
        [Selection(), Selection(skip_existing=False), Selection(missing="image")]
    ),
)
@example(gone=COLUMNS, is_dropped=True, selection=Selection())
def test_whatever_is_gone_no_vector_is_lost(
    server: str,
    prepared: str,
    gone: list[tuple[str, str]],
    is_dropped: bool,
    selection: Selection,
) -> None:
    with shop(server, prepared) as database:
        before = rows(database, COUNT)
        for number, (table, column) in enumerate(gone):
            change = f'DROP "{column}"' if is_dropped else f'RENAME "{column}" TO "Other{number}"'
            run(database, f'ALTER TABLE "{table}" {change}')
        with pytest.raises(CatalogueChangedError) as told:
            backfill_all(database, selection=selection)
        assert all(f'"{column}"' in str(told.value) for _, column in gone)
        assert "--yes" in str(told.value)
        assert rows(database, COUNT) == before


def test_a_column_that_goes_while_a_run_is_at_work_stops_it(server: str, prepared: str) -> None:
    with shop(server, prepared) as database:
        before = rows(database, COUNT)
        run(database, 'UPDATE "ProductVariants" SET "Title" = "Title" || \'!\'')

        def rename(_page: object) -> None:
            run(
                database,
                'DO $$ BEGIN ALTER TABLE "ProductVariants" RENAME "UserId" TO "Owner";'
                " EXCEPTION WHEN undefined_column THEN NULL; END $$",
            )

        with pytest.raises(CatalogueChangedError, match="UserId"):
            backfill_all(database, batch_size=4, before_save=rename)
        assert rows(database, COUNT) == before


def test_what_is_gone_on_purpose_is_accepted_once(server: str, prepared: str) -> None:
    with shop(server, prepared) as database:
        run(database, 'ALTER TABLE "ProductVariants" DROP "Title"')
        accepts = RunPolicy(accepts_losses=True)
        report = backfill_all(database, policy=accepts)
        assert (report.lost_text, report.lost_image, report.lost_combined) == (PRODUCTS, 0, 0)
        assert rows(database, COUNT) == [(PRODUCTS, PRODUCTS, 0, PRODUCTS)]
        assert backfill_all(database).found == 0


EMPTY = {
    "text": 'UPDATE "ProductVariants" SET "Title" = NULL WHERE "Price" <= {}',
    "image": 'DELETE FROM "ProductImages" WHERE "ProductVariantId" IN'
    ' (SELECT "Id" FROM "ProductVariants" WHERE "Price" <= {})',
    "image at addresses that fail": 'UPDATE "ProductImages" SET "ImageUrl" = "ImageUrl" || \'x\''
    ' WHERE "ProductVariantId" IN (SELECT "Id" FROM "ProductVariants" WHERE "Price" <= {})',
}


@pytest.mark.parametrize("kind", EMPTY)
@pytest.mark.parametrize("is_much", [True, False])
def test_more_than_a_tenth_of_the_vectors_goes_only_when_that_is_confirmed(
    server: str, prepared: str, kind: str, is_much: bool
) -> None:
    with shop(server, prepared) as database:
        before = rows(database, COUNT)
        run(database, EMPTY[kind].format(2 if is_much else 1))
        if not is_much:
            report = backfill_all(database)
            assert report.lost_image + report.lost_text == 1
            return
        with pytest.raises(UnconfirmedLossError, match=rf"2 of {PRODUCTS} \w+ vectors.*--yes") as e:
            backfill_all(database)
        assert e.value.exit_status == 2
        assert rows(database, COUNT) == before
        report = backfill_all(database, policy=RunPolicy(accepts_losses=True))
        assert report.lost_image + report.lost_text == 2
        assert rows(database, COUNT) != before


def test_a_run_that_goes_on_is_let_go_on_by_the_next_call(server: str, prepared: str) -> None:
    """A run of all products is joined, not begun anew."""
    everything = Selection(skip_existing=False)
    with shop(server, prepared) as database:
        run(database, EMPTY["image at addresses that fail"].format(PRODUCTS))
        for _ in range(2):
            with pytest.raises(UnconfirmedLossError, match="--yes"):
                backfill_all(database, selection=everything)
        accepts = RunPolicy(accepts_losses=True)
        report = backfill_all(database, selection=everything, policy=accepts)
        assert report.lost_image == PRODUCTS
        assert rows(database, 'SELECT "LossesAccepted" FROM shelfsight."BackfillRuns"')[-1] == (
            True,
        )


def test_the_question_is_asked_with_the_numbers(server: str, prepared: str) -> None:
    with shop(server, prepared) as database:
        run(database, 'UPDATE "ProductVariants" SET "Title" = NULL; DELETE FROM "ProductImages"')
        asked: list[str] = []
        policy = RunPolicy(confirm=lambda what: bool(asked.append(what)))
        with pytest.raises(UnconfirmedLossError):
            backfill_all(database, policy=policy)
        told = f"{PRODUCTS} of {PRODUCTS} image and {PRODUCTS} of {PRODUCTS} text and {PRODUCTS} of"
        assert asked[0].startswith(told)
        agrees = RunPolicy(confirm=lambda _what: True)
        assert backfill_all(database, policy=agrees).lost_combined == PRODUCTS
        assert rows(database, COUNT) == [(0, 0, 0, 0)]


@pytest.mark.parametrize("has_triggers", [True, False])
def test_a_watch_pauses_and_goes_on_once_the_column_is_back(
    server: str, prepared: str, has_triggers: bool
) -> None:
    with shop(server, prepared) as database:
        if has_triggers:
            triggers.create(database)
        before = rows(database, COUNT)
        with Watch(database.url, every=0.5) as watched:
            watched.wait_until_idle()
            run(database, 'ALTER TABLE "ProductVariants" RENAME "Title" TO "Name"')
            run(database, 'UPDATE "ProductVariants" SET "Description" = \'New\'')
            watched.wait_until(lambda: bool(watched.heard.said))
            assert 'RENAME "Name" TO "Title"' in watched.heard.said[0]
            assert rows(database, COUNT) == before
            run(database, 'ALTER TABLE "ProductVariants" RENAME "Name" TO "Title"')
            texts = (
                'SELECT count(*) FROM "ProductEmbeddings" WHERE "ProductText" LIKE \'Product%New\''
            )
            watched.wait_until(lambda: rows(database, texts) == [(PRODUCTS,)])
        assert rows(database, COUNT) == before


@pytest.mark.parametrize("has_triggers", [True, False])
def test_a_watch_leaves_many_losses_and_says_why(
    server: str, prepared: str, has_triggers: bool
) -> None:
    with shop(server, prepared) as database:
        if has_triggers:
            triggers.create(database)
        before = rows(database, COUNT)
        run(database, 'UPDATE "ProductVariants" SET "Title" = NULL WHERE "Price" > 2')
        run(database, 'UPDATE "ProductVariants" SET "Title" = \'Edited\' WHERE "Price" = 1')
        with Watch(database.url) as watched:
            edited = 'SELECT FROM "ProductEmbeddings" WHERE "ProductText" = \'Edited\''
            watched.wait_until(lambda: len(rows(database, edited)) == 1)
            watched.wait_until(lambda: bool(watched.heard.said))
            watched.wait_until_idle()
        assert "10 of 12 text vectors" in watched.heard.said[0]
        assert "shelfsight backfill --all --yes" in watched.heard.said[0]
        assert rows(database, COUNT) == before


@pytest.mark.parametrize("has_triggers", [True, False])
def test_a_watch_deletes_what_is_stored_of_deleted_products_unless_they_are_many(
    server: str, prepared: str, has_triggers: bool
) -> None:
    with shop(server, prepared) as database:
        if has_triggers:
            triggers.create(database)
        stored = 'SELECT count(*) FROM "ProductEmbeddings"'
        with Watch(database.url, every=3600.0 if has_triggers else 0.5) as watched:
            watched.wait_until_idle()
            run(database, 'DELETE FROM "ProductVariants" WHERE "Price" = 1')
            watched.wait_until(lambda: rows(database, stored) == [(PRODUCTS - 1,)])
            run(database, 'DELETE FROM "ProductVariants" WHERE "Price" < 6')
            watched.wait_until(lambda: bool(watched.heard.said))
        assert "4 of 11 image" in watched.heard.said[0]
        assert "shelfsight prune" in watched.heard.said[0]
        assert rows(database, stored) == [(PRODUCTS - 1,)]
