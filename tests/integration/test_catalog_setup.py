"""Choosing a catalogue: what is refused, with which words, and what a platform may change."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from shelfsight import CatalogChoice, Filters, Selection, Shop, open_shop
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.doctor import examine_database
from shelfsight.errors import NoCatalogError, PresetError, SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Database
from shelfsight.postgres.pool import DatabasePool
from shelfsight.records import ModelPair
from shelfsight.storage import schema
from shelfsight.storage.index.build import BuildLogger
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.status import read as read_status
from shelfsight.storage.versions import vector_versions
from shelfsight.storage.versions.switch import roll_back, switch
from tests.shop import backfill_all, fill, rows

MEDUSA = statements.parse(
    (Path(__file__).parents[1] / "contract" / "platforms" / "medusa.sql").read_text()
)
THINGS = """
CREATE TABLE things (id int PRIMARY KEY, name text, made timestamp, cost money, shop int);
CREATE TABLE photos (thing int REFERENCES things, address text);
INSERT INTO things SELECT n, 'Thing ' || n FROM generate_series(1, 3) AS n;
INSERT INTO photos SELECT n, 'http://shop.test/' || n || '.png' FROM generate_series(1, 3) AS n
"""
PHOTOS = """SELECT thing || address AS "Id", thing AS "ProductVariantId", address AS "ImageUrl"
FROM photos"""


def run(url: str, statement: str) -> None:
    """Run statements of the shop itself."""
    with psycopg.connect(url) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture
def shop(url: str) -> Iterator[Shop]:
    """A shop of three things, which no preset knows."""
    run(url, THINGS)
    with open_shop(url) as shop:
        yield shop


@pytest.fixture
def medusa(url: str) -> Iterator[Shop]:
    run(url, MEDUSA["tables"])
    run(url, MEDUSA["rows"])
    with open_shop(url) as shop:
        yield shop


def own(folder: Path, products: str, images: str = PHOTOS, more: str = "") -> CatalogChoice:
    """Write a file of SELECTs, as a shop would."""
    path = folder / "my-shop.sql"
    path.write_text(
        f"-- name: ProductVariants\n{products}\n\n-- name: ProductImages\n{images};\n{more}"
    )
    return CatalogChoice(name=str(path))


def test_an_unknown_shop_is_described_and_left_alone(shop: Shop) -> None:
    with pytest.raises(NoCatalogError) as refused:
        shop.init()
    said = str(refused.value)
    assert "2 tables" in said
    assert "--catalog my-shop.sql" in said
    assert "--new-shop" in said
    assert shop.init(new_shop=True)
    assert shop.catalog().products == 0


def test_an_empty_database_gets_tables(url: str) -> None:
    with open_shop(url) as shop:
        assert 'created table "ProductVariants"' in shop.init()
        assert shop.init() == []


@pytest.mark.parametrize(
    ("products", "images", "said"),
    [
        ("SELECT nam AS x FROM things", PHOTOS, 'column "nam" does not exist'),
        ("DELETE FROM things", PHOTOS, "ProductVariants: syntax error"),
        ('SELECT name AS "Title" FROM things', PHOTOS, 'ProductVariants has no column "Id"'),
        ('SELECT id, name AS "Title" FROM things', PHOTOS, 'write AS "Id", in quotes'),
        (
            'SELECT id AS "Id", made AS "UpdatedAt" FROM things',
            PHOTOS,
            "write: ... AT TIME ZONE 'UTC'",
        ),
        ('SELECT id AS "Id", cost AS "Price" FROM things', PHOTOS, "write: ...::numeric"),
        ('SELECT id::text AS "Id" FROM things', PHOTOS, 'is integer, and "Id" of ProductVariants'),
        (
            'SELECT t.id AS "Id" FROM things AS t, photos',
            PHOTOS,
            "several rows with the \"Id\" '1'",
        ),
        (
            'SELECT nullif(id, 2) AS "Id" FROM things',
            PHOTOS,
            "a row of ProductVariants has no",
        ),
        (
            'SELECT id AS "Id" FROM things',
            PHOTOS.replace("thing || address", "1 / (thing - 2)"),
            "ProductImages fails: division by zero",
        ),
    ],
)
def test_a_select_that_does_not_fit_is_refused(
    shop: Shop, tmp_path: Path, products: str, images: str, said: str
) -> None:
    with pytest.raises(PresetError) as refused:
        shop.init(catalog=own(tmp_path, products, images))
    assert said in str(refused.value)
    with closing(Database(shop.settings.database_url or "")) as database:
        assert rows(database, "SELECT FROM pg_namespace WHERE nspname = 'shelfsight'") == []


def test_a_file_with_a_wrong_name_is_refused(shop: Shop, tmp_path: Path) -> None:
    choice = own(tmp_path, 'SELECT id AS "Id" FROM things', more="\n-- name: Images\nSELECT 1")
    with pytest.raises(PresetError, match="'Images' is not one of"):
        shop.init(catalog=choice)
    with pytest.raises(PresetError, match="there is no preset 'shopify'"):
        shop.init(catalog=CatalogChoice(name="shopify"))
    with pytest.raises(PresetError, match="no option 'colour'"):
        shop.init(catalog=CatalogChoice(name="flat", options={"colour": "red"}))
    with pytest.raises(PresetError, match="--set table="):
        shop.init(catalog=CatalogChoice(name="flat"))


@pytest.mark.parametrize("column", ["id", '"Id"'])
def test_a_select_over_a_table_of_our_name_must_name_its_schema(
    url: str, tmp_path: Path, column: str
) -> None:
    run(url, THINGS.replace("things", '"ProductVariants"').replace("(id", f"({column}"))
    products = f'SELECT {column} AS "Id" FROM {{}}"ProductVariants"'
    with open_shop(url) as shop:
        with pytest.raises(PresetError, match=r'such as public\."Product'):
            shop.init(catalog=own(tmp_path, products.format("")))
        assert shop.init(catalog=own(tmp_path, products.format("public.")))
        assert shop.catalog().products == 3


def test_views_of_the_shop_are_not_replaced(shop: Shop, url: str, tmp_path: Path) -> None:
    run(url, "CREATE SCHEMA shelfsight")
    run(url, 'CREATE VIEW shelfsight."ProductVariants" AS SELECT id AS "Id" FROM things')
    run(url, f'CREATE VIEW shelfsight."ProductImages" AS {PHOTOS}')
    with pytest.raises(SchemaError, match="was not made by shelfsight"):
        shop.init(catalog=own(tmp_path, 'SELECT id AS "Id" FROM things'))
    shop.init()
    assert shop.catalog().products == 3
    assert backfill_all(shop.database).embedded == 3


def test_tables_that_init_made_before_do_not_stand_in_the_way(url: str) -> None:
    """Older releases made empty tables beside any shop, with ids of their own type."""
    run(url, MEDUSA["tables"])
    run(url, MEDUSA["rows"])
    with closing(Database(url)) as database:
        schema.create(database)
        fill(database, 2, pictures=True)
        backfill_all(database)
    with open_shop(url) as shop:
        shop.init(triggers=True)
        shop.init(catalog=CatalogChoice(name="medusa"))
        assert shop.catalog().products == 4
        assert backfill_all(shop.database, pictures={}).found == 4
        run(url, 'UPDATE public."ProductVariants" SET "Title" = \'still the table of the shop\'')
        assert rows(shop.database, 'SELECT count(*) FROM public."ProductEmbeddings"') == [(2,)]
        shop.init(catalog=CatalogChoice(name="sssync"))
        assert shop.catalog().products == 2
        assert backfill_all(shop.database).embedded == 2


def test_other_options_change_what_is_read(medusa: Shop) -> None:
    medusa.init(catalog=CatalogChoice(name="medusa"))
    medusa.init(triggers=True)
    prices = 'SELECT max("Price") FROM "ProductVariants"'
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgname = 'shelfsight_changed'"
    assert rows(medusa.database, triggers) == [(6,)]
    assert medusa.catalog().options == {"currency": "eur"}
    medusa.init(catalog=CatalogChoice(name="medusa", options={"currency": "xxx"}))
    assert rows(medusa.database, prices) == [(None,)]
    assert medusa.init() == []
    assert medusa.catalog().options == {"currency": "xxx"}
    assert rows(medusa.database, triggers) == [(6,)]
    medusa.init(catalog=CatalogChoice(name="sssync"))
    assert rows(medusa.database, triggers) == [(0,)]


def test_a_column_that_the_platform_took_away_is_named(medusa: Shop, url: str) -> None:
    medusa.init(catalog=CatalogChoice(name="medusa"), triggers=True)
    run(url, "ALTER TABLE product DROP COLUMN subtitle")
    run(url, MEDUSA["edit"])
    for command in (medusa.due, medusa.catalog):
        with pytest.raises(SchemaError, match=r"p\.subtitle does not exist; run: shelfsight"):
            command()
    with pytest.raises(PresetError, match=r"refuses the SELECT of ProductVariants: column p\.subt"):
        medusa.init()
    findings = list(examine_database(medusa.database, medusa.settings))
    assert any(f.verdict == "wrong" and "p.subtitle" in f.what for f in findings)
    run(url, "ALTER TABLE product ADD COLUMN subtitle text")
    assert medusa.due().products == 4


def test_a_role_without_the_right_to_triggers_polls(medusa: Shop, url: str) -> None:
    run(url, "ALTER TABLE image RENAME TO pictures; CREATE VIEW image AS SELECT * FROM pictures")
    done = medusa.init(catalog=CatalogChoice(name="medusa"), triggers=True)
    assert any("`shelfsight watch` polls; image can have none" in line for line in done)
    assert rows(medusa.database, "SELECT FROM pg_trigger WHERE NOT tgisinternal") == []


def test_what_a_view_leaves_out_is_said(medusa: Shop) -> None:
    done = medusa.init(catalog=CatalogChoice(name="medusa"))
    assert '"ProductVariants" has 4 of the 6 rows of product_variant' in done


def test_other_models_are_switched_to_beside_the_views(medusa: Shop) -> None:
    medusa.init(catalog=CatalogChoice(name="medusa"))
    database = medusa.database
    backfill_all(database, pictures={})
    others = ModelPair(image="other-pixels@1", text="other-words@1")
    copy = 'INSERT INTO "ProductEmbeddings" SELECT * FROM shelfsight."ProductEmbeddings"'
    with closing(vector_versions.prepare_staged(database, others)) as staged:
        assert len(rows(staged, f"{copy} RETURNING 1")) == 4
    switch(database, BuildLogger(list().append))
    assert read_status(database).total == 4
    roll_back(database)
    assert read_status(database).total == 4
    assert backfill_all(database, pictures={}).found == 0


def test_an_owner_among_several_finds_the_product(medusa: Shop) -> None:
    medusa.init(catalog=CatalogChoice(name="medusa"))
    database = medusa.database
    assert backfill_all(database, pictures={}, selection=Selection(owner="pos")).found == 1
    assert backfill_all(database, pictures={}, selection=Selection(owner="web")).found == 1
    assert PostgresCatalog(database).due(Selection(owner="nobody")).selected == 0
    with closing(DatabasePool(database.url, 1)) as pool:
        search = PostgresProductSearch(pool)
        assert search.coverage(Filters(owner="pos")).embedded
        assert not search.coverage(Filters(owner="nobody")).products
