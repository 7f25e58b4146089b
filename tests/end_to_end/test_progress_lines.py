"""The lines of a backfill follow what is stored, however far ahead it reads and fetches."""

import re
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

import pytest

from tests.end_to_end.command import PATIENCE, Command
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost, draw, png, send
from tests.end_to_end.shop_tables import add_product, create_tables, run, stored

SECRETS = "?X-Amz-Signature=hush"


@pytest.fixture
def shop(url: str, tmp_path: Path, pictures: PictureHost) -> Command:
    create_tables(url)
    return command(url, tmp_path, ALLOW_PRIVATE_IMAGES=pictures.host)


def test_no_line_comes_before_its_products_are_in_the_database(
    shop: Command, url: str, pictures: PictureHost
) -> None:
    """The pictures of each batch are sent once the line of that batch was read."""
    gates = [Event() for _ in range(3)]

    def answer(number: int, handler: BaseHTTPRequestHandler) -> None:
        gates[number // 2].wait(PATIENCE)
        send(handler, png(draw(number)))

    ids = sorted(add_product(url, f"Mug {number}") for number in range(6))
    for number, id_ in enumerate(ids):
        path = f"/slow-{number}.png"
        pictures.answers[path] = lambda handler, number=number: answer(number, handler)
        run(
            url,
            'INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl") VALUES (%s, %s)',
            [id_, pictures.url(path)],
        )
    with shop.started("backfill", "--all", "--batch-size=2") as process:
        assert process.stdout is not None
        named: list[int] = []
        for line in process.stdout:
            if batch := re.match(r"Processing batch (\d)/3", line):
                named.append(int(batch[1]))
                assert len(stored(url)) >= 2 * (named[-1] - 1)
                gates[named[-1] - 1].set()
            if done := re.match(r"  (\d) of 6 products stored, .* products/s", line):
                assert len(stored(url)) >= int(done[1])
        assert process.wait(PATIENCE) == 0
    assert named == [1, 2, 3]


def test_the_summary_says_how_long_it_took_and_what_to_do_next(shop: Command, url: str) -> None:
    add_product(url, "Mug")
    out = shop("backfill", "--all", "--models=lite").stdout
    assert re.search(r"\nBackfill completed in [\d.]+ s, [\d.]+ products/s\nResults:\n", out)
    assert out.endswith(
        "\nScans with words should now find matches. Try:"
        " shelfsight scan --text WORDS --models=lite\n"
    )


def test_verbose_names_each_picture_without_secrets_and_says_that_scans_find_matches(
    shop: Command, url: str, pictures: PictureHost
) -> None:
    (address,) = pictures.draw(1)
    pictures.pictures[f"/1.png{SECRETS}"] = pictures.pictures["/1.png"]
    add_product(url, "A mug", address + SECRETS, description="of fired clay, " * 10)
    out = shop("backfill", "-v").stdout
    assert "hush" not in out
    assert (
        "\nProcessing: A mug\n"
        "    Content: Has text, Has image\n"
        f"    Processing image: {address}\n"
        "    Image embedding: 768 dimensions\n"
        '    Processing text: "A mug. of fired clay, of fired clay, of fired clay, of fired..."\n'
    ) in out
    assert out.endswith(
        "\nYour quick scans should now find matches. Try: MODELS=lite shelfsight scan photo.jpg\n"
    )


def test_retry_without_a_limit_tries_all(shop: Command, url: str, pictures: PictureHost) -> None:
    addresses = pictures.draw(*range(5))
    kept = pictures.pictures.copy()
    pictures.pictures.clear()
    for number, address in enumerate(addresses):
        add_product(url, f"Mug {number}", address)
    shop("backfill", "--all")
    pictures.pictures.update(kept)
    limited = shop("retry", "--dry-run", "--batch-size=1", "--max-batches=2")
    assert "A run would embed 2 of them" in limited.stdout
    shop("retry", "--batch-size=1")
    ((images,),) = run(url, 'SELECT count("ImageEmbedding") FROM "ProductEmbeddings"')
    assert images == 5
