"""An import changes what its file says, and nothing else that is stored."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from shelfsight.catalog.imports.import_file import import_file, write_products
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.import_summary import ImportSummary
from shelfsight.catalog.imports.imported import Column, ImportedProduct
from shelfsight.catalog.imports.product_file import ProductFile
from shelfsight.postgres.connection import Connection, Database
from tests.shop import rows

SKUS = ("a", "b", "c", "d")
COLUMNS = (
    *("title", "description", "price", "barcode", "options", "category", "images", "link"),
    "owner",
)
TEXTS = st.sampled_from(["Mug", "<b>Cup</b>", 'ünï, "quoted"\nlines'])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "title": TEXTS,
    "description": TEXTS,
    "price": st.sampled_from([Decimal("9.90"), Decimal(0), Decimal("12.5")]),
    "barcode": st.sampled_from(["0400", "4006381333931"]),
    "options": st.dictionaries(
        st.sampled_from(["Colour", "Size"]), st.sampled_from(["red", "L"]), min_size=1
    ),
    "category": st.sampled_from(["Kitchen", "Home"]),
    "link": st.sampled_from(["mug", "https://shop.example/mug"]),
    "images": st.lists(st.sampled_from(["1.png", "2.png", "3.png"]), min_size=1, unique=True),
}
EMPTY: dict[str, list[Any]] = {
    "title": [None, ""],
    "description": [None, ""],
    "options": [None, {}],
    "images": [[]],
}
"""What is stored for an empty value; None in the other columns."""

Catalogue = dict[str, dict[str, Any]]


def run(
    database: Database, file: Path, *, clear_empty: bool = False, dry_run: bool = False
) -> ImportSummary:
    bad: list[object] = []
    options = ImportOptions(clear_empty=clear_empty, dry_run=dry_run)
    summary = import_file(database, ProductFile(file), options, bad.append, lambda *_: False)
    assert not bad
    return summary


def store(database: Database, catalogue: Catalogue) -> None:
    """Make this the catalogue of the shop, changed last a year ago."""

    def work(connection: Connection) -> None:
        connection.execute('TRUNCATE "Products", "ProductVariants", "ProductImages" CASCADE')
        for sku, product in catalogue.items():
            values = {**product, "sku": sku, "options": Jsonb(product["options"])}
            connection.execute(
                'WITH p AS (INSERT INTO "Products" ("Category", "UpdatedAt")'
                " VALUES (%(category)s, now() - interval '1 year') RETURNING \"Id\"),"
                ' v AS (INSERT INTO "ProductVariants" ("ProductId", "UserId", "Sku", "Title",'
                ' "Description", "Price", "Barcode", "Options", "Link", "UpdatedAt")'
                ' SELECT "Id", %(owner)s, %(sku)s, %(title)s, %(description)s, %(price)s,'
                " %(barcode)s, %(options)s, %(link)s, now() - interval '1 year'"
                ' FROM p RETURNING "Id")'
                ' INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl", "AltText",'
                ' "Position") SELECT "Id", url, \'of \' || url, place FROM v,'
                " unnest(%(images)s::text[]) WITH ORDINALITY AS u(url, place)",
                values,
            )

    database.run(work)


def stored(database: Database) -> Catalogue:
    names = (
        "sku",
        "product",
        "owner",
        "title",
        "description",
        "price",
        "barcode",
        "options",
        "link",
    )
    found = rows(
        database,
        'SELECT "Sku", v."ProductId", v."UserId", v."Title", "Description", "Price", "Barcode",'
        ' "Options", "Link", "Category", ARRAY(SELECT "ImageUrl" FROM "ProductImages"'
        ' WHERE "ProductVariantId" = v."Id" ORDER BY "Position"), v."UpdatedAt", p."UpdatedAt"'
        ' FROM "ProductVariants" v LEFT JOIN "Products" p ON p."Id" = v."ProductId"',
    )
    names = (*names, "category", "images", "updated", "product_updated")
    return {row[0]: dict(zip(names, row, strict=True)) for row in found}


def cell(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return "|".join(value) if isinstance(value, list) else "" if value is None else str(value)


def write(path: Path, columns: tuple[str, ...], products: Catalogue, form: str) -> Path:
    file = path / f"products.{form}"
    with file.open("w", newline="") as out:
        if form == "csv":
            table = csv.writer(out)
            table.writerow(["sku", *columns])
            table.writerows([[sku, *(cell(p[c]) for c in columns)] for sku, p in products.items()])
        else:
            for sku, product in products.items():
                given = {column: product[column] for column in columns}
                out.write(json.dumps({"sku": sku} | given, default=str) + "\n")
    return file


def product(draw: st.DrawFn, empties: dict[str, list[Any]]) -> dict[str, Any]:
    return {
        column: draw(VALUES[column] | st.sampled_from(empties.get(column, [None])))
        for column in VALUES
    }


@dataclass(frozen=True)
class Case:
    catalogue: Catalogue
    columns: tuple[str, ...]
    products: Catalogue
    form: str


@st.composite
def cases(draw: st.DrawFn) -> Case:
    owners = st.sampled_from([None, "alice", "bob"])
    catalogue = {
        sku: product(draw, EMPTY) | {"owner": draw(owners)}
        for sku in draw(st.lists(st.sampled_from(SKUS), unique=True))
    }
    products = {
        sku: product(draw, {"options": [{}], "images": [[]]})
        | {"owner": draw(st.sampled_from([None, catalogue.get(sku, {}).get("owner")]))}
        for sku in draw(st.permutations(SKUS))[: draw(st.integers(1, len(SKUS)))]
    }
    columns = tuple(draw(st.lists(st.sampled_from(COLUMNS), unique=True)))
    return Case(catalogue, columns, products, draw(st.sampled_from(["csv", "jsonl"])))


def expected(before: Any, product: dict[str, Any], column: str, *, clear_empty: bool) -> Any:
    given = product[column]
    if column == "options":
        kept = {} if clear_empty and not given else before or {}
        return kept | given
    if given in (None, "", []):
        return ([] if column == "images" else None) if clear_empty else before
    return given


def is_same(one: Any, other: Any) -> bool:
    return one == other or (one in (None, "", {}, []) and other in (None, "", {}, []))


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases(), clear_empty=st.booleans())
def test_what_the_file_does_not_give_stays_and_a_second_import_changes_nothing(
    database: Database, tmp_path: Path, case: Case, clear_empty: bool
) -> None:
    store(database, case.catalogue)
    before = stored(database)
    file = write(tmp_path, case.columns, case.products, case.form)
    would = run(database, file, clear_empty=clear_empty, dry_run=True)
    assert stored(database) == before
    done = run(database, file, clear_empty=clear_empty)
    assert would.counts() == done.counts()
    after = stored(database)

    changed = 0
    for sku, was in before.items():
        given = case.products.get(sku, {})
        for column in VALUES:
            want = was[column]
            if column in case.columns and given:
                want = expected(was[column], given, column, clear_empty=clear_empty)
            assert is_same(after[sku][column], want), (sku, column)
        assert (after[sku]["owner"], after[sku]["product"]) == (was["owner"], was["product"])
        is_changed = any(not is_same(after[sku][column], was[column]) for column in VALUES)
        changed += is_changed
        if not is_changed:
            assert after[sku] == was
    for sku in case.products.keys() - before.keys():
        for column in set(case.columns) & VALUES.keys():
            assert is_same(after[sku][column], case.products[sku][column]), (sku, column)
    assert after.keys() == before.keys() | case.products.keys()
    assert (done.new, done.changed) == (len(case.products.keys() - before.keys()), changed)
    assert done.products == len(case.products)
    if not clear_empty:
        assert done.emptied == 0

    again = run(database, file, clear_empty=clear_empty)
    assert again == ImportSummary(untouched=len(case.products))
    assert stored(database) == after


MUG = {
    "MH01": {
        "title": "Mug",
        "description": "<b>Blue</b>",
        "price": Decimal(45),
        "barcode": "0400",
        "options": {"Colour": "blue"},
        "category": "Kitchen",
        "link": "blue-mug",
        "images": ["1.png", "2.png", "3.png", "4.png", "5.png"],
        "owner": "alice",
    }
}


def mug(database: Database) -> dict[str, Any]:
    return stored(database)["MH01"]


@pytest.fixture
def shop(database: Database) -> Database:
    store(database, MUG)
    return database


def imported(
    database: Database, folder: Path, text: str, *, name: str = "products.csv", clear: bool = False
) -> str:
    file = folder / name
    file.write_text(text)
    return run(database, file, clear_empty=clear).text()


def test_a_file_of_prices_changes_the_prices_alone(shop: Database, tmp_path: Path) -> None:
    before = mug(shop)
    text = imported(shop, tmp_path, "sku,price\nMH01,49\n")
    assert text == "0 new, 1 changed (price 1), 0 emptied, 0 untouched, 0 bad lines"
    after = mug(shop)
    assert after["updated"] > before["updated"]
    assert after == {**before, "price": Decimal(49), "updated": after["updated"]}


def test_only_clear_empty_empties_and_says_what(shop: Database, tmp_path: Path) -> None:
    before = mug(shop)
    file = "sku,title,barcode,images,price,options,category,owner\nMH01,,,,,,,\n"
    assert imported(shop, tmp_path, file).startswith("0 new, 0 changed, 0 emptied, 1 untouched")
    assert mug(shop) == before
    assert imported(shop, tmp_path, file, clear=True) == (
        "0 new, 1 changed, 6 emptied (title 1, price 1, barcode 1, options 1, category 1,"
        " images 1), 0 untouched, 0 bad lines"
    )
    after = mug(shop)
    assert (after["title"], after["barcode"], after["images"]) == ("", None, [])
    assert (after["price"], after["options"], after["category"]) == (None, {}, None)
    assert (after["description"], after["owner"]) == (before["description"], "alice")


def test_links_are_stored_where_the_table_has_a_column_for_them(
    shop: Database, tmp_path: Path
) -> None:
    """A table of an older release has none; then nothing counts as changed."""
    file = tmp_path / "feed.csv"
    file.write_text("sku,title,link\nmug,Mug,https://shop.example/mug\ncap,Cap,cap\n")
    shop.run(lambda c: c.execute('ALTER TABLE "ProductVariants" DROP COLUMN "Link"'))
    assert run(shop, file).new == 2
    assert run(shop, file).untouched == 2
    shop.run(lambda c: c.execute('ALTER TABLE "ProductVariants" ADD COLUMN "Link" text'))
    assert run(shop, file).changed_columns == {Column.LINK: 2}
    links = 'SELECT "Sku", "Link" FROM "ProductVariants" WHERE "Sku" <> \'MH01\' ORDER BY 1'
    assert rows(shop, links) == [("cap", "cap"), ("mug", "https://shop.example/mug")]
    file.write_text("sku,link\nmug,\n")
    assert run(shop, file).untouched == 1
    assert run(shop, file, clear_empty=True).emptied_columns == {Column.LINK: 1}
    assert rows(shop, links) == [("cap", "cap"), ("mug", None)]


def test_only_the_options_that_the_file_names_change(shop: Database, tmp_path: Path) -> None:
    line = '{"sku": "MH01", "options": {"Size": "L", "Colour": ""}}\n'
    imported(shop, tmp_path, line, name="sizes.jsonl")
    assert mug(shop)["options"] == {"Colour": "blue", "Size": "L"}
    imported(shop, tmp_path, line, name="sizes.jsonl", clear=True)
    assert mug(shop)["options"] == {"Size": "L"}


def test_pictures_that_stay_keep_their_rows(shop: Database, tmp_path: Path) -> None:
    pictures = 'SELECT "ImageUrl", "AltText", "Id" FROM "ProductImages" ORDER BY "Position"'
    before = {url: rest for url, *rest in rows(shop, pictures)}
    imported(shop, tmp_path, "sku,images\nMH01,9.png|3.png|1.png\n")
    after = {url: rest for url, *rest in rows(shop, pictures)}
    assert list(after) == ["9.png", "3.png", "1.png"]
    assert (after["3.png"], after["1.png"]) == (before["3.png"], before["1.png"])


def test_of_equal_pictures_one_stays(shop: Database, tmp_path: Path) -> None:
    shop.run(lambda c: c.execute('UPDATE "ProductImages" SET "ImageUrl" = \'1.png\''))
    assert "images 1" in imported(shop, tmp_path, "sku,image\nMH01,1.png\n")
    assert mug(shop)["images"] == ["1.png"]


def test_values_of_the_shop_in_options_and_its_type_of_price_are_respected(
    shop: Database, tmp_path: Path
) -> None:
    shop.run(
        lambda c: c.execute(
            'ALTER TABLE "ProductVariants" ALTER "Price" TYPE numeric(10, 2);'
            ' UPDATE "ProductVariants" SET "Options" = \'{"n": 1.10, "list": [1e400]}\''
        )
    )
    file = 'sku,price,options\nMH01,9.999,"{""Size"": ""L""}"\n'
    imported(shop, tmp_path, file)
    assert imported(shop, tmp_path, file).startswith("0 new, 0 changed")
    assert rows(shop, 'SELECT "Price", "Options"::text FROM "ProductVariants"') == [
        (Decimal("10.00"), f'{{"n": 1.10, "Size": "L", "list": [1{"0" * 400}]}}')
    ]


def test_the_category_of_a_product_is_the_first_that_the_file_gives(
    database: Database, tmp_path: Path
) -> None:
    file = "sku,product_key,category\nx1,x,\nx2,x,Home\nx3,x,Garden\n"
    assert imported(database, tmp_path, file).startswith("3 new")
    assert {product["category"] for product in stored(database).values()} == {"Home"}
    assert "3 untouched" in imported(database, tmp_path, file)
    file = file.replace("Home", "Bath")
    assert "1 changed (category 1)" in imported(database, tmp_path, file)


def test_a_variant_that_gets_another_product_keeps_its_category(
    shop: Database, tmp_path: Path
) -> None:
    assert "product_key 1" in imported(shop, tmp_path, "sku,product_key\nMH01,mugs\n")
    assert mug(shop)["category"] == "Kitchen"
    assert "1 untouched" in imported(shop, tmp_path, "sku,price\nMH01,45\n")


def test_a_sku_of_several_owners_needs_a_column_owner(shop: Database, tmp_path: Path) -> None:
    imported(shop, tmp_path, "sku,owner,title\nMH01,bob,Cup\n")
    file = tmp_path / "price.csv"
    file.write_text("sku,price\nMH01,1\n")
    bad: list[Any] = []
    summary = import_file(shop, ProductFile(file), ImportOptions(), bad.append, lambda *_: False)
    assert summary == ImportSummary(bad_lines=1)
    assert [(b.line, b.reason) for b in bad] == [
        (2, "sku 'MH01' belongs to several owners: add a column owner")
    ]
    imported(shop, tmp_path, "sku,owner,price\nMH01,bob,1\n")
    assert sorted(price for (price,) in rows(shop, 'SELECT "Price" FROM "ProductVariants"')) == [
        *(1, 45)
    ]


SHOPIFY = """\
Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src
tee,Tee,<p>Soft</p>,Size,S,tee-s,20,4.png
tee,,,,M,tee-m,21,5.png
tee,,,,,,,6.png
"""


@pytest.mark.parametrize("clear", [False, True])
def test_blank_cells_of_shopifys_further_lines_empty_nothing(
    database: Database, tmp_path: Path, clear: bool
) -> None:
    imported(database, tmp_path, SHOPIFY, clear=clear)
    before = stored(database)
    assert before["tee-m"]["description"] == "<p>Soft</p>"
    assert before["tee-m"]["images"] == ["4.png", "5.png", "6.png"]
    assert "2 untouched" in imported(database, tmp_path, SHOPIFY, clear=clear)
    prices = (
        "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n"
        "tee,Tee,Size,S,tee-s,30\ntee,,,M,tee-m,\n"
    )
    text = imported(database, tmp_path, prices, clear=clear)
    after = stored(database)
    assert after["tee-s"]["price"] == 30
    assert after["tee-m"]["price"] == (None if clear else 21)
    assert text.startswith(
        "0 new, 2 changed (price 1), 1 emptied (price 1)"
        if clear
        else "0 new, 1 changed (price 1), 0 emptied, 1 untouched"
    )
    for sku in ("tee-s", "tee-m"):
        kept = ("title", "description", "options", "images", "product")
        assert [after[sku][name] for name in kept] == [before[sku][name] for name in kept]
    no_text = SHOPIFY.replace("<p>Soft</p>", "")
    assert ("description 2" in imported(database, tmp_path, no_text, clear=clear)) is clear


def test_a_sku_that_was_renamed_in_the_shop_is_imported_as_a_new_product(
    database: Database, tmp_path: Path
) -> None:
    imported(database, tmp_path, "sku,title\nold,Mug\n")
    database.run(lambda c: c.execute('UPDATE "ProductVariants" SET "Sku" = \'renamed\''))
    assert imported(database, tmp_path, "sku,title\nold,Cup\n").startswith("1 new")
    assert {sku: p["title"] for sku, p in stored(database).items()} == {
        "renamed": "Mug",
        "old": "Cup",
    }


def test_a_large_file_is_counted_like_its_pages(database: Database, tmp_path: Path) -> None:
    """One product has lines on several pages."""
    lines = "".join(f"m{n},all,{n},{'Kitchen' if n > 700 else ''}\n" for n in range(1_300))
    text = f"sku,product_key,price,category\n{lines}"
    assert imported(database, tmp_path, text).startswith("1300 new, 0 changed")
    other = tmp_path / "other.csv"
    other.write_text(text.replace("Kitchen", "Home"))
    would = run(database, other, dry_run=True)
    assert would.text() == ("0 new, 1 changed (category 1), 0 emptied, 1299 untouched, 0 bad lines")
    assert run(database, other) == would
    assert rows(database, 'SELECT "Category" FROM "Products"') == [("Home",)]


def test_an_interrupted_import_leaves_whole_products_and_the_next_does_the_rest(
    database: Database,
) -> None:
    def products(last: int) -> Iterator[ImportedProduct]:
        for n in range(last):
            urls = (f"{n}.png",)
            yield ImportedProduct(line=n, sku=f"m{n}", title="Mug", options={}, image_urls=urls)

    def interrupted() -> Iterator[ImportedProduct]:
        yield from products(700)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_products(database, interrupted())
    found = stored(database)
    assert len(found) == 500
    assert all(len(product["images"]) == 1 for product in found.values())
    assert write_products(database, products(700)) == ImportSummary(new=200, untouched=500)
