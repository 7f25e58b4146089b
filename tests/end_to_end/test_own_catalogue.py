"""docs/catalogues.md, word for word: a shop of unknown schema comes to its first scan."""

import re
from pathlib import Path

import psycopg
from PIL import Image, ImageDraw

from tests.end_to_end.command import Command

PAGE = Path(__file__).parents[2] / "docs" / "catalogues.md"
COLOURS = {"mug": "red", "cap": "blue", "bag": "green"}


def test_a_shop_of_its_own_is_scanned_after_two_selects(url: str, tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## A shop of your own")[2]
    tables, preset = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    (commands,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    with psycopg.connect(url) as connection:
        connection.execute(tables)
    (tmp_path / "my-shop.sql").write_text(preset)
    for name, colour in COLOURS.items():
        image = Image.new("RGB", (256, 256), "white")
        ImageDraw.Draw(image).ellipse((40, 60, 180, 200), outline=colour, width=30)
        image.save(tmp_path / f"{name}.png")
    (tmp_path / "photo.png").write_bytes((tmp_path / "cap.png").read_bytes())
    shelfsight = Command(tmp_path, DATABASE_URL=url, IMAGE_ROOT=str(tmp_path))
    refused = shelfsight("init")
    assert refused.returncode == 1
    assert "shelfsight init --catalog my-shop.sql" in refused.stderr

    done = [shelfsight(*line.split()[1:]) for line in commands.splitlines()]
    assert [one.returncode for one in done] == [0] * len(done), done
    created, shown, embedded, scanned = (one.stdout for one in done)
    assert "created trigger on article" in created
    assert "Products: 2, pictures: 2" in shown
    assert "Success rate: 100.0%" in embedded
    assert re.search(r"^ *1 .*Blue cap", scanned, re.MULTILINE), scanned
