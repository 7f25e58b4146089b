"""Product files of kinds that once failed, as spreadsheets and shop platforms write them."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.catalog.imports.imported import BadCell, BadLine, ImportedProduct, LeftOut
from shelfsight.catalog.imports.product_cells import addresses_in
from shelfsight.catalog.imports.product_file import ProductFile
from tests.cases import product_files

A, B = "https://shop.example/a.jpg", "https://shop.example/b.jpg"


def read(folder: Path, text: str) -> list[object]:
    path = folder / "products.csv"
    path.write_text(text, encoding="utf-8")
    return list(ProductFile(path))


def products(items: list[object]) -> list[ImportedProduct]:
    return [item for item in items if isinstance(item, ImportedProduct)]


@pytest.mark.parametrize("kind", product_files.KINDS)
def test_files_say_what_their_writers_meant(tmp_path: Path, kind: str) -> None:
    for case in product_files.cases(kind):
        found = products(read(tmp_path, case.text))
        assert [(one.sku, one.title, one.price, one.image_urls) for one in found] == case.products


@pytest.mark.parametrize(
    ("cell", "addresses"),
    [
        ("https://shop.example/cap 2.jpg", ["https://shop.example/cap 2.jpg"]),
        ("https://shop.example/my red cap (1).jpg", ["https://shop.example/my red cap (1).jpg"]),
        (f"{A}, {B}", [A, B]),
        (f"{A},{B}", [A, B]),
        (f"{A};{B}", [A, B]),
        (f"{A} {B}", [A, B]),
        (f"{A} | {B}", [A, B]),
        (f"{A}\n{B}", [A, B]),
        (f'["{A}", "{B}"]', [A, B]),
        (f'["{A}"]', [A]),
        ("//cdn.shop.example/a.jpg?v=1", ["//cdn.shop.example/a.jpg?v=1"]),
        ("//s.test/a.jpg //s.test/b.jpg", ["//s.test/a.jpg", "//s.test/b.jpg"]),
        ("caps/cap 2.jpg", ["caps/cap 2.jpg"]),
        ("cap 2.jpg cap 3.JPG;cap 4.webp", ["cap 2.jpg", "cap 3.JPG", "cap 4.webp"]),
        ("https://shop.example/w_200,h_100/a.jpg", ["https://shop.example/w_200,h_100/a.jpg"]),
        ("[broken", ["[broken"]),
        (f"['{A}', '{B}']", [A, B]),
        (f"['{A}']", [A]),
        (f"{{{A},{B}}}", [A, B]),
        ('{"https://s.test/a b.jpg",https://s.test/c.jpg}', [
            "https://s.test/a b.jpg", "https://s.test/c.jpg"
        ]),
        ("", []),
    ],
)  # fmt: skip
def test_the_addresses_of_a_cell(cell: str, addresses: list[str]) -> None:
    assert addresses_in(cell) == addresses


@given(
    st.lists(
        st.text("ab 2(é", min_size=1, max_size=8).map(lambda name: f"https://s.test/{name}x.jpg"),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([", ", ",", ";", "; ", "|", " | ", " ", "\n"]),
)
def test_whole_addresses_come_apart_whatever_divides_them(urls: list[str], between: str) -> None:
    assert addresses_in(between.join(urls)) == urls


def test_many_blanks_take_no_more_time() -> None:
    """With time that grows by the square of the blanks, this would take half an hour."""
    assert addresses_in(f"{A}{' ' * 300_000}x") == [A, "x"]


@pytest.mark.parametrize(
    ("cell", "price"),
    [
        ('"1,299.00"', "1299.00"),
        ("$12.50", "12.50"),
        ("12.50 USD", "12.50"),
        ("0", "0"),
        (".99", ".99"),
        ("US$ 1299", "1299"),
        ('"1.299,00 €"', "1299.00"),
        ("£5", "5"),
        ('"12,50"', "12.50"),
        ("'15.00", "15.00"),
    ],
)
def test_prices_as_people_write_them(tmp_path: Path, cell: str, price: str) -> None:
    [product] = read(tmp_path, f"sku,title,price\np1,Mug,{cell}\n")
    assert product.price == Decimal(price)


@pytest.mark.parametrize("cell", ["-1", "1e3", "call us", "5 to 9", "12.50-", "(12.50)", "12.50 -"])
def test_what_is_no_price_costs_the_product_only_its_price(tmp_path: Path, cell: str) -> None:
    bad, product = read(tmp_path, f"sku,title,price\np1,Mug,{cell}\n")
    assert isinstance(bad, BadCell)
    assert (product.title, product.price) == ("Mug", None)


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nsku;title\np1;Mug\n",
        "sep=,\r\nsku,title\r\np1,Mug\r\n",
        "\ufeffsku;title\np1;Mug\n",
        "sku\ttitle\np1\tMug\n",
        "sku|title\np1|Mug\n",
        "sku,title,,\np1,Mug,,\n,,,\n,,,\n",
        "\n\nsku,title\n\np1,Mug\n\n",
        "sku,title\np1,Mug,,,\n",
        '"sku","title"\n"p1","Mug"\n',
        "SKU ,Title\n p1 , Mug \n",
        "sku,title\np1,Mug",
    ],
)
def test_tables_as_spreadsheets_save_them(tmp_path: Path, text: str) -> None:
    [product] = read(tmp_path, text)
    assert (product.sku, product.title) == ("p1", "Mug")


@pytest.mark.parametrize("fields", range(1, 4))
def test_a_short_row_lacks_its_last_cells_which_are_not_empty_ones(
    tmp_path: Path, fields: int
) -> None:
    row = ",".join(["p1", "Mug", "blue"][:fields])
    notice, product = read(tmp_path, f"sku,title,description,image\n{row}\n")
    assert notice == BadCell(
        line=2, reason=f"has {fields} fields where the header has 4, so the last ones are missing"
    )
    assert product.sku == "p1"
    assert product.empty == frozenset()


def test_a_row_with_more_cells_than_columns_is_refused(tmp_path: Path) -> None:
    """A comma that should have been quoted would put the cells behind it into other columns."""
    [bad] = read(tmp_path, "sku,title,description\np1,Mug, blue,a mug\n")
    assert isinstance(bad, BadLine)
    assert bad.reason.startswith("has 4 fields where the header has 3, so 'a mug' has no column")


SHOPIFY = (
    "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src,Published,Status"
)


@pytest.mark.parametrize("status", ["archived", "draft", "Archived", "DRAFT", "unlisted"])
def test_what_shopify_does_not_show_is_left_out(tmp_path: Path, status: str) -> None:
    hidden = f"old,Old tee,Title,Default Title,OLD-1,5.00,,false,{status}"
    shown = f"tee,Tee,Title,Default Title,TEE-1,5.00,{A},true,active"
    items = read(tmp_path, f"{SHOPIFY}\n{hidden}\n{shown}\n")
    assert [type(item) for item in items] == [LeftOut, ImportedProduct]


def test_a_sku_that_shopify_has_twice_is_imported_once(tmp_path: Path) -> None:
    rows = [f"tee,{'Tee' if n == 'S' else ''},Size,{n},TEE-1,5.00,,true,active" for n in "SM"]
    first, second = read(tmp_path, "\n".join([SHOPIFY, *rows, ""]))
    assert first.sku == "TEE-1"
    assert isinstance(second, BadLine)


WOO = "ID,Type,SKU,Name,Published,Regular price,Sale price,Images,Parent"


def test_the_pictures_and_price_of_woocommerce(tmp_path: Path) -> None:
    spaced = "https://shop.example/cap 2.jpg"
    rows = [f'1,simple,w1,Cap,1,18,16,"{A}, {B}",', f'2,simple,w2,Cap,1,18,16,"{spaced}, {B}",']
    one, two = products(read(tmp_path, "\n".join([WOO, *rows, ""])))
    assert (one.price, one.image_urls) == (Decimal(18), (A, B))
    assert two.image_urls == (spaced, B)
