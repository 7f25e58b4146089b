"""The catalogue of each platform is recognised, read, watched, and left as it is.

`platforms/` has a small shop for each: a red mug, a blue cap and a green bag in two sizes are on
sale, a sock is not.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from PIL import Image, ImageDraw

from shelfsight import CatalogChoice, Filters, open_shop
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.errors import NoCatalogError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Database
from shelfsight.postgres.pool import DatabasePool
from shelfsight.records import Selection
from shelfsight.scan.matching import SearchQuery
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.status import read as read_status
from shelfsight.testing import direction
from tests.conftest import created
from tests.integration.test_watch import Watch
from tests.shop import backfill_all, picture, rows

FOLDER = Path(__file__).parent / "platforms"
WITH_HANDLES = {"medusa", "saleor", "spree", "vendure"}
"""The platforms whose tables have a handle or slug here."""

COLOURS = {"mug": "red", "cap": "blue", "bag": "green"}
TITLES = ["Blue cap", "Green bag - Large", "Green bag - Small", "Red mug"]
FAKES = {
    f"{folder}{name}.png": picture(n) for n, name in enumerate(COLOURS) for folder in ("", "media/")
}


class Platform(NamedTuple):
    """A shop on one platform: its statements, and how it is set up."""

    name: str
    options: Mapping[str, str]
    recognised: str
    """What `init` says of it; empty for the names of Shelfsight itself."""

    @property
    def sql(self) -> dict[str, str]:
        return statements.parse((FOLDER / f"{self.name}.sql").read_text())

    def choice(self, folder: Path) -> CatalogChoice | None:
        if self.name == "sssync":
            return None
        if self.name != "own":
            return CatalogChoice(name=self.name, options=self.options)
        text = (FOLDER / "own.sql").read_text().partition("-- name: preset\n")[2]
        (folder / "my-shop.sql").write_text(text)
        return CatalogChoice(name=str(folder / "my-shop.sql"))


PLATFORMS = [
    Platform("sssync", {}, ""),
    Platform("medusa", {}, "--catalog medusa --set currency=eur"),
    Platform("saleor", {"media": "media/"}, "--catalog saleor --set channel=web"),
    Platform("vendure", {}, "--catalog vendure --set channel=__default_channel__"),
    Platform("spree", {"files": "media/"}, "--catalog spree --set currency=EUR --set locale=en"),
    Platform("solidus", {"files": "media/"}, "--catalog solidus --set currency=EUR"),
    Platform("odoo", {}, "--catalog odoo --set language=en_US --set published=yes"),
    Platform(
        "flat",
        {
            **{"table": "items", "id": "code", "title": "name", "image": "photo"},
            **{"category": "kind", "price": "eur", "product": "family", "updated": "changed"},
        },
        "--catalog flat --set table=items --set id=code --set title=name --set image=photo",
    ),
    Platform("own", {}, "--catalog my-shop.sql"),
]


@pytest.fixture(params=PLATFORMS, ids=lambda platform: platform.name)
def platform(request: pytest.FixtureRequest) -> Platform:
    found: Platform = request.param
    return found


@pytest.fixture
def shop_url(server: str, platform: Platform) -> Iterator[str]:
    """The URL of a database with the platform's shop."""
    with created(server) as url:
        run(url, platform.sql["tables"])
        run(url, platform.sql["rows"])
        if platform.name == "own":
            yield f"{url}&options=-csearch_path%3Dgoods%2Cpublic"
        else:
            yield url


def run(url: str, statement: str) -> None:
    """Run statements of the shop itself."""
    with psycopg.connect(url) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def titles(database: Database) -> list[str]:
    """Return the titles that a backfill of everything would embed."""
    pages = PostgresCatalog(database).pages(Selection(skip_existing=False), 100)
    return sorted(product.title for page in pages for product in page)


def photo(colour: str) -> Image.Image:
    image = Image.new("RGB", (256, 256), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 60, 180, 200), outline=colour, width=30)
    draw.rectangle((150, 90, 220, 160), fill=colour)
    return image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "media").mkdir()
    for name in FAKES:
        photo(COLOURS[Path(name).stem]).save(folder / name)
    return folder


@contextmanager
def embedded(url: str, choice: CatalogChoice | None, *, triggers: bool) -> Iterator[Database]:
    """The platform's shop, set up and embedded by fake models."""
    with open_shop(url) as shop:
        shop.init(catalog=choice, triggers=triggers or None)
    with closing(Database(url)) as database:
        assert backfill_all(database, pictures=FAKES).embedded == len(TITLES)
        yield database


@pytest.mark.parametrize("platform", PLATFORMS[1:], ids=lambda one: one.name, indirect=True)
def test_init_alone_says_what_to_run_and_makes_nothing(shop_url: str, platform: Platform) -> None:
    with open_shop(shop_url) as shop, pytest.raises(NoCatalogError) as refused:
        shop.init()
    assert platform.recognised in str(refused.value)
    with closing(Database(shop_url)) as database:
        assert rows(database, "SELECT FROM pg_namespace WHERE nspname = 'shelfsight'") == []
        assert rows(database, "SELECT FROM pg_class WHERE relname = 'ProductEmbeddings'") == []


def test_a_photo_finds_its_product(
    shop_url: str, platform: Platform, pictures: Path, tmp_path: Path
) -> None:
    choice = platform.choice(tmp_path)
    with open_shop(shop_url, models="lite", image_root=pictures) as shop:
        shop.init(catalog=choice)
        assert titles(shop.database) == TITLES
        assert shop.backfill().embedded == len(TITLES)
        for name, colour in COLOURS.items():
            found = shop.scan(photo(colour), limit=1).matches[0]
            assert name in found.product.title
            assert found.product.price == Decimal("12.50")
            assert found.product.link == ("its-page" if platform.name in WITH_HANDLES else None)
        mugs = shop.scan(photo("blue"), threshold=-1, filters=Filters(category="Mugs")).matches
        assert [match.product.title for match in mugs] == ["Red mug"]
        assert shop.due().products == 0
        assert shop.catalog().products == len(TITLES)

        assert shop.init(catalog=choice) == shop.init() == []
        run(shop_url, platform.sql["alter"])
        assert shop.due().products == 0
        assert shop.init(catalog=choice) == []


@pytest.mark.parametrize("triggers", [True, False], ids=["triggers", "polling"])
def test_a_watch_follows_the_shop(
    shop_url: str, platform: Platform, tmp_path: Path, *, triggers: bool
) -> None:
    sql = platform.sql
    with (
        embedded(shop_url, platform.choice(tmp_path), triggers=triggers) as database,
        Watch(shop_url, every=3600.0 if triggers else 1.0, pictures=FAKES) as watch,
    ):
        watch.wait_until_idle()
        run(shop_url, sql["edit"])
        run(shop_url, sql["edit_picture"])
        watch.wait_until(lambda: any("Scarlet" in t for t in stored(database, "ProductText")))
        watch.wait_until(lambda: sum("bag" in url for url in stored(database, "ImageUrl")) == 3)
        run(shop_url, sql["unpublish"])
        run(shop_url, sql["delete"])
        assert titles(database) == ["Scarlet mug"]
        assert found(database) == ["Scarlet mug"]
        # a watch deletes at most a tenth of the vectors of a kind; these are most of them
        assert read_status(database).gone == (2 if platform.name == "sssync" else 3)


def stored(database: Database, column: str) -> list[str]:
    query = f'SELECT "{column}" FROM "ProductEmbeddings"'
    return [value for (value,) in rows(database, query)]


def found(database: Database) -> list[str]:
    """Return the titles that a search with no filter finds."""
    with closing(DatabasePool(database.url, 1)) as pool:
        search = PostgresProductSearch(pool)
        vector = direction(b"any", 768)
        query = SearchQuery(column="image", vector=vector, image=vector)
        return [one.title for one in search.candidates(query, Filters(), 10)]
