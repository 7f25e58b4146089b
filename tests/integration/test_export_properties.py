"""Any catalogue comes through each platform's export as it is, and a bad cell loses no product."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shelfsight.catalog.imports.columns import ColumnMap, ColumnUse
from shelfsight.catalog.imports.formats import FORMATS, PLAIN
from shelfsight.catalog.imports.import_file import import_file
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.imported import BadCell, ImportedProduct
from shelfsight.catalog.imports.product_file import ProductFile
from shelfsight.postgres.connection import Database
from tests.integration.export_writers import WRITERS, Catalogue, Product, Variant, Writer
from tests.shop import rows

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

WORDS = st.text("abcXYZ äß☕0189", min_size=1, max_size=8).map(str.strip).filter(bool)
CODES = st.text("abcXYZ019-_.", min_size=1, max_size=8)
OPTIONS = st.one_of(
    st.just([()]),
    st.lists(st.tuples(WORDS), min_size=1, max_size=3, unique=True),
    st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3, unique=True),
)
"""The values of the options of each variant; one variant without options is a simple product."""
TITLES = st.text("ab \"',;|\n<>&=\\#éß☕1", min_size=1, max_size=20).map(
    lambda text: f"T{text.strip()}"
)
PICTURES = st.lists(
    st.text("abc019-_/.", min_size=1, max_size=8).map(lambda path: f"https://cdn.example/{path}"),
    max_size=3,
    unique=True,
)


@st.composite
def catalogues(draw: st.DrawFn) -> list[Product]:
    """Products of one or more variants; each SKU and key is there once."""
    return [
        Product(
            key=f"K{key}",
            title=f"{draw(TITLES)} {place}",
            description=draw(TITLES),
            category=draw(WORDS.filter(lambda text: not text.isdecimal())),
            pictures=draw(PICTURES),
            variants=[
                Variant(
                    sku=f"{key}.{place}{number}",
                    price=draw(st.decimals(0, 99_999, places=2)),
                    barcode=draw(st.from_regex("[0-9]{8,13}", fullmatch=True) | st.just("")),
                    options=dict(zip(("Color", "Size"), values, strict=False)),
                    pictures=draw(PICTURES),
                )
                for number, values in enumerate(draw(OPTIONS))
            ],
        )
        for place, key in enumerate(draw(st.lists(CODES, min_size=1, max_size=4, unique=True)))
    ]


def expected(catalogue: Catalogue, writer: Writer) -> dict[str, dict[str, Any]]:
    return {
        variant.sku: {
            "price": variant.price,
            "barcode": variant.barcode or None,
            "options": {name.lower(): text for name, text in variant.options.items()},
            "images": writer.pictures(product, variant),
            "description": product.description,
            "category": product.category,
        }
        for product in catalogue
        for variant in product.variants
    }


def written(folder: Path, catalogue: Catalogue, writer: Writer) -> Path:
    path = folder / writer.name
    writer.write(path, catalogue)
    return path


def values(product: ImportedProduct) -> dict[str, Any]:
    return {
        **{"price": product.price, "barcode": product.barcode, "category": product.category},
        "options": {name.lower(): text for name, text in product.options.items() if text},
        **{"images": list(product.image_urls), "description": product.description},
    }


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
@settings(max_examples=25, suppress_health_check=SLOW)
@given(catalogue=catalogues())
def test_a_catalogue_comes_through_an_export_as_it_is(
    tmp_path: Path, writer: Writer, catalogue: list[Product]
) -> None:
    items = list(ProductFile(written(tmp_path, catalogue, writer)))
    products = [item for item in items if isinstance(item, ImportedProduct)]
    assert products == items
    assert {p.sku: values(p) for p in products} == expected(catalogue, writer)
    by_sku = {p.sku: p for p in products}
    for product in catalogue:
        variants = [by_sku[variant.sku] for variant in product.variants]
        assert len({v.product_key for v in variants}) == 1
        assert all(v.title.startswith(product.title) for v in variants)


@settings(max_examples=10, suppress_health_check=SLOW)
@given(catalogue=catalogues(), name=st.sampled_from(sorted(WRITERS)))
def test_an_imported_export_is_stored_as_it_is_and_again_changes_nothing(
    database: Database, tmp_path: Path, catalogue: list[Product], name: str
) -> None:
    # A variant that comes again has its id again, and would have the pictures of another example.
    database.run(lambda c: c.execute('TRUNCATE "Products", "ProductVariants", "ProductImages"'))
    writer = WRITERS[name]
    file = ProductFile(written(tmp_path, catalogue, writer))
    bad: list[Any] = []
    for new in (True, False):
        summary = import_file(database, file, ImportOptions(), bad.append, lambda *_: False)
        assert (summary.new if new else summary.untouched, bad) == (summary.products, [])
        found = rows(
            database,
            'SELECT v."Sku", v."Price", v."Options", ARRAY(SELECT "ImageUrl" FROM "ProductImages"'
            ' WHERE "ProductVariantId" = v."Id" ORDER BY "Position"), "ProductId"'
            ' FROM "ProductVariants" v',
        )
        stored = {
            sku: {
                "price": price,
                "options": {n.lower(): t for n, t in options.items()},
                "images": i,
            }
            for sku, price, options, i, _ in found
        }
        wanted = expected(catalogue, writer)
        assert stored == {
            sku: {name: of[name] for name in ("price", "options", "images")}
            for sku, of in wanted.items()
        }
        product_of = {sku: product for sku, _, _, _, product in found}
        groups = {frozenset(product_of[v.sku] for v in p.variants) for p in catalogue}
        assert all(len(group) == 1 for group in groups)
        assert len(groups) == len(catalogue)


TABLES = {name: writer for name, writer in WRITERS.items() if writer.name != "products.jsonl"}
del TABLES["google xml"]
MANGLED = st.sampled_from(
    [
        *("", "#REF!", "4.00638E+12", '="00123"', "1.299,00", "12,50 €", "cheap", "a,b", '"'),
        *("\x00", "a\x00b", "\xa0", "-5", "free", "9" * 5000, "\\", "sku=", "||", ">", "{", "²"),
    ]
)
VALUES = {"description", "price", "barcode", "category", "image", "images"}


@pytest.mark.parametrize("writer", TABLES.values(), ids=TABLES)
@settings(max_examples=25, suppress_health_check=SLOW)
@given(catalogue=catalogues(), data=st.data())
def test_mangled_cells_lose_no_product(
    tmp_path: Path, writer: Writer, catalogue: list[Product], data: st.DataObject
) -> None:
    path = written(tmp_path, catalogue, writer)
    delimiter = {"products.tsv": "\t"}.get(path.name, ";" if "handle;" in path.read_text() else ",")
    with path.open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file, delimiter=delimiter)
    places = [(n, place) for n in range(len(lines)) for place in value_columns(header)]
    mangled: Mapping[tuple[int, int], str] = data.draw(
        st.dictionaries(st.sampled_from(places), MANGLED, min_size=1, max_size=6)
    )
    for (number, place), text in mangled.items():
        lines[number][place] = text
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *lines])

    items = list(ProductFile(path))
    assert {type(item) for item in items} <= {ImportedProduct, BadCell}
    found = {item.sku for item in items if isinstance(item, ImportedProduct)}
    assert found >= expected(catalogue, writer).keys()


def value_columns(header: list[str]) -> list[int]:
    """The columns that hold values, and do not say which product or which kind of line it is."""
    given = dict.fromkeys(header, "")
    format_ = next((f for f in FORMATS if f.recognises(given)), PLAIN)
    plan = ColumnMap(format_.columns, {}, ColumnUse()).plan(tuple(header))
    return [header.index(column) for name, column in plan.items() if name.split(".")[0] in VALUES]
