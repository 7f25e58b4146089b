"""A file that is the whole catalogue archives what it lacks, and restores what it has."""

from pathlib import Path
from typing import Any

import pytest

from shelfsight.catalog.imports.import_file import import_file
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.import_summary import ImportSummary
from shelfsight.catalog.imports.product_file import ProductFile
from shelfsight.errors import ImportFileError, SchemaError, UnconfirmedError
from shelfsight.postgres.connection import Database
from tests.integration.test_archived import run
from tests.shop import rows

COMPLETE = ImportOptions(complete=True)
TEN = [f"sku-{n}" for n in range(10)]


class Asked:
    """Answers whether products may be archived, and notes what it was asked."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.questions: list[tuple[int, int]] = []

    def __call__(self, missing: int, living: int) -> bool:
        self.questions.append((missing, living))
        return self.answer


def imported(
    database: Database,
    folder: Path,
    *lines: str,
    columns: str = "sku",
    options: ImportOptions = COMPLETE,
    confirm: Any = None,
) -> ImportSummary:
    file = folder / "products.csv"
    file.write_text("\n".join([columns, *lines]) + "\n")
    return import_file(
        database, ProductFile(file), options, lambda _: None, confirm or Asked(False)
    )


def living(database: Database) -> set[str]:
    found = rows(database, 'SELECT "Sku" FROM "ProductVariants" WHERE "ArchivedAt" IS NULL')
    return {sku for (sku,) in found}


def everything(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, 'SELECT v.* FROM "ProductVariants" AS v ORDER BY "Sku", "UserId"')


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Database:
    """Ten products of no owner, in a table that has a column for archived ones."""
    run(database, 'ALTER TABLE "ProductVariants" ADD "ArchivedAt" timestamptz')
    imported(database, tmp_path, *TEN, options=ImportOptions())
    return database


def test_what_the_file_lacks_is_archived_and_comes_back_with_it(
    shop: Database, tmp_path: Path
) -> None:
    before = everything(shop)
    assert imported(shop, tmp_path, *TEN[2:]) == ImportSummary(untouched=8, archived=2)
    assert living(shop) == set(TEN[2:])
    assert [row for row in everything(shop) if row in before] == before[2:]
    assert imported(shop, tmp_path, *TEN[2:]) == ImportSummary(untouched=8)
    assert imported(shop, tmp_path, *TEN, options=ImportOptions()) == ImportSummary(untouched=10)
    assert living(shop) == set(TEN[2:])
    restored = imported(shop, tmp_path, *TEN)
    assert restored == ImportSummary(untouched=8, changed=2, restored=2)
    assert living(shop) == set(TEN)


def test_above_a_fifth_somebody_has_to_agree_before_anything_is_written(
    shop: Database, tmp_path: Path
) -> None:
    before = everything(shop)
    lines = [*(f"{sku},1" for sku in TEN[3:]), "new,1"]
    no, yes = Asked(False), Asked(True)
    with pytest.raises(UnconfirmedError, match=r"lacks 3 of 10 products.*nothing was written"):
        imported(shop, tmp_path, *lines, columns="sku,price", confirm=no)
    assert everything(shop) == before
    dry = ImportOptions(complete=True, dry_run=True)
    would = imported(shop, tmp_path, *lines, columns="sku,price", options=dry)
    assert everything(shop) == before
    assert imported(shop, tmp_path, *lines, columns="sku,price", confirm=yes) == would
    assert (would.new, would.changed, would.archived) == (1, 7, 3)
    assert (no.questions, yes.questions) == ([(3, 10)], [(3, 10)])
    assert living(shop) == {*TEN[3:], "new"}


def test_only_products_of_the_owners_in_the_file_are_archived(
    shop: Database, tmp_path: Path
) -> None:
    alice = [f"a{n},alice" for n in range(5)]
    lines = [*alice, "b0,bob", "a0,bob"]
    all_ = imported(shop, tmp_path, *lines, columns="sku,owner", options=ImportOptions())
    assert (all_.new, all_.bad_lines) == (7, 0)
    assert imported(shop, tmp_path, *alice[1:], columns="sku,owner").archived == 1
    archived = 'SELECT "Sku", "UserId" FROM "ProductVariants" WHERE "ArchivedAt" IS NOT NULL'
    assert rows(shop, archived) == [("a0", "alice")]


def test_a_bad_line_archives_nothing(shop: Database, tmp_path: Path) -> None:
    lines = [*(f"{sku},2" for sku in TEN[2:]), ",2"]
    done = imported(shop, tmp_path, *lines, columns="sku,price")
    assert (done.changed, done.bad_lines, done.archived) == (8, 1, 0)
    assert living(shop) == set(TEN)


def test_a_complete_file_without_products_is_refused(shop: Database, tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="has no products"):
        imported(shop, tmp_path, confirm=Asked(True))
    assert living(shop) == set(TEN)


def test_a_product_that_came_while_somebody_was_asked_is_not_archived(
    shop: Database, tmp_path: Path
) -> None:
    def confirm(_missing: int, _living: int) -> bool:
        run(shop, 'INSERT INTO "ProductVariants" ("Sku") VALUES (\'late\')')
        return True

    assert imported(shop, tmp_path, TEN[0], confirm=confirm).archived == 9
    assert living(shop) == {TEN[0], "late"}


def test_where_nothing_can_be_archived_the_statement_is_given_that_helps(
    database: Database, tmp_path: Path
) -> None:
    imported(database, tmp_path, *TEN, options=ImportOptions())
    run(
        database,
        'ALTER TABLE "ProductVariants" ADD "DeletedAt" timestamptz, ADD "Status" text',
    )
    before = everything(database)
    with pytest.raises(SchemaError) as caught:
        imported(database, tmp_path, "new", confirm=Asked(True))
    assert everything(database) == before
    run(database, str(caught.value).rpartition(": ")[2])
    assert imported(database, tmp_path, *TEN[1:]).archived == 1
    assert living(database) == set(TEN[1:])


@pytest.mark.parametrize(
    "column",
    [
        '"ArchivedAt" date',
        '"IsArchived" boolean NOT NULL DEFAULT false',
        '"Archived" smallint',
        '"Archived" text',
    ],
)
def test_each_kind_of_column_is_set_and_unset(
    database: Database, tmp_path: Path, column: str
) -> None:
    run(database, f'ALTER TABLE "ProductVariants" ADD {column}')
    imported(database, tmp_path, *TEN, options=ImportOptions())
    assert imported(database, tmp_path, *TEN[1:]).archived == 1
    assert imported(database, tmp_path, *TEN[1:]).archived == 0
    assert imported(database, tmp_path, *TEN).restored == 1
    assert imported(database, tmp_path, *TEN) == ImportSummary(untouched=10)


def test_of_two_rows_with_a_sku_the_one_that_is_not_archived_is_meant(
    shop: Database, tmp_path: Path
) -> None:
    run(
        shop,
        'UPDATE "ProductVariants" SET "ArchivedAt" = now(), "Title" = \'old\''
        " WHERE \"Sku\" = 'sku-0'",
        'INSERT INTO "ProductVariants" ("Sku", "Title") VALUES (\'sku-0\', \'again\')',
    )
    lines = ["sku-0,Mug", *(f"{sku}," for sku in TEN[1:])]
    assert imported(shop, tmp_path, *lines, columns="sku,title").restored == 0
    titles = 'SELECT "Title" FROM "ProductVariants" WHERE "Sku" = \'sku-0\' ORDER BY 1'
    assert rows(shop, titles) == [("Mug",), ("old",)]
