"""Import products from files, embed them, and find the one that a photo shows."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.command import Command, Done, failed_plainly
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import draw
from tests.end_to_end.shop_tables import create_tables, run

PRODUCTS = 8

CSV = """\
sku,title,description,price,images
mug-1,Blue mug,"A mug, blue",9.90,1.png
mug-2,Красная кружка,<p>Большая</p>,9.90,2.png|3.png
,No SKU,,1,3.png
mug-3,Green mug,,cheap,3.png
mug-4,Too,many,1,4.png,fields
mug-5,Black mug,,12,
"""

SHOPIFY = """\
Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src
tee,Tee,<p>Soft</p>,Size,S,tee-s,20,4.png
tee,,,,M,tee-m,20,5.png
cap,Cap,,Title,Default Title,cap-1,15,6.png
"""

JSONL = """\
{"sku": "poster-1", "title": "[sale] Poster [/sale] \\u001b[2J\\u2603", "images": ["7.png"]}
{"sku": "poster-2", "title": "Poster
["sku", "poster-3"]
{"sku": "poster-4", "images": ["8.png"], "options": {"Size": "A3"}}
"""


@pytest.fixture(scope="module")
def shelfsight(module_url: str, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command in a folder with three product files and their pictures."""
    folder = tmp_path_factory.mktemp("shop")
    for number in range(1, PRODUCTS + 1):
        draw(number).save(folder / f"{number}.png")
    (folder / "mugs.csv").write_text(CSV, encoding="utf-8")
    (folder / "shopify.csv").write_text(SHOPIFY)
    (folder / "posters.jsonl").write_text(JSONL)
    photograph(folder / "photo.jpg")
    shelfsight = command(module_url, folder, IMAGE_ROOT=str(folder))
    assert shelfsight("init").returncode == 0
    return shelfsight


def photograph(path: Path) -> None:
    """Save a photo of the first mug: its picture rotated, cropped and darkened, as a JPEG."""
    turned = draw(1).resize((400, 400)).rotate(8, fillcolor=(90, 80, 70))
    turned.crop((20, 25, 390, 380)).point(lambda value: value * 0.8).save(path, quality=70)


@pytest.fixture(scope="module")
def imports(shelfsight: Command) -> dict[str, Done]:
    files = ("mugs.csv", "shopify.csv", "posters.jsonl")
    return {file: shelfsight("import", file) for file in files}


@pytest.fixture(scope="module")
def shop(shelfsight: Command, imports: dict[str, Done]) -> Command:
    """The command, with all products imported and embedded."""
    assert len(imports) == 3
    assert shelfsight.result()["embedded"] == PRODUCTS
    return shelfsight


def test_good_lines_are_imported_and_each_bad_one_is_reported_with_number_and_reason(
    imports: dict[str, Done],
) -> None:
    mugs = imports["mugs.csv"]
    assert mugs.returncode == 3
    assert mugs.stdout == "Imported mugs.csv: 3 new, 0 changed, 0 unchanged, 3 bad lines\n"
    assert [line.split(": ")[0] for line in mugs.stderr.splitlines()] == [
        "mugs.csv:4",
        "mugs.csv:5",
        "mugs.csv:6",
    ]
    for reason in ("has no sku", "'cheap'", "has 6 fields where the header has 5"):
        assert reason in mugs.stderr
    posters = imports["posters.jsonl"]
    assert posters.returncode == 3
    assert "posters.jsonl:2: is not JSON" in posters.stderr
    assert "posters.jsonl:3: is not a JSON object" in posters.stderr
    assert "2 new" in posters.stdout


def test_a_shopify_export_gives_a_product_for_each_variant(
    imports: dict[str, Done], module_url: str
) -> None:
    assert (imports["shopify.csv"].returncode, imports["shopify.csv"].stderr) == (0, "")
    titles = run(module_url, 'SELECT "Title" FROM "ProductVariants" WHERE "Sku" ~ \'^(tee|cap)\'')
    assert sorted(titles) == [("Cap",), ("Tee - M",), ("Tee - S",)]


def test_the_same_file_again_changes_nothing_and_an_edited_one_only_what_was_edited(
    shelfsight: Command, imports: dict[str, Done]
) -> None:
    assert imports
    again = shelfsight("import", "shopify.csv")
    assert again.stdout == "Imported shopify.csv: 0 new, 0 changed, 3 unchanged, 0 bad lines\n"
    edited = shelfsight.folder / "edited.csv"
    edited.write_text(SHOPIFY.replace("15,6.png", "16,6.png"))
    done = shelfsight("import", edited.name)
    assert done.stdout == "Imported edited.csv: 0 new, 1 changed, 2 unchanged, 0 bad lines\n"


def test_a_dry_run_reads_the_file_and_writes_nothing(shelfsight: Command, module_url: str) -> None:
    (shelfsight.folder / "new.jsonl").write_text('{"sku": "new-1"}\n{"title": "no sku"}\n')
    done = shelfsight("import", "--dry-run", "new.jsonl")
    assert done.returncode == 3
    assert done.stdout == "1 products could be imported\n"
    assert "new.jsonl:2: " in done.stderr
    assert run(module_url, 'SELECT FROM "ProductVariants" WHERE "Sku" = \'new-1\'') == []


def test_a_file_in_no_known_format_is_refused_as_a_whole(shelfsight: Command) -> None:
    (shelfsight.folder / "other.csv").write_text("name,colour\nmug,blue\n")
    assert "has no column sku" in failed_plainly(shelfsight("import", "other.csv"), 2)
    assert "photo.jpg is not text" in failed_plainly(shelfsight("import", "photo.jpg"), 2)
    assert "No such file" in failed_plainly(shelfsight("import", "none.csv"), 2)


def test_a_photo_finds_its_product_first(shop: Command) -> None:
    done = shop("scan", "photo.jpg", "--threshold=-1")
    assert (done.returncode, done.stderr) == (0, "")
    header, _, best, *others = filter(str.strip, done.stdout.splitlines())
    assert header.split() == ["#", "SKU", "Title", "Score", "Image", "Text", "Sure"]
    assert best.split()[:4] == ["1", "mug-1", "Blue", "mug"]
    assert len(others) == 4


def test_json_gives_the_matches_with_their_scores_best_first(shop: Command) -> None:
    (found,) = shop.json(
        "scan", "photo.jpg", "--text=something blue", "--limit=3", "--threshold=-1"
    )
    matches = found["matches"]
    assert matches[0]["sku"] == "mug-1"
    scores = [match["score"] for match in matches]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    fields = {
        "id",
        "product_id",
        "sku",
        "title",
        "score",
        "image_score",
        "text_score",
        "confidence",
    }
    assert matches[0].keys() > fields
    assert matches[0]["text_score"] is not None


def test_a_text_alone_finds_by_words(shop: Command) -> None:
    (found,) = shop.json("scan", "--text=blue mug")
    assert found["matches"][0]["sku"] == "mug-1"
    assert found["matches"][0]["image_score"] is None


def test_a_sku_alone_finds_the_very_variant(shop: Command) -> None:
    (found,) = shop.json("scan", "--text=MUG-1")
    assert found["matches"][0]["sku"] == "mug-1"
    assert (found["confidence"], found["action"]) == ("high", "show_single_match")


def test_a_photo_like_no_product_is_reported_as_no_match(shop: Command) -> None:
    done = shop("scan", "photo.jpg", "--threshold=0.9999")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("No match: no product is like it.")


def test_a_filter_that_no_product_passes_finds_nothing(shop: Command) -> None:
    done = shop("scan", "photo.jpg", "--json", "--owner=somebody else")
    assert (done.returncode, json.loads(done.stdout)["matches"]) == (1, [])


def test_a_title_is_shown_unchanged_except_for_terminal_control_characters(shop: Command) -> None:
    done = shop("scan", "--text=sale poster", PYTHONIOENCODING="ascii:strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert " [sale] Poster [/sale]  [2J\\u2603 " in done.stdout, done.stdout


def test_a_file_that_is_not_a_picture_is_refused(shop: Command) -> None:
    error = failed_plainly(shop("scan", "mugs.csv"), 2)
    assert error == "shelfsight: mugs.csv: this is not a picture\n"


def test_before_anything_is_embedded_a_scan_says_what_to_do(url: str, tmp_path: Path) -> None:
    empty = command(url, tmp_path)
    create_tables(url)
    done = empty("scan", "--text=mug")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Run: shelfsight backfill" in done.stderr
