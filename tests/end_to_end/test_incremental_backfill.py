"""What a second run embeds again, what it only recombines, and what it leaves unchanged."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.command import Command
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost
from tests.end_to_end.shop_tables import add_product, create_tables, run, stored

HALF = 2e-4
"""How far a number of a unit vector may be from the same number after half precision, twice."""


@pytest.fixture(scope="module")
def embedded(
    module_url: str,
    pictures: PictureHost,
    model_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Command:
    """Six embedded products: A, B and C with one picture each, one with four, two with text."""
    shelfsight = served(module_url, tmp_path_factory.mktemp("shop"), pictures, model_server)
    create_tables(module_url)
    urls = pictures.draw(1, 2, 3, 4)
    for title, url in zip("ABC", urls, strict=False):
        add_product(module_url, title, url)
    add_product(module_url, "Several", *urls)
    add_product(module_url, "Edited")
    add_product(module_url, "Priced")
    # two products a page, so that the picture that A shares is needed on two pages
    assert shelfsight.result("--batch-size=2")["embedded"] == 6
    return shelfsight


@pytest.fixture
def shop(embedded: Command, copied_url: str, pictures: PictureHost, model_server: str) -> Command:
    """The same for each test."""
    return served(copied_url, embedded.folder, pictures, model_server)


def served(url: str, folder: Path, pictures: PictureHost, model_server: str) -> Command:
    return command(
        url, folder, ALLOW_PRIVATE_IMAGES=pictures.host, EMBEDDING_SERVER_URL=model_server
    )


def vector(url: str, title: str, column: str) -> np.ndarray:
    return np.array(json.loads(stored(url)[title][column]))


@pytest.mark.usefixtures("shop")
def test_an_address_is_fetched_once_in_a_run_though_pages_share_it(pictures: PictureHost) -> None:
    assert pictures.asked["/1.png"] == 1
    assert pictures.asked["/4.png"] == 0


def test_an_edited_title_is_embedded_again_and_a_price_is_not(
    shop: Command, copied_url: str
) -> None:
    before = stored(copied_url)
    run(copied_url, 'UPDATE "ProductVariants" SET "Price" = 9 WHERE "Title" = \'Priced\'')
    run(
        copied_url,
        'UPDATE "ProductVariants" SET "Description" = \'A mug\' WHERE "Title" = \'Edited\'',
    )
    done = shop("backfill", "-v", "--all")
    assert "1 products to embed, in 1 batches\n" in done.stdout
    assert "Stored embeddings (text, combined) for: Edited\n" in done.stdout
    after = stored(copied_url)
    assert after["Edited"]["ProductText"] != before["Edited"]["ProductText"]
    assert after["Edited"]["TextEmbedding"] != before["Edited"]["TextEmbedding"]
    assert after["Edited"]["Id"] == before["Edited"]["Id"]
    assert after["Priced"] == before["Priced"]


def test_new_words_embed_a_text_alone_and_fetch_no_picture(
    shop: Command, copied_url: str, pictures: PictureHost
) -> None:
    before, asked = stored(copied_url)["B"], pictures.asked.copy()
    run(
        copied_url,
        'UPDATE "ProductVariants" SET "Description" = \'A jug\' WHERE "Title" = \'B\'',
    )
    result = shop.result()
    counts = [result[name] for name in ("found", "embedded", "image", "text", "combined")]
    assert counts == [1, 1, 0, 1, 1]
    assert pictures.asked == asked
    after = stored(copied_url)["B"]
    assert after["ImageEmbedding"] == before["ImageEmbedding"]
    assert after["TextEmbedding"] != before["TextEmbedding"]
    assert after["CombinedEmbedding"] != before["CombinedEmbedding"]


def test_other_weights_combine_anew_what_is_stored_and_fetch_and_embed_nothing(
    shop: Command, copied_url: str, pictures: PictureHost
) -> None:
    asked = pictures.asked.copy()
    done = shop("backfill", "--image-weight=1", TEXT_WEIGHT="0")
    assert "Weights:       image 1, text 0\n" in done.stdout
    assert "Nothing is due.\n" in done.stdout
    assert "  - Combined anew from stored vectors: 6\n" in done.stdout
    assert pictures.asked == asked
    combined = vector(copied_url, "A", "CombinedEmbedding")
    assert combined == pytest.approx(vector(copied_url, "A", "ImageEmbedding"), abs=HALF)


def test_skip_existing_false_embeds_all_again_and_keeps_one_row_a_product(
    shop: Command, copied_url: str, pictures: PictureHost
) -> None:
    before, asked = stored(copied_url), pictures.asked["/1.png"]
    result = shop.result(SKIP_EXISTING="false")
    assert result["found"] == result["embedded"] == len(before)
    assert pictures.asked["/1.png"] == asked + 1
    after = stored(copied_url)
    assert {t: row["Id"] for t, row in after.items()} == {t: r["Id"] for t, r in before.items()}
    assert all(after[title]["UpdatedAt"] > row["UpdatedAt"] for title, row in before.items())


def test_images_per_product_takes_the_mean_of_the_first_ones_and_touches_no_other_product(
    shop: Command, copied_url: str, pictures: PictureHost
) -> None:
    assert vector(copied_url, "Several", "ImageEmbedding") == pytest.approx(
        vector(copied_url, "A", "ImageEmbedding"), abs=1e-5
    )
    result = shop.result(IMAGES_PER_PRODUCT="3")
    assert (result["found"], result["image"]) == (1, 1)
    assert pictures.asked["/4.png"] == 0
    mean = sum(vector(copied_url, title, "ImageEmbedding") for title in "ABC")
    mean /= np.linalg.norm(mean)
    assert vector(copied_url, "Several", "ImageEmbedding") == pytest.approx(mean, abs=HALF)


def test_missing_finds_the_products_that_could_have_a_vector_and_do_not(
    shop: Command, copied_url: str, pictures: PictureHost
) -> None:
    late = ("--where", "\"Title\" = 'Late'")
    add_product(copied_url, "Late", pictures.url("/late.png"))
    result = shop.result(*late)
    assert (result["found"], result["image"], result["failures"]) == (1, 0, {"http_404": 1})
    pictures.pictures["/late.png"] = pictures.pictures["/1.png"]
    result = shop.result("--missing=image", *late)
    assert (result["found"], result["image"]) == (1, 1)
    assert run(copied_url, 'SELECT count(*) FROM shelfsight."EmbeddingFailures"') == [(0,)]
