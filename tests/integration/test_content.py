"""What counts as the content of a product: its texts, and the addresses of its pictures."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shelfsight.backfill.picture_identity import (
    MAX_ADDRESS_LENGTH,
    parameters_pattern,
    without_parameters,
)
from shelfsight.catalog.content import Content
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.catalog.stored_text_fields import stored_text_fields
from shelfsight.errors import SchemaError
from shelfsight.images.data_url import read_data_url
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import FIRST_TEXT_FIELDS, TEXT_FIELDS, PictureFile, Product, Selection
from shelfsight.scan.matching import Filters
from shelfsight.settings import Settings
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.wiring.database import content
from shelfsight.wiring.product_text import text_change, text_summary
from tests.shop import backfill_all, fill, picture, rows

IGNORED = Settings().url_parameters
SIGNED = Content(ignored_parameters=IGNORED)
ALL_TEXTS = Content(text_fields=TEXT_FIELDS)
EVERYTHING = Selection(skip_existing=False)
ONE = "00000000-0000-0000-0000-000000000001"


def execute(database: Database, *statements: str) -> None:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement.encode())

    database.run(work)


def due(
    database: Database, content: Content = SIGNED, selection: Selection | None = None
) -> list[Product]:
    pages = PostgresCatalog(database, content=content).pages(selection or Selection(), 100)
    return list(chain.from_iterable(pages))


def numbers(products: Sequence[Product]) -> list[int]:
    return [int(product.id[-4:], 16) for product in products]


def replace_content(database: Database, contents: Sequence[tuple[str, str, list[str]]]) -> None:
    """Fill the shop with products of these titles, descriptions and picture addresses."""

    def work(connection: Connection) -> None:
        connection.execute('TRUNCATE "ProductVariants", "ProductImages"')
        for number, (title, description, urls) in enumerate(contents, 1):
            id_ = f"{number:032x}"
            connection.execute(
                'INSERT INTO "ProductVariants" ("Id", "Title", "Description") VALUES (%s, %s, %s)',
                [id_, title, description],
            )
            for position, url in enumerate(urls):
                connection.execute(
                    'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl", "Position")'
                    " VALUES (%s, %s, %s)",
                    [id_, url, position],
                )

    database.run(work)


def first_hash(title: str, description: str, urls: Sequence[str]) -> str:
    """The hash that the first releases stored, of whole addresses."""
    addresses = json.dumps(list(urls), ensure_ascii=False, separators=(",", ":")) if urls else ""
    texts = (f"{len(title)} {title}{description}", addresses)
    return ":".join(sha256(text.encode()).hexdigest()[:32] for text in texts)


def store_first_hashes(database: Database, contents: Sequence[tuple[str, str, list[str]]]) -> None:
    for number, one in enumerate(contents, 1):
        execute(
            database,
            f"""UPDATE "ProductEmbeddings" SET "SourceHash" = '{first_hash(*one)}'
                WHERE "ProductVariantId" = '{number:032x}'""",
        )


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
PATHS = st.text('ab/%é .#"\\&=v', min_size=1, max_size=10).map(
    lambda path: f"https://a.test/{path}".strip()
)


@given(st.lists(st.tuples(TEXTS, TEXTS, st.lists(PATHS, max_size=3)), min_size=1, max_size=12))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_hash_is_that_of_the_first_release_where_nothing_is_ignored(
    database: Database, contents: list[tuple[str, str, list[str]]]
) -> None:
    replace_content(database, contents)
    content = Content(images_per_product=3, ignored_parameters=IGNORED, text_fields=TEXT_FIELDS)
    found = due(database, content, EVERYTHING)
    assert [one.source_hash for one in found] == [first_hash(*content) for content in contents]


def test_stored_hashes_are_what_they_were(database: Database) -> None:
    """These literals were written by the first release."""
    replace_content(database, [("Mug", "Holds 300 ml", ["https://a.test/mug.jpg"])])
    (mug,) = due(database, selection=EVERYTHING)
    assert mug.source_hash == ("eef33ac91bff9b672b2d3df0819944f7:971e50d34a3f9390745b8d8ae528d937")


QUERIES = st.lists(
    st.sampled_from(["v=1", "V=2", "X-Amz-Date=1", "sig=%2F", "token", "id=1", "id=2", "w=3"]),
    max_size=3,
).map("&".join)
ADDRESSES = st.builds(
    lambda path, query, mark: f"https://a.test/{path}{mark}{query}",
    st.sampled_from(["a", "b"]),
    QUERIES,
    st.sampled_from(["?", "?", "#?", ""]),
)


@given(st.lists(ADDRESSES, min_size=2, max_size=12))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_postgres_and_python_agree_on_which_addresses_are_of_the_same_picture(
    database: Database, addresses: list[str]
) -> None:
    replace_content(database, [("", "", [address]) for address in addresses])
    hashes = [product.source_hash for product in due(database, selection=EVERYTHING)]
    pattern = parameters_pattern(IGNORED)
    lasting = [without_parameters(address, pattern) for address in addresses]
    assert [hashes.index(one) for one in hashes] == [lasting.index(one) for one in lasting]


def test_the_picture_that_a_variant_names_comes_first(database: Database) -> None:
    urls = [f"http://shop.test/{n}.png" for n in (1, 2, 3)]
    replace_content(database, [("Mug", "", urls)] * 4)
    execute(database, 'ALTER TABLE "ProductVariants" ADD "ImageId" uuid')
    both = Content(images_per_product=2)
    assert [product.image_urls for product in due(database, both)] == [tuple(urls[:2])] * 4
    backfill_all(database, content=both)
    assert due(database, both) == []
    choose = """UPDATE "ProductVariants" SET "ImageId" = (SELECT "Id" FROM "ProductImages"
                WHERE "ProductVariantId" = '{}' AND "Position" = {}) WHERE "Id" = '{}'"""
    two, three, four = (f"{number:032x}" for number in (2, 3, 4))
    execute(
        database,
        choose.format(two, 2, two),
        choose.format(ONE, 0, three),  # another variant's picture, which is not its own
        choose.format(four, 0, four),  # the picture that is first anyway
    )
    (changed,) = due(database, both)
    assert (numbers([changed]), changed.image_urls) == ([2], (urls[2], urls[0]))


def test_a_new_signature_makes_nothing_due_and_another_picture_does(database: Database) -> None:
    urls = [f"https://s3.test/{n}.jpg?X-Amz-Date=1&X-Amz-Signature=a{n}" for n in (1, 2)]
    replace_content(database, [("Mug", "", [url]) for url in urls])
    pictures = {url: picture(1) for url in urls}
    assert backfill_all(database, content=SIGNED, pictures=pictures).image == 2
    assert due(database) == []
    execute(
        database,
        """UPDATE "ProductImages" SET "ImageUrl" = replace("ImageUrl", 'Date=1', 'Date=2')""",
    )
    assert due(database) == []
    execute(
        database,
        f"""UPDATE "ProductImages" SET "ImageUrl" = replace("ImageUrl", '1.jpg', '3.jpg')
            WHERE "ProductVariantId" = '{ONE}'""",
    )
    assert numbers(due(database)) == [1]


def test_an_upgrade_makes_no_signed_address_due_until_it_changes(database: Database) -> None:
    urls = [f"https://s3.test/{n}.jpg?v={n}&width=300" for n in (1, 2, 3)]
    contents = [("Mug", "", [url]) for url in urls]
    replace_content(database, contents)
    backfill_all(database, content=SIGNED, pictures={url: picture(1) for url in urls})
    store_first_hashes(database, contents)
    assert due(database) == []
    execute(
        database,
        f"""UPDATE "ProductImages" SET "ImageUrl" = replace("ImageUrl", 'v=1', 'v=7')
            WHERE "ProductVariantId" = '{ONE}'""",
    )
    (changed,) = due(database)
    backfill_all(database, content=SIGNED, pictures={changed.image_urls[0]: picture(1)})
    execute(
        database, """UPDATE "ProductImages" SET "ImageUrl" = replace("ImageUrl", 'v=7', 'v=8')"""
    )
    assert due(database) == []


def test_a_refetch_knows_the_file_under_its_new_signature(database: Database) -> None:
    url = "https://s3.test/1.jpg?Expires=1&Signature=a"
    replace_content(database, [("Mug", "", [url])])
    backfill_all(database, content=SIGNED, pictures={url: picture(1)})
    execute(
        database,
        """UPDATE "ProductEmbeddings" SET "ImageFiles" =
           jsonb_set("ImageFiles", ARRAY["ImageUrl"::text, 'etag'], '"1"')""",
    )
    refetch = Selection(refetch=True)
    (same,) = due(database, selection=refetch)
    assert [(file.url, file.etag) for file in same.files] == [(url, "1")]
    renewed = url.replace("=a", "=b")
    execute(database, f"""UPDATE "ProductImages" SET "ImageUrl" = '{renewed}'""")
    (product,) = due(database, selection=refetch)
    hash_ = same.files[0].content_hash
    assert product.files == (PictureFile(url=renewed, content_hash=hash_),)
    report = backfill_all(
        database, content=SIGNED, selection=refetch, pictures={renewed: picture(1)}
    )
    assert (report.unchanged, report.image) == (1, 0)


def test_of_a_picture_in_its_address_the_database_gets_a_hash(database: Database) -> None:
    urls = [f"data:image/png;base64,{letter * 5_000}" for letter in "ab"]
    replace_content(database, [("Mug", "", urls[:1])])
    backfill_all(database, pictures={url: picture(n) for n, url in enumerate(urls)})
    ((address, files),) = rows(
        database, 'SELECT "ImageUrl", "ImageFiles"::text FROM "ProductEmbeddings"'
    )
    assert address.startswith("data:image/png;sha256,")
    assert len(address) < 100 > len(files) - 100
    (product,) = due(database, selection=Selection(refetch=True))
    assert [file.url for file in product.files] == urls[:1]
    execute(database, f"""UPDATE "ProductImages" SET "ImageUrl" = '{urls[1]}'""")
    assert numbers(due(database)) == [1]


def test_the_view_of_the_docs_gives_the_pictures_that_lie_in_the_database(
    database: Database,
) -> None:
    replace_content(database, [("Mug", "", []), ("Cup", "", [])])
    page = (Path(__file__).parents[2] / "docs" / "content.md").read_text(encoding="utf-8")
    (view,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    small, large = b"\xff\x00picture" * 16_000, b"x" * 145_000
    database.run(lambda connection: connection.execute('DROP TABLE "ProductImages"'))
    execute(
        database,
        "CREATE TABLE photos (id uuid DEFAULT gen_random_uuid(), product_id uuid, photo bytea,"
        " position int)",
        view,
    )
    for number, photo in enumerate((small, large), 1):
        database.run(
            lambda connection, row=(f"{number:032x}", photo): connection.execute(
                "INSERT INTO photos (product_id, photo) VALUES (%s, %s)", row
            )
        )
    mug, cup = due(database)
    assert [read_data_url(url) for url in mug.image_urls] == [small]
    assert cup.image_urls == ()
    execute(database, "UPDATE photos SET photo = photo || photo")
    execute(database, view.replace("CREATE VIEW", "CREATE OR REPLACE VIEW").replace("WHERE", "-- "))
    lengths = [len(url) for product in due(database) for url in product.image_urls]
    assert lengths == [MAX_ADDRESS_LENGTH + 1] * 2


def shop_with_facts(database: Database) -> None:
    """Three products; the first has a category, the second options and a brand."""
    fill(database, 3)
    execute(
        database,
        'ALTER TABLE "ProductVariants" ADD "Vendor" text',
        """INSERT INTO "Products" ("Id", "Category") VALUES (gen_random_uuid(), 'Kitchen')""",
        f"""UPDATE "ProductVariants" SET "ProductId" = (SELECT "Id" FROM "Products")
            WHERE "Id" = '{ONE}'""",
        """UPDATE "ProductVariants" SET "Options" = '{"Size": "M"}', "Vendor" = 'Acme'
           WHERE "Sku" = 'sku-2'""",
    )


def texts(database: Database) -> list[str]:
    query = 'SELECT "ProductText" FROM "ProductEmbeddings" ORDER BY "ProductVariantId"'
    return [text for (text,) in rows(database, query)]


PLAIN_TEXTS = ["Product 1", "Product 2", "Product 3"]
FULL_TEXTS = ["Product 1. Kitchen", "Product 2. Size: M. Acme", "Product 3"]


def test_a_new_set_has_all_that_the_catalogue_says(database: Database) -> None:
    shop_with_facts(database)
    backfill_all(database)
    assert texts(database) == FULL_TEXTS
    assert due(database) == []
    execute(database, """UPDATE "Products" SET "Category" = 'Office'""")
    assert numbers(due(database)) == [1]


def test_products_without_ids_give_no_category(database: Database) -> None:
    shop_with_facts(database)
    execute(database, 'ALTER TABLE "Products" DROP "Id" CASCADE')
    backfill_all(database)
    assert texts(database) == ["Product 1", *FULL_TEXTS[1:]]


@pytest.mark.parametrize("change", ['DROP "ModelVersions"', 'RENAME TO "Elsewhere"'])
def test_without_our_columns_the_error_names_the_cure(database: Database, change: str) -> None:
    execute(database, f'ALTER TABLE "ProductEmbeddings" {change}')
    with pytest.raises(SchemaError, match="run: shelfsight init"):
        PostgresCatalog(database).due(Selection())


def test_an_upgraded_set_keeps_its_texts_until_other_fields_are_asked_for(
    database: Database,
) -> None:
    shop_with_facts(database)
    backfill_all(database, content=Content(text_fields=FIRST_TEXT_FIELDS))
    assert texts(database) == PLAIN_TEXTS
    assert due(database, Content()) == []
    assert PostgresCatalog(database).text_fields() == FIRST_TEXT_FIELDS
    fill(database, 1, first=4)
    execute(database, """UPDATE "ProductVariants" SET "Options" = '{"Size": "L"}'""")
    assert backfill_all(database).embedded == 1
    assert texts(database) == [*PLAIN_TEXTS, "Product 4"]
    assert numbers(due(database, ALL_TEXTS)) == [1, 2, 3, 4]


def test_other_fields_touch_only_the_texts_that_differ_and_stay_when_no_longer_named(
    database: Database,
) -> None:
    shop_with_facts(database)
    backfill_all(database, content=Content(text_fields=FIRST_TEXT_FIELDS))
    assert backfill_all(database, content=ALL_TEXTS).text == 2
    assert texts(database) == FULL_TEXTS
    assert database.run(stored_text_fields) == TEXT_FIELDS
    assert due(database, Content()) == []
    assert numbers(due(database, Content(text_fields=FIRST_TEXT_FIELDS))) == [1, 2]
    backfill_all(database, content=Content(text_fields=("category", "brand")))
    assert texts(database) == ["Kitchen", "Acme"]


def test_the_settings_say_what_counts() -> None:
    given = Settings(
        images_per_product=3,
        ignored_url_parameters="V, sig*",
        product_text="Brand,title",
        text_language="de",
        shop_time_zone="Europe/Berlin",
    )
    assert content(given) == Content(
        images_per_product=3,
        ignored_parameters=("v", "sig*"),
        text_fields=("title", "brand"),
        language="de",
        time_zone="Europe/Berlin",
    )
    assert content(Settings()).text_fields is None


def test_a_run_says_before_it_begins_that_it_changes_texts(database: Database) -> None:
    shop_with_facts(database)
    full = Settings(product_text=",".join(TEXT_FIELDS))
    assert text_change(full, database) is None
    backfill_all(database, content=Content(text_fields=FIRST_TEXT_FIELDS))
    said = text_change(full, database)
    assert said is not None
    assert "are made of title, description, new ones of title, description, category, " in said
    assert text_change(Settings(product_text="Description, title"), database) is None
    assert text_change(Settings(), database) is None
    kept = text_summary(Settings(), FIRST_TEXT_FIELDS)
    assert "PRODUCT_TEXT=title,description,category,options,brand" in kept
    assert text_summary(full, TEXT_FIELDS) == "made of title, description, category, options, brand"


def test_no_vector_is_lost_where_a_text_is_not_asked_for(database: Database) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database)
    backfill_all(database, content=Content(text_fields=("brand",)))
    assert rows(database, 'SELECT "ImageEmbedding" IS NOT NULL FROM "ProductEmbeddings"') == [
        (True,)
    ]


def test_another_language_touches_only_texts_in_several(database: Database) -> None:
    fill(database, 2)
    execute(
        database,
        f"""UPDATE "ProductVariants" SET "Title" = '{{"en": "Mug", "de": "Becher"}}'
            WHERE "Id" = '{ONE}'""",
    )
    backfill_all(database)
    assert texts(database) == ["Mug", "Product 2"]
    german = Content(language="de")
    assert numbers(due(database, german)) == [1]
    backfill_all(database, content=german)
    assert texts(database) == ["Becher", "Product 2"]
    assert due(database, german) == []


MOMENT = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column_type", "stored", "zone", "is_found"),
    [
        ("timestamp", "2026-07-01 12:00", "UTC", True),
        ("timestamp(3)", "2026-07-01 11:59", "UTC", False),
        ("timestamp", "2026-07-01 14:00", "Europe/Berlin", True),
        ("timestamp", "2026-07-01 13:59", "Europe/Berlin", False),
        ("date", "2026-07-01", "UTC", False),
        ("date", "2026-07-02", "UTC", True),
        ("timestamptz", "2026-07-01 12:00+00", "Asia/Tokyo", True),
        ("timestamptz", "2026-07-01 11:59+00", "Asia/Tokyo", False),
    ],
)
def test_times_without_a_zone_are_in_the_shops_own(
    database: Database,
    column_type: str,
    stored: str,
    zone: str,
    is_found: bool,
) -> None:
    fill(database, 1)
    execute(
        database,
        'ALTER TABLE "ProductVariants" DROP "UpdatedAt", DROP "CreatedAt",'
        f' ADD "UpdatedAt" {column_type}, ADD "CreatedAt" {column_type}',
        f"""UPDATE "ProductVariants" SET "UpdatedAt" = '{stored}', "CreatedAt" = '{stored}'""",
        """DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''America/New_York''',
            current_database()); END $$""",
    )
    database.close()
    content = Content(time_zone=zone)
    for selection in (Selection(updated_since=MOMENT), Selection(since=MOMENT)):
        assert bool(due(database, content, selection)) is is_found
    assert bool(due(database, content, Selection(until=MOMENT))) is not is_found
    search = PostgresProductSearch(database, time_zone=zone)
    backfill_all(database)
    assert search.coverage(Filters(updated_since=MOMENT)).products == is_found
