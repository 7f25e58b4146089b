"""What a Python program can do with `import shelfsight`, and that the examples of the docs run."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import Event, Thread

import pytest
from PIL import Image, ImageDraw

import shelfsight
from shelfsight import Filters, Selection, Shop, Weights, open_shop
from shelfsight.backfill.progress import Progress
from shelfsight.catalog.imports.import_file import write_products
from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.errors import PictureError, SchemaError, SettingsError
from tests.open_folder import open_folder

ROOT = Path(__file__).parents[2]
THINGS = {"mug": "red", "cap": "blue", "bag": "green", "sock": "orange"}


def picture(colour: str, *, tilt: int = 0) -> Image.Image:
    """A ring and a bar of one colour on white: like no other in the shop."""
    image = Image.new("RGB", (256, 256), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 60, 180, 200), outline=colour, width=30)
    draw.rectangle((150, 90, 220, 160), fill=colour)
    return image.rotate(tilt, fillcolor="white")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name, colour in THINGS.items():
        picture(colour).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.fixture
def shop(url: str, pictures: Path) -> Iterator[Shop]:
    """A shop of four products that are not embedded yet."""
    with open_shop(url, models="lite", image_root=pictures) as shop:
        shop.init()
        write_products(shop.database, map(product, THINGS))
        yield shop


def product(name: str) -> ImportedProduct:
    return ImportedProduct(
        line=0,
        sku=name.upper(),
        product_key=name,
        title=f"A {THINGS[name]} {name}",
        options={},
        image_urls=(f"{name}.png",),
        owner_id="ann",
        category="mugs" if name == "mug" else None,
    )


def test_a_shop_is_embedded_scanned_and_asked_how_it_stands(shop: Shop) -> None:
    assert shop.due().products == 4
    assert shop.is_empty()
    report = shop.backfill()
    assert (report.embedded, report.failed, report.exit_status) == (4, 0, 0)
    assert shop.backfill().found == 0
    assert (shop.status().total, shop.due().products) == (4, 0)
    assert not shop.is_empty()
    best = shop.scan(picture("red", tilt=5), text="mug", limit=1).matches[0]
    assert best.product.sku == "MUG"
    assert -1 <= best.score <= 1
    similar = shop.similar(best.product.id, limit=2)
    assert similar is not None
    assert "MUG" not in [match.product.sku for match in similar.matches]
    assert len(similar.matches) == 2


def test_a_photo_may_be_a_path_bytes_or_a_pillow_image_in_any_mode(
    shop: Shop, pictures: Path
) -> None:
    shop.backfill()
    path = pictures / "cap.png"
    palette = Image.open(path).convert("P")
    sources = [path, str(path), path.read_bytes(), Image.open(path), palette, [path, palette]]
    for source in sources:
        assert shop.scan(source, threshold=-1).matches[0].product.sku == "CAP", source


def test_a_photo_without_its_last_bytes_is_noted(shop: Shop) -> None:
    file = BytesIO()
    picture("red").save(file, "JPEG")
    assert shop.scan(file.getvalue()).notes == ()
    cut = [file.getvalue()[:-2]] * 2
    assert shop.scan(cut, threshold=-1).notes == ("truncated",)


def test_a_scan_takes_filters_weights_and_words_alone(shop: Shop) -> None:
    shop.backfill()
    found = shop.scan(picture("blue"), filters=Filters(category="mugs"), threshold=-1)
    assert [match.product.sku for match in found.matches] == ["MUG"]
    assert shop.scan(text="SOCK").matches[0].product.sku == "SOCK"
    heard = shop.scan(picture("blue"), text="A red mug", weights=Weights(image=0, text=1))
    assert heard.matches[0].product.sku == "MUG"


def test_several_threads_and_an_event_loop_scan_at_the_same_time(shop: Shop) -> None:
    shop.backfill()

    async def scans() -> list[str | None]:
        found = await asyncio.gather(
            *(shop.scan_async(picture(colour), threshold=-1) for colour in THINGS.values())
        )
        return [result.matches[0].product.sku for result in found]

    assert asyncio.run(scans()) == [name.upper() for name in THINGS]


def test_a_backfill_takes_a_selection_a_limit_and_a_progress(shop: Shop) -> None:
    shown: list[int] = []

    class Counting(Progress):
        def stored(self, page: object) -> None:
            shown.append(len(page))  # type: ignore[arg-type]

    assert shop.backfill(Selection(skus=("MUG",)), progress=Counting()).embedded == 1
    assert sum(shown) == 1
    stop = Event()
    stop.set()
    assert shop.backfill(stop=stop).interrupted
    assert shop.backfill().embedded == 3


def test_what_cannot_be_done_says_why(shop: Shop, url: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no setting 'model'"):
        open_shop(url, model="lite")
    with pytest.raises(SettingsError, match="BATCH_SIZE"):
        open_shop(url, batch_size=-1)
    with pytest.raises(PictureError, match=r"none\.jpg: No such file"):
        shop.scan(tmp_path / "none.jpg")
    with pytest.raises(PictureError, match=r"the photo: .*not a picture"):
        shop.scan(b"no picture")
    with pytest.raises(ValueError, match="photo or a text"):
        shop.scan()
    assert shop.similar("00000000-0000-0000-0000-000000000000") is None


def test_a_database_that_is_not_prepared_is_told_to_be(url: str) -> None:
    with open_shop(url, models="lite") as shop, pytest.raises(SchemaError, match="shelfsight init"):
        shop.status()


def test_without_an_address_the_embedded_postgres_is_started_and_prepared() -> None:
    with open_folder() as home, open_shop(models="lite", shelfsight_home=home) as shop:
        assert shop.status().total == 0
        assert shop.init() == []


def test_the_bare_import_loads_nothing_and_every_name_is_there() -> None:
    code = "import sys, shelfsight; print('numpy' in sys.modules, 'psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
    for name in shelfsight.__all__:
        assert getattr(shelfsight, name).__doc__
    with pytest.raises(AttributeError, match="nonsense"):
        shelfsight.nonsense  # noqa: B018


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_examples_of_the_docs_run(
    page: str, shop: Shop, url: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture("red").save(pictures / "photo.jpg")
    monkeypatch.chdir(pictures)
    monkeypatch.setenv("IMAGE_ROOT", str(pictures))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        code = block.replace("postgresql://user:password@host/shop", url)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), code
    assert shop.due().products == 0


def test_each_line_of_the_table_in_the_docs_runs(
    shop: Shop, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.backfill()
    for name in ("photo", "front", "back"):
        picture("red").save(pictures / f"{name}.jpg")
    monkeypatch.chdir(pictures)
    variant_id = shop.scan(text="MUG").matches[0].product.id
    known = {
        "shop": shop,
        "data": (pictures / "photo.jpg").read_bytes(),
        "variant_id": variant_id,
        "Selection": Selection,
        "Filters": Filters,
    }
    lines = re.findall(r"`((?:await )?shop\.\w+\(.*?\))`", (ROOT / "docs/python.md").read_text())
    assert len(lines) >= 9
    for line in lines:
        call = line.removeprefix("await ")
        result = eval(call, {}, known)
        assert (asyncio.run(result) if line.startswith("await") else result) is not None, line


def test_scans_from_threads_share_the_models(shop: Shop) -> None:
    shop.backfill()
    found: dict[str, str | None] = {}

    def scan(name: str) -> None:
        matches = shop.scan(picture(THINGS[name]), threshold=-1).matches
        found[name] = matches[0].product.sku

    threads = [Thread(target=scan, args=(name,)) for name in THINGS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {name: name.upper() for name in THINGS}
