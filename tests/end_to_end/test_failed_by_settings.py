"""Pictures that fail because of a setting: what the command says, and how it goes on."""

from pathlib import Path

import pytest

from tests.end_to_end.command import Command
from tests.end_to_end.picture_host import draw, png
from tests.end_to_end.shop_tables import stored

PRODUCTS = 3
CURE = "correct the address; if it is a path, set IMAGE_ROOT or IMAGE_BASE_URL"


@pytest.fixture
def shop(shelfsight: Command, tmp_path: Path) -> Command:
    """Three products from a file that names their pictures by relative paths."""
    for number in range(PRODUCTS):
        (tmp_path / f"{number}.png").write_bytes(png(draw(number)))
    lines = [f"{number},Mug {number},{number}.png" for number in range(PRODUCTS)]
    (tmp_path / "products.csv").write_text("\n".join(["sku,title,image", *lines]))
    assert shelfsight("init").returncode == 0
    assert shelfsight("import", "products.csv").returncode == 0
    return shelfsight


def test_all_pictures_failed_is_no_success(shop: Command) -> None:
    done = shop("backfill")
    assert done.returncode == 3
    assert "  - Successfully embedded: 0\n" in done.stdout
    assert "  - Embedded, but lacking a picture: 3\n" in done.stdout
    assert "  - Success rate: 0.0%\n" in done.stdout
    assert done.stdout.endswith(
        "What failed, by kind, and what to do:\n"
        f"  - bad_address 3: {CURE}\n"
        "Then try these again: MODELS=lite shelfsight retry --all\n"
    )
    assert f"bad_address 3: {CURE}; such as" in (shop("status").stdout)
    (run,) = shop.json("runs")
    assert (run["found"], run["incomplete"], run["lacking_picture"]) == (3, 3, 3)
    assert "embedded" not in run


def test_the_same_command_embeds_them_once_the_setting_is_right_and_only_then(
    shop: Command, tmp_path: Path, url: str
) -> None:
    first = shop.result()
    assert (first["exit_status"], first["success_rate"]) == (3, 0.0)
    assert first["cures"].keys() == first["failures"].keys() == {"bad_address"}
    assert first["retry"] == "MODELS=lite shelfsight retry --all"
    (kind,) = shop.json("failures")
    assert (kind["kind"], kind["fault"]) == ("bad_address", "settings")
    assert shop.result()["found"] == 0
    again = shop.result(IMAGE_ROOT=str(tmp_path))
    assert (again["found"], again["image"], again["exit_status"]) == (PRODUCTS, PRODUCTS, 0)
    assert {row["SourceType"] for row in stored(url).values()} == {"image_text"}


def test_a_catalogue_without_products_is_no_success(shelfsight: Command) -> None:
    assert shelfsight("init").returncode == 0
    done = shelfsight("backfill")
    assert "The catalogue has no products. Is this the right database" in done.stdout
    assert "shelfsight doctor" in done.stdout
    assert "100" not in done.stdout.partition("Results:")[2]
    assert shelfsight.result()["success_rate"] is None
    status = shelfsight("status").stdout
    assert "The catalogue has no products" in status
