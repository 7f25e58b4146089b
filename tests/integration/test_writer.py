"""Imported products are written to the shop's tables; importing again changes nothing."""

from dataclasses import replace
from decimal import Decimal

import pytest

from shelfsight.catalog.imports.import_file import write_products
from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.errors import SchemaError
from shelfsight.postgres.connection import Database
from tests.shop import backfill_all, rows

MUG = ImportedProduct(
    line=2,
    sku="MUG-1",
    product_key="mug",
    title="Mug",
    description="<b>Blue</b>",
    price=Decimal("9.90"),
    barcode="4006381333931",
    options={"Colour": "blue"},
    image_urls=("http://shop.test/1.png", "http://shop.test/2.png"),
    category="Kitchen",
)
CAP = ImportedProduct(line=3, sku="CAP-1", product_key="cap", title="Cap", options={})


def write(database: Database, *products: ImportedProduct) -> tuple[int, int, int]:
    summary = write_products(database, products)
    return summary.new, summary.changed, summary.untouched


def test_an_imported_product_has_all_its_fields(database: Database) -> None:
    assert write(database, MUG, CAP) == (2, 0, 0)
    (row,) = rows(
        database,
        'SELECT v."Title", v."Description", v."Price", v."Barcode", v."Options", p."Category"'
        ' FROM "ProductVariants" v JOIN "Products" p ON p."Id" = v."ProductId"'
        " WHERE v.\"Sku\" = 'MUG-1'",
    )
    assert row == (
        *("Mug", "<b>Blue</b>", Decimal("9.90"), "4006381333931"),
        *({"Colour": "blue"}, "Kitchen"),
    )
    urls = rows(database, 'SELECT "ImageUrl" FROM "ProductImages" ORDER BY "Position"')
    assert [url for (url,) in urls] == list(MUG.image_urls)


def test_importing_the_same_file_twice_changes_nothing(database: Database) -> None:
    write(database, MUG, CAP)
    before = rows(database, 'SELECT * FROM "ProductVariants" ORDER BY "Sku"')
    pictures = rows(database, 'SELECT * FROM "ProductImages" ORDER BY "Id"')
    assert write(database, MUG, CAP) == (0, 0, 2)
    assert rows(database, 'SELECT * FROM "ProductVariants" ORDER BY "Sku"') == before
    assert rows(database, 'SELECT * FROM "ProductImages" ORDER BY "Id"') == pictures


def test_an_edited_line_changes_its_product_alone(database: Database) -> None:
    write(database, MUG, CAP)
    backfill_all(database)
    assert write(database, replace(MUG, title="Cup"), CAP) == (0, 1, 1)
    assert write(database, replace(MUG, title="Cup", image_urls=MUG.image_urls[:1])) == (0, 1, 0)
    assert backfill_all(database).found == 1


def test_a_price_alone_makes_nothing_due(database: Database) -> None:
    write(database, MUG)
    backfill_all(database)
    assert write(database, replace(MUG, price=Decimal(5))) == (0, 1, 0)
    assert backfill_all(database).found == 0


def test_owners_may_use_the_same_sku(database: Database) -> None:
    assert write(database, MUG) == (1, 0, 0)
    assert write(database, replace(MUG, owner_id="alice")) == (1, 0, 0)
    assert rows(database, 'SELECT count(*) FROM "ProductVariants"') == [(2,)]


def test_variants_of_one_product_share_it(database: Database) -> None:
    write(database, MUG, replace(MUG, sku="MUG-2", title="Mug, red"))
    assert rows(database, 'SELECT count(*) FROM "Products"') == [(1,)]


def test_tables_not_made_by_init_are_refused(database: Database) -> None:
    database.run(lambda c: c.execute('ALTER TABLE "ProductVariants" DROP COLUMN "Barcode"'))
    with pytest.raises(SchemaError, match="lacks Barcode"):
        write_products(database, [])
