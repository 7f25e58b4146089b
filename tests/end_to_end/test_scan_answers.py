"""Where a scan finds nothing, it says the true reason and what to do about it."""

from pathlib import Path

import pytest

from tests.end_to_end.command import Command
from tests.end_to_end.picture_host import PictureHost, draw, png
from tests.end_to_end.shop_tables import add_product, create_tables, run

FAILURES = "shelfsight failures"


pytestmark = pytest.mark.usefixtures("model_server")


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    path.write_bytes(png(draw(1)))
    return str(path)


def answer(shelfsight: Command, *arguments: str) -> str:
    done = shelfsight("scan", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_the_reason_follows_what_is_stored(
    shelfsight: Command, url: str, pictures: PictureHost, photo: str
) -> None:
    create_tables(url)
    assert "there are no products. Check DATABASE_URL" in answer(shelfsight, photo)

    add_product(url, "Mug", pictures.url("/missing.png"))
    said = answer(shelfsight, photo)
    assert said == "Nothing to find: no product has vectors yet. Run: shelfsight backfill --all\n"
    said = answer(shelfsight, photo, "--owner=nobody")
    assert said == "Nothing to find: no product has --owner nobody; leave that out\n"

    shelfsight("backfill", ALLOW_PRIVATE_IMAGES=pictures.host)  # stores a text, but no image
    said = answer(shelfsight, photo)
    assert said.startswith("Nothing to find: no product has an image vector, so no photo can match")
    assert FAILURES in said
    assert "--threshold" not in said

    run(url, 'UPDATE "ProductVariants" SET "UserId" = %s', ["kim"])
    assert "no product of --owner kim has an image vector" in answer(
        shelfsight, photo, "--owner=kim"
    )
    assert answer(shelfsight, "--text=bicycle", "--threshold=1").startswith("No match:")

    run(url, 'UPDATE "ProductEmbeddings" SET "ImageEmbedding" = array_fill(1, ARRAY[768])::vector')
    run(url, 'UPDATE "ProductEmbeddings" SET "TextEmbedding" = NULL')
    said = answer(shelfsight, "--text=bicycle")
    assert said.startswith("Nothing to find: no product has a text vector, so no words can match")
    assert "--threshold -1" in answer(shelfsight, photo, "--threshold=1")

    run(url, """UPDATE "ProductEmbeddings" SET "ModelVersions" = '{"image": "other@1"}'""")
    other = shelfsight("scan", photo)
    assert other.returncode == 1
    assert "embedded by other@1" in other.stderr


def test_calibrate_and_evaluate_say_what_they_need(
    shelfsight: Command, url: str, tmp_path: Path
) -> None:
    create_tables(url)
    done = shelfsight("calibrate")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("Too few pictures to calibrate with: 50 are needed.\n")
    done = shelfsight("evaluate", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("photos.csv: No such file or directory\n")
