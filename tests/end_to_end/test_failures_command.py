"""`failures` shows what failed, `retry` retries only that, `prune` deletes leftovers."""

import json
from datetime import datetime, timedelta

import pytest

from tests.end_to_end.command import Command, failed_plainly
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost, draw, png
from tests.end_to_end.shop_tables import add_product, create_tables, failures, run, stored

NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def tried(
    module_url: str, pictures: PictureHost, tmp_path_factory: pytest.TempPathFactory
) -> Command:
    """Six products, of which one succeeds and the others fail in four ways."""
    pictures.answers["/busy.png"] = lambda handler: handler.send_error(503)
    pictures.pictures["/page.png"] = b"<!doctype html><title>Not found</title>"
    create_tables(module_url)
    add_product(module_url, "Gone", pictures.url("/gone.png"))
    add_product(module_url, "Gone too", pictures.url("/too.png"))
    add_product(module_url, "Busy", pictures.url("/busy.png"))
    add_product(module_url, "Page", pictures.url("/page.png"))
    add_product(module_url, "Away", f"http://{NOBODY}/a.png")
    add_product(module_url, "Fine", *pictures.draw(1))
    shelfsight = command(
        module_url, tmp_path_factory.mktemp("shop"), ALLOW_PRIVATE_IMAGES="127.0.0.1"
    )
    assert shelfsight.result()["failures"] == {
        "http_404": 2,
        "http_503": 1,
        "not_an_image": 1,
        "connection_failed": 1,
    }
    return shelfsight


@pytest.fixture
def shop(tried: Command, copied_url: str) -> Command:
    """The same for each test."""
    return command(copied_url, tried.folder, ALLOW_PRIVATE_IMAGES="127.0.0.1")


def heal(pictures: PictureHost) -> None:
    """Have the host, and only that one, serve all pictures."""
    pictures.answers.clear()
    for path in ("/gone.png", "/too.png", "/busy.png"):
        pictures.pictures[path] = png(draw(2))


def retried(shelfsight: Command, *arguments: str) -> dict[str, object]:
    """Return the last line of `retry --json`."""
    done = shelfsight("retry", "--json", *arguments)
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    assert result["exit_status"] == done.returncode
    return result


def test_failures_are_shown_by_kind_with_counts_and_an_example(
    shop: Command, pictures: PictureHost
) -> None:
    done = shop("failures")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("http_404: 2 products, 2 attempts, the next from ")
    assert "not_an_image: 1 product, 1 attempt, the next when its content changes\n" in done.stdout
    assert "\n  such as Page (" in done.stdout
    assert f"\n    {pictures.url('/page.png')}: " in done.stdout
    kinds = {one["kind"]: one for one in shop.json("failures")}
    now = datetime.now().astimezone()
    waits = {
        kind: datetime.fromisoformat(one["next_attempt"]) - now
        for kind, one in kinds.items()
        if one["next_attempt"]
    }
    assert kinds["not_an_image"]["next_attempt"] is None
    assert waits["http_503"] < timedelta(minutes=6) < timedelta(hours=23) < waits["http_404"]
    assert kinds["connection_failed"]["example"]["title"] == "Away"
    assert NOBODY in kinds["connection_failed"]["example"]["message"]
    assert [one["kind"] for one in shop.json("failures", "--host", NOBODY)] == ["connection_failed"]


def test_the_products_of_a_kind_are_shown_one_by_one(shop: Command, pictures: PictureHost) -> None:
    done = shop("failures", "--kind", "http_404", "--limit=1")
    assert "404 Not Found" in done.stdout
    assert "1 of 2 products; more with --limit\n" in done.stdout
    found = shop.json("failures", "--kind", "http_404")
    assert {one["title"] for one in found} == {"Gone", "Gone too"}
    assert {one["host"] for one in found} == {pictures.host}
    assert shop("failures", "--kind", "none").stdout == "Nothing has failed like this.\n"
    assert shop.json("failures", "--kind", "none") == []


def test_retry_tries_again_at_once_what_failed_in_one_way_and_nothing_else(
    shop: Command, pictures: PictureHost, copied_url: str
) -> None:
    heal(pictures)
    run(copied_url, 'UPDATE "ProductVariants" SET "Title" = \'Finer\' WHERE "Title" = \'Fine\'')
    kinds = ("--kind", "http_503", "--kind", "http_404")
    done = shop("retry", *kinds, "--dry-run")
    assert done.stdout.splitlines()[-2].startswith("3 products due: 3 with pictures")
    assert len(failures(copied_url)) == 5
    result = retried(shop, "--kind", "http_503")
    assert (result["found"], result["image"], result["exit_status"]) == (1, 1, 0)
    assert failures(copied_url).keys() == {"Gone", "Gone too", "Page", "Away"}
    assert stored(copied_url)["Busy"]["ImageEmbedding"]
    assert stored(copied_url)["Finer"]["ProductText"] == "Fine"


def test_retry_tries_again_what_failed_at_one_host(shop: Command, copied_url: str) -> None:
    result = retried(shop, "--host", NOBODY)
    assert (result["found"], result["failures"]) == (1, {"connection_failed": 1})
    attempts = run(
        copied_url,
        'SELECT "Attempts" FROM shelfsight."EmbeddingFailures"'
        " WHERE \"Kind\" = 'connection_failed'",
    )
    assert attempts == [(2,)]


def test_retry_says_how_to_go_on_where_its_batches_are_not_enough(
    shop: Command, pictures: PictureHost
) -> None:
    heal(pictures)
    limits = "--batch-size=1 --max-batches=1 --kind=http_404"
    done = shop("retry", *limits.split())
    assert "1 products remain. Go on with: " in done.stdout
    assert f" MODELS=lite shelfsight retry {limits} --all\n" in done.stdout


def test_retry_of_all_leaves_what_cannot_be_healed(
    shop: Command, copied_url: str, pictures: PictureHost
) -> None:
    heal(pictures)
    result = retried(shop)
    assert (result["found"], result["image"]) == (5, 3)
    assert failures(copied_url).keys() == {"Page", "Away"}


def test_prune_deletes_what_is_left_of_archived_products_once_it_was_told(
    shop: Command, copied_url: str
) -> None:
    run(copied_url, 'ALTER TABLE "ProductVariants" ADD "ArchivedAt" timestamptz')
    assert shop("prune").stdout == "Nothing is left over.\n"
    run(
        copied_url,
        'UPDATE "ProductVariants" SET "ArchivedAt" = now() WHERE "Title" IN (\'Gone\', \'Page\')',
    )
    counts = {"embeddings": 2, "failures": 2, "confirmed_photos": 0, "scan_means": 0, "runs": 0}
    assert shop.json("prune", "--dry-run") == [{**counts, "dry_run": True}]
    done = shop("prune")
    assert done.stdout.splitlines()[0] == "Deleted:"
    assert '  2 in "ProductEmbeddings": rows of products that are gone or archived' in done.stdout
    assert stored(copied_url).keys() == {"Gone too", "Busy", "Away", "Fine"}
    assert run(copied_url, 'SELECT count(*) FROM "ProductVariants"') == [(6,)]
    assert shop.json("prune") == [{**dict.fromkeys(counts, 0), "dry_run": False}]


def test_a_database_that_is_not_prepared_says_to_run_init(shelfsight: Command) -> None:
    assert "shelfsight init" in failed_plainly(shelfsight("failures"), 1)


def test_where_nothing_has_failed_nothing_is_shown_nor_tried(shelfsight: Command, url: str) -> None:
    create_tables(url)
    add_product(url, "New")
    assert shelfsight("failures").stdout == "Nothing has failed.\n"
    done = shelfsight("retry")
    assert done.returncode == 0
    assert "Nothing is due.\n" in done.stdout
    assert stored(url) == {}
