"""Import products from files, embed them, and find the one that a photo shows."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.command import PATIENCE, Command, Done, failed_plainly
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import draw
from tests.end_to_end.shop_tables import add_product, create_tables, run

PRODUCTS = 9

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
Handle,Title,Body (HTML),Vendor,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src
tee,Tee,<p>Soft</p>,Acme,Size,S,tee-s,20,4.png
tee,,,,,M,tee-m,20,5.png
cap,Cap,,Acme,Title,Default Title,cap-1,15,6.png
"""

JSONL = """\
{"sku": "poster-1", "title": "[sale] Poster [/sale] \\u001b[2J\\u2603", "images": ["7.png"]}
{"sku": "poster-2", "title": "Poster
["sku", "poster-3"]
{"sku": "poster-4", "images": ["8.png"], "options": {"Size": "A3"}}
"""


@pytest.fixture(scope="module")
def shelfsight(
    module_url: str, model_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Command:
    """The command in a folder with three product files and their pictures."""
    folder = tmp_path_factory.mktemp("shop")
    for number in range(1, PRODUCTS + 1):
        draw(number).save(folder / f"{number}.png")
    (folder / "mugs.csv").write_text(CSV, encoding="utf-8")
    (folder / "shopify.csv").write_text(SHOPIFY)
    (folder / "posters.jsonl").write_text(JSONL)
    photograph(folder / "photo.jpg")
    shelfsight = command(
        module_url, folder, IMAGE_ROOT=str(folder), EMBEDDING_SERVER_URL=model_server
    )
    assert shelfsight("init").returncode == 0
    return shelfsight


def photograph(path: Path) -> None:
    """Save a photo of the first mug: its picture cropped and darkened, as a JPEG."""
    draw(1).resize((400, 400)).crop((20, 25, 390, 380)).point(lambda value: value * 0.8).save(
        path, quality=70
    )


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
    counts = "4 new, 0 changed, 0 emptied, 0 untouched, 2 bad lines, 1 bad cells"
    assert mugs.stdout.splitlines()[-1] == f"Imported mugs.csv: {counts}"
    assert [line.split(": ")[0] for line in mugs.stderr.splitlines()] == [
        "mugs.csv:4",
        "mugs.csv:5",
        "mugs.csv:6",
    ]
    for reason in (
        "has no sku",
        "'cheap' cannot be read as one price; imported",
        "has 6 fields where the header has 5",
    ):
        assert reason in mugs.stderr
    posters = imports["posters.jsonl"]
    assert posters.returncode == 3
    assert "posters.jsonl:2: is not JSON" in posters.stderr
    assert "posters.jsonl:3: is not a JSON object" in posters.stderr
    assert "2 new" in posters.stdout


def test_a_shopify_export_gives_a_product_for_each_variant(
    imports: dict[str, Done], module_url: str
) -> None:
    done = imports["shopify.csv"]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Shopify export, read as utf-8:",
        "  Handle         product_key",
        "  Title          title",
        "  Body (HTML)    description",
        "  Option1 Name   options",
        "  Option1 Value  options",
        "  Variant SKU    sku",
        "  Variant Price  price",
        "  Image Src      images",
        "  not used: Vendor",
        "Imported shopify.csv: 3 new, 0 changed, 0 emptied, 0 untouched, 0 bad lines",
    ]
    titles = run(module_url, 'SELECT "Title" FROM "ProductVariants" WHERE "Sku" ~ \'^(tee|cap)\'')
    assert sorted(titles) == [("Cap",), ("Tee - M",), ("Tee - S",)]


def test_the_same_file_again_changes_nothing_and_an_edited_one_only_what_was_edited(
    shelfsight: Command, imports: dict[str, Done]
) -> None:
    assert imports
    again = shelfsight("import", "shopify.csv")
    counts = "0 new, 0 changed, 0 emptied, 3 untouched, 0 bad lines"
    assert again.stdout.splitlines()[-1] == f"Imported shopify.csv: {counts}"
    edited = shelfsight.folder / "edited.csv"
    edited.write_text(SHOPIFY.replace("15,6.png", "16,6.png"))
    done = shelfsight("import", edited.name)
    counts = "0 new, 1 changed (price 1), 0 emptied, 2 untouched, 0 bad lines"
    assert done.stdout.splitlines()[-1] == f"Imported edited.csv: {counts}"


def test_a_dry_run_reads_the_file_and_writes_nothing(shelfsight: Command, module_url: str) -> None:
    lines = '{"key": "new-1", "title": "Mug", "images": ["1.png", "2.png"]}\n{"title": "no sku"}\n'
    (shelfsight.folder / "new.jsonl").write_text(lines)
    done = shelfsight("import", "--dry-run", "--map", "sku=key,title=title", "new.jsonl")
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        "plain, read as utf-8:",
        "  key     sku",
        "  title   title",
        "  images  images",
        "The first products as they would be stored:",
        "  sku          new-1",
        "  title        Mug",
        "  images       1.png",
        "               2.png",
        "",
        "Would import new.jsonl: 1 new, 0 changed, 0 emptied, 0 untouched, 1 bad lines"
        " (dry run: nothing was written)",
    ]
    assert "new.jsonl:2: " in done.stderr
    assert run(module_url, 'SELECT "Sku" FROM "ProductVariants" WHERE "Sku" = \'new-1\'') == []


def test_json_has_the_same_counts(shelfsight: Command, imports: dict[str, Done]) -> None:
    assert imports
    (shelfsight.folder / "price.csv").write_text("sku,price,title\nmug-1,11,\nmug-9,1,x\n")
    done = shelfsight("import", "--dry-run", "--clear-empty", "--json", "price.csv")
    assert json.loads(done.stdout) == {
        **{"new": 1, "changed": 1, "emptied": 1, "untouched": 0, "bad_lines": 0},
        **{"changed_columns": {"price": 1}, "emptied_columns": {"title": 1}},
        **{"archived": 0, "restored": 0, "dry_run": True, "bad_cells": 0, "left_out": {}},
        **{"format": "plain", "encoding": "utf-8", "unused_columns": []},
        "columns": {"sku": "sku", "price": "price", "title": "title"},
        "first_products": [
            {"sku": "mug-1", "description": "A mug, blue", "price": "11", "images": ["1.png"]},
            {"sku": "mug-9", "title": "x", "price": "1"},
        ],
    }


def test_a_complete_file_that_lacks_many_products_needs_yes_where_nobody_can_be_asked(
    url: str, tmp_path: Path
) -> None:
    shelfsight = command(url, tmp_path)
    create_tables(url)
    (tmp_path / "five.csv").write_text("sku\na\nb\nc\nd\ne\n")
    (tmp_path / "two.csv").write_text("sku,title\na,Mug\nb,Cup\n")
    assert shelfsight("import", "five.csv").returncode == 0
    error = failed_plainly(shelfsight("import", "--complete", "--yes", "two.csv"), 1)
    run(url, error.rpartition(": ")[2])
    error = failed_plainly(shelfsight("import", "--complete", "two.csv"), 1)
    assert error == (
        "shelfsight: two.csv lacks 3 of 5 products, which is too many to archive unconfirmed:"
        " nothing was written. Check the file, then add --yes\n"
    )
    changed = (
        'SELECT "Sku" FROM "ProductVariants" WHERE "ArchivedAt" IS NOT NULL OR "Title" <> \'\''
    )
    assert run(url, changed) == []
    assert "--yes goes with --complete" in shelfsight("import", "--yes", "two.csv").stderr
    done = shelfsight("import", "--complete", "--yes", "two.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 changed (title 2), 0 emptied, 0 untouched, 0 bad lines, 3 archived" in done.stdout
    assert len(run(url, changed)) == 5
    (tmp_path / "bad.csv").write_text("sku,price\n,1\nb,1\n")
    done = shelfsight("import", "--complete", "bad.csv")
    assert done.returncode == 3
    assert done.stderr.splitlines()[1:] == [
        "Nothing was archived because of the bad lines: mend them first"
    ]


@pytest.mark.parametrize(("answer", "status", "archived"), [("n", 1, 0), ("y", 0, 2)])
def test_on_a_terminal_it_asks(
    url: str, tmp_path: Path, answer: str, status: int, archived: int
) -> None:
    shelfsight = command(url, tmp_path)
    create_tables(url)
    run(url, 'ALTER TABLE "ProductVariants" ADD "ArchivedAt" timestamptz')
    (tmp_path / "three.csv").write_text("sku\na\nb\nc\n")
    (tmp_path / "one.csv").write_text("sku\na\n")
    assert shelfsight("import", "three.csv").returncode == 0
    keyboard, terminal = pty.openpty()
    os.write(keyboard, f"{answer}\n".encode())
    process = subprocess.run(
        [sys.executable, "-m", "shelfsight", "import", "--complete", "one.csv"],
        cwd=tmp_path,
        env=shelfsight.environment(),
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    os.close(keyboard)
    os.close(terminal)
    error = process.stderr
    assert process.returncode == status, error
    assert "one.csv lacks 2 of 3 products. Archive them? [y/N]:" in error
    found = run(url, 'SELECT "Sku" FROM "ProductVariants" WHERE "ArchivedAt" IS NOT NULL')
    assert len(found) == archived


def test_a_file_in_no_known_format_is_refused_as_a_whole(shelfsight: Command) -> None:
    (shelfsight.folder / "other.csv").write_text("name,colour\nmug,blue\n")
    assert "has no column sku" in failed_plainly(shelfsight("import", "other.csv"), 2)
    assert "photo.jpg is not text" in failed_plainly(shelfsight("import", "photo.jpg"), 2)
    assert "No such file" in failed_plainly(shelfsight("import", "none.csv"), 2)
    assert "'Name' is not FIELD=COLUMN" in shelfsight("import", "--map", "Name", "x.csv").stderr


def test_a_photo_finds_its_product_first(shop: Command) -> None:
    done = shop("scan", "photo.jpg", "--threshold=-1")
    assert (done.returncode, done.stderr) == (0, "")
    header, _, best, *others = filter(str.strip, done.stdout.splitlines())
    assert header.split() == ["#", "SKU", "Title", "Score", "Image", "Text", "Sure", "Why"]
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
        "because",
        "color_score",
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
    assert "there are no products" in done.stderr
    add_product(url, "Mug")
    assert "Run: shelfsight backfill" in empty("scan", "--text=mug").stderr
