import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shelfsight.catalog.imports.columns import ColumnUse
from shelfsight.catalog.imports.imported import BadCell, BadLine, Column, ImportedProduct, Item
from shelfsight.catalog.imports.product_file import ProductFile
from shelfsight.errors import ImportFileError


class Reader:
    """Writes a file and reads its items; `columns` then says how it was read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.columns = ColumnUse()

    def __call__(
        self, content: str | bytes, name: str = "products.csv", **options: Any
    ) -> list[Item]:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        file = ProductFile(path, **options)
        items = list(file)
        assert list(file) == items
        self.columns = file.columns
        return items


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def refused(read, content: str | bytes, name: str = "products.csv", **options: Any) -> str:
    with pytest.raises(ImportFileError) as caught:
        read(content, name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def the_product(items: list[Item]) -> ImportedProduct:
    (item,) = items
    assert isinstance(item, ImportedProduct)
    return item


def skus(items: list[Item]) -> list[str]:
    return [item.sku for item in items if isinstance(item, ImportedProduct)]


def bad(items: list[Item]) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in items if isinstance(item, BadLine)]


def bad_cells(items: list[Item]) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in items if isinstance(item, BadCell)]


# Tables with simple columns


def test_a_full_line_gives_a_full_product(read):
    product = the_product(
        read(
            "SKU,Title,Description,Price,Barcode,Image URL,Owner,Category\n"
            "m1,Mug,A mug,12.50,0400,https://a/1.jpg | https://a/2.jpg https://a/1.jpg,shop,Home\n"
        )
    )

    assert product == ImportedProduct(
        line=2,
        sku="m1",
        title="Mug",
        description="A mug",
        price=Decimal("12.50"),
        barcode="0400",
        options={},
        image_urls=("https://a/1.jpg", "https://a/2.jpg"),
        owner_id="shop",
        category="Home",
    )


def test_a_sku_is_enough(read):
    assert the_product(read("sku\nm1\n")) == ImportedProduct(line=2, sku="m1", options={})


def test_image_and_images_are_both_read_the_main_one_first(read):
    product = the_product(read("images,sku,image\nb.jpg|c.jpg,m1,a.jpg\n"))

    assert product.image_urls == ("a.jpg", "b.jpg", "c.jpg")


def test_options_in_a_cell_are_a_json_object(read):
    items = read('sku,options\nm1,"{""Size"": ""L""}"\nm2,\nm3,Large\n')

    assert [item.options for item in items if isinstance(item, ImportedProduct)] == [
        {"Size": "L"},
        {},
        {},
    ]
    assert bad_cells(items) == [(4, 'options is not an object such as {"Colour": "red"}')]
    assert [item.empty for item in items if isinstance(item, ImportedProduct)] == [
        frozenset(),
        {Column.OPTIONS},
        frozenset(),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_usual_dialects_and_encodings_are_told_apart(read, delimiter, newline, encoding):
    lines = [["sku", '"a, b; c"', "title"], ["m1", "", '"Blå, ""mugg""; ☕"'], []]
    content = newline.join(delimiter.join(line) for line in lines)

    assert the_product(read(content.encode(encoding))).title == 'Blå, "mugg"; ☕'


def test_line_numbers_are_those_of_the_file(read):
    items = read('\n\nsku,title\nm1,"two\nlines"\n\n,no sku\nm2,x,y\nm1,again\n')

    assert skus(items) == ["m1"]
    assert items[0].line == 4
    assert bad(items) == [
        (7, "has no sku"),
        (
            8,
            "has 3 fields where the header has 2, so 'y' has no column: put double quotes round"
            " a cell with the separator in it",
        ),
        (9, "sku 'm1' was given before, in line 4"),
    ]


def test_a_cell_with_a_byte_that_is_not_utf8_is_left_out_of_its_product(read):
    items = read("sku,title\nm1,Blå\nm2,".encode() + "Blå".encode("cp1252") + b"\nm3,x\n")

    assert skus(items) == ["m1", "m2", "m3"]
    assert bad_cells(items) == [
        (3, "title holds the byte 0xE5, which is no letter: save the file as UTF-8")
    ]


def test_a_cell_with_a_nul_is_left_out_and_without_a_sku_the_line_is_bad(read):
    items = read("sku,title\nm1,a\x00b\nm\x002,x\n")

    assert [item for item in items if isinstance(item, ImportedProduct)] == [
        ImportedProduct(line=2, sku="m1", options={})
    ]
    assert bad_cells(items) == [
        (2, "title holds the character U+0000, which no database takes"),
        (3, "sku holds the character U+0000, which no database takes"),
    ]
    assert bad(items) == [(3, "has no sku")]


def test_an_unclosed_quote_spoils_its_lines_and_names_them(read):
    ((line, reason),) = bad(read('sku,title\nm1,"open\nm2,x\nm3,y\n'))

    assert line == 2
    assert "line 4" in reason


def test_text_after_a_closing_quote_is_a_bad_line(read):
    items = read('sku,title\nm1,"5" pipe\nm2,5" pipe\n')

    assert [line for line, _ in bad(items)] == [2]
    assert skus(items) == ["m2"]


def test_long_fields_are_read_and_absurd_ones_are_bad_lines(read):
    long, absurd = "x" * 1_000_000, "x" * 11_000_000

    items = read(f"sku,title\nm1,{long}\nm2,{absurd}\nm3,y\n")

    assert skus(items) == ["m1", "m3"]
    assert [line for line, _ in bad(items)] == [3]


def test_it_tells_which_columns_were_used_and_which_were_not(read):
    read("sku,Weight,Name,title,Image 2\nm1,1,y,x,\nm2,1,y,x,a.jpg\n")

    assert read.columns.lines() == [
        "plain, read as utf-8:",
        "  sku      sku",
        "  title    title",
        "  Image 2  images",
        "  not used: Weight, Name",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "id,title\n1,Mug\n",
            "no column sku (--map sku=COLUMN names another); its columns are: id,",
        ),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("sku,title".encode("utf-16-le"), "is not text in UTF-8"),
        (b"PK\x03\x04\x14\x00\x06\x00", "is an Excel workbook or a zip file: export it as CSV"),
        (b"\xff\xfes\x00k\x00u", "is not UTF-16"),
        ('"sku,title\n', "has a header that is not CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_reason(read, content, says):
    assert says in refused(read, content)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ImportFileError, match=r"cannot be read: (No such|Is a directory)"):
            list(ProductFile(path))


def test_the_first_products_come_before_the_file_is_read_to_its_end(tmp_path):
    path = tmp_path / "products.csv"
    path.write_text("sku\n" + "".join(f"m{n}\n" for n in range(100_000)))
    products = iter(ProductFile(path))

    assert skus([next(products)]) == ["m0"]
    products.close()


def test_a_sku_may_be_given_once_for_each_owner_or_once_without(read):
    items = read("sku,owner\na,alice\na,bob\na,alice\na,\nb,\nb,\nb,bob\n")

    assert skus(items) == ["a", "a", "b"]
    assert bad(items) == [
        (4, "sku 'a' was given before, in line 2"),
        (5, "sku 'a' was given before, in line 2"),
        (7, "sku 'b' was given before, in line 6"),
        (8, "sku 'b' was given before, in line 6"),
    ]


def test_an_empty_cell_is_told_from_a_column_that_is_not_there(read):
    (product,) = read("sku,title,price,options,image\nm1, ,0,{},\n")

    assert product.empty == {Column.TITLE, Column.OPTIONS, Column.IMAGES}


# Tables of spreadsheets


def test_a_separator_line_blank_lines_and_blank_rows_are_skipped(read):
    items = read("\r\nsep=;\r\n\r\nsku;title\r\n;\r\nm1;a,b\r\n \r\n")

    assert items == [ImportedProduct(line=6, sku="m1", title="a,b", options={})]


def test_a_cell_that_keeps_its_zeros_by_a_formula_is_read_as_it_is_shown(read):
    (product,) = read('sku,barcode,title\n="00123","=""0400""","= ""x"""\n')

    assert (product.sku, product.barcode, product.title) == ("00123", "0400", '= "x"')


def test_a_number_that_a_spreadsheet_has_shortened_is_refused_with_the_reason(read):
    items = read("sku,barcode\nm1,4.00638E+12\n4E+12,0400\nm3,4E12\n")

    (number, reason), (bad_line, _) = [*bad_cells(items), *bad(items)]
    assert (number, bad_line) == (2, 3)
    assert "its last digits are lost" in reason
    assert [(item.sku, item.barcode) for item in items if isinstance(item, ImportedProduct)] == [
        ("m1", None),
        ("m3", "4E12"),
    ]


def test_more_cells_than_columns_are_fine_where_they_are_empty(read):
    items = read("sku,title\nm1,Mug,,\nm2,Mug,,x\nm3\n")

    assert skus(items) == ["m1", "m3"]
    assert [line for line, _ in bad(items)] == [3]


def test_a_table_in_the_encoding_of_western_spreadsheets_is_read(read):
    content = "sku;title;price\nm1;Größe à 5 €;12,50 €\n"

    assert the_product(read(content.encode("cp1252"))).title == "Größe à 5 €"
    assert read.columns.encoding == "cp1252"


def test_another_encoding_can_be_named(read):
    content = "sku,title\nm1,Красная кружка\n"

    assert the_product(read(content.encode("cp1251"), encoding="cp1251")).title == "Красная кружка"
    for wrong in ("klingon", "hex"):
        assert f"there is no encoding '{wrong}'" in refused(read, content, encoding=wrong)


def is_utf_8(content: bytes) -> bool:
    """Whether UTF-8 can be meant, too: the cp1252 of "Ã©" is the UTF-8 of "é"."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(
    title=st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs"]), max_size=10),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_back_from_the_encodings_that_are_found(read, title, encoding):
    content = f"sku,title\nm1,T{title}.\n".encode(encoding, errors="replace")
    assume(encoding != "cp1252" or content.isascii() or not is_utf_8(content))

    assert the_product(read(content)).title == f"T{title}.".encode(encoding, "replace").decode(
        encoding
    )


@pytest.mark.parametrize(
    ("cell", "addresses"),
    [
        ("a.jpg|b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg, b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg; b.jpg\nc.jpg", ["a.jpg", "b.jpg", "c.jpg"]),
        ("https://a/w_1,h_1/a.jpg,https://a/b.jpg", ["https://a/w_1,h_1/a.jpg", "https://a/b.jpg"]),
    ],
)
def test_pictures_in_one_cell_are_told_apart(read, cell, addresses):
    assert the_product(read(f'sku,images\nm1,"{cell}"\n')).image_urls == tuple(addresses)


def test_a_column_can_be_mapped_to_a_field_and_comes_before_all_others(read):
    mapped = {"title": "long name", "image": "Foto 2"}
    product = the_product(
        read("sku,title,Long Name,foto 2,image\nm1,x,Mug,a.jpg,b.jpg\n", mapped=mapped)
    )

    assert (product.title, product.image_urls) == ("Mug", ("a.jpg",))
    assert list(read.columns.unused) == ["title", "image"]


def test_a_column_that_is_not_there_or_a_field_that_is_none_cannot_be_mapped(read):
    assert "has no column 'Name' for title; its columns are: sku" in refused(
        read, "sku\nm1\n", mapped={"title": "Name"}
    )
    assert "there is no field 'colour'" in refused(read, "sku\n", mapped={"colour": "sku"})


# XML


def test_an_entity_of_the_file_itself_is_not_resolved(read):
    secret = read.folder / "secret"
    secret.write_text("secret")
    feed = (
        f'<!DOCTYPE rss [<!ENTITY a SYSTEM "{secret.as_uri()}"><!ENTITY b "secret">]>'
        "<rss><item><id>m1</id><title>M&a;<!-- secret -->u&b;g</title><link>x</link></item></rss>"
    )

    assert the_product(read(feed, "feed.xml")).title == "Mug"


@pytest.mark.parametrize("feed", ["<rss></rss>", "<html><body>Not found</body></html>", "<rss"])
def test_xml_without_products_is_refused(read, feed):
    assert "XML" in refused(read, feed, "feed.xml")


# JSON lines


def test_json_lines_have_the_same_fields(read):
    line = {
        "sku": "m1",
        "title": "Mug",
        "price": 12.10,
        "barcode": 400,
        "images": ["a b.jpg", "c.jpg"],
        "options": {"Colour": "red", "Size": 3, "None": None},
        "owner_id": "shop",
        "product_key": "mugs",
    }
    product = the_product(read(json.dumps(line) + "\n", "products.jsonl"))

    assert product.price == Decimal("12.1")
    assert product.barcode == "400"
    assert product.image_urls == ("a b.jpg", "c.jpg")
    assert product.options == {"Colour": "red", "Size": "3", "None": ""}
    assert (product.owner_id, product.product_key) == ("shop", "mugs")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON: "),
        ("[" * 100_000, "is not JSON: "),
        ("3", "is not a JSON object"),
        ('{"title": "no sku"}', "has no sku"),
        ('{"sku": ["m1"]}', "sku is a list, not text"),
        ('{"sku": true}', "sku is true or false, not text"),
        ('{"sku": ' + "9" * 5000 + "}", "is not JSON: "),
    ],
)
def test_a_bad_json_line_is_named_and_the_others_go_in(read, line, reason):
    items = read('{"sku": "m0"}\n\n' + line + '\n{"sku": "m9"}', "products.ndjson")

    ((number, said),) = bad(items)
    assert number == 3
    assert said.startswith(reason)
    assert skus(items) == ["m0", "m9"]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ('"price": NaN', "price is no finite number, not text"),
        ('"price": -2', "price '-2' cannot be read as one price"),
        ('"title": "\\ud800"', "title holds the character U+D800"),
        ('"images": [3, {}]', "images is an object, not text"),
        ('"options": "red"', "options is not an object"),
        ('"options": {"a": {}}', "option a is an object, not text"),
    ],
)
def test_a_bad_value_of_json_is_named_and_its_product_goes_in(read, cell, reason):
    items = read('{"sku": "m0"}\n{"sku": "m1", ' + cell + "}", "products.ndjson")

    ((number, said),) = bad_cells(items)
    assert number == 2
    assert said.startswith(reason)
    assert items[-1] == ImportedProduct(line=2, sku="m1", options={})


@pytest.mark.parametrize("content", ['[{"sku": "m1"}]', '{\n"sku": "m1"\n}'])
def test_one_json_value_over_many_lines_is_refused_with_advice(read, content):
    assert "one object a line" in refused(read, content, "products.json")


def test_the_keys_of_all_objects_are_told(read):
    read('{"sku": "a", "x": 1}\n{"title": "b", "x": 1, "y\\ud800": 2}\n', "products.jsonl")

    assert read.columns.used == {"sku": "sku", "title": "title"}
    assert read.columns.lines()[-1] == "  not used: x, y?"


# Shopify

EXPORT = """\
Handle,Title,Body (HTML),Vendor,Product Category,Type,Option1 Name,Option1 Value,Option2 Name,\
Option2 Value,Variant SKU,Variant Price,Variant Barcode,Image Src,Image Position,Variant Image
tee,Star tee,<p>Soft</p>,Acme,Apparel,Shirts,Colour,Red,Size,S,'0012,19.00,'0400,https://a/2.jpg,2,https://a/r.jpg
tee,,,,,,,Blue,,S,,20.00,,https://a/1.jpg,1,
tee,,,,,,,,,,,,,https://a/3.jpg,3,
mug,Star mug,,Acme,,Mugs,Title,Default Title,,,,cheap,,,,
cap,Star cap,,Acme,,Caps,Title,Default Title,,,,7,,,,
"""


def test_a_shopify_export_yields_one_product_per_variant(read):
    red, blue, bad_price, mug, cap = read(EXPORT)

    assert red == ImportedProduct(
        line=2,
        sku="0012",
        product_key="tee",
        title="Star tee - Red / S",
        description="<p>Soft</p>",
        price=Decimal("19.00"),
        barcode="0400",
        options={"Colour": "Red", "Size": "S"},
        image_urls=("https://a/r.jpg", "https://a/1.jpg", "https://a/2.jpg", "https://a/3.jpg"),
        category="Apparel",
        link="tee",
    )
    assert blue.line == 3
    assert blue.sku == "tee:Blue / S"
    assert blue.title == "Star tee - Blue / S"
    assert blue.image_urls == ("https://a/1.jpg", "https://a/2.jpg", "https://a/3.jpg")
    assert bad_price == BadCell(line=5, reason="price 'cheap' cannot be read as one price")
    assert mug == ImportedProduct(
        line=5,
        sku="mug",
        product_key="mug",
        title="Star mug",
        options={},
        category="Mugs",
        link="mug",
        empty={Column.DESCRIPTION, Column.BARCODE, Column.OPTIONS, Column.IMAGES},
    )
    assert (cap.sku, cap.title, cap.options, cap.category) == ("cap", "Star cap", {}, "Caps")


def test_the_header_of_shopifys_template_is_known_too(read):
    product = the_product(
        read(
            "Title,URL handle,Description,SKU,Price,Option1 name,Option1 value,Product image URL\n"
            "Star tee,tee,Soft,t1,19,Size,S,https://a/1.jpg\n"
        )
    )

    assert (product.sku, product.product_key) == ("t1", "tee")
    assert product.title == "Star tee - S"
    assert product.image_urls == ("https://a/1.jpg",)


def test_shopify_lines_that_belong_nowhere_are_bad(read):
    items = read(
        "Handle,Title,Option1 Name,Option1 Value,Image Src\n"
        "tee,,,Blue,\n"
        "mug,Mug,,,\n"
        ",Lost,,,\n"
        "cap,Cap\n"
        "bag,B\x00g,,,\n"
    )

    assert skus(items) == ["mug", "cap"]
    assert sorted(line for line, _ in bad(items)) == [2, 4, 6]
    assert "whose line with a Title is not above it" in bad(items)[0][1]
