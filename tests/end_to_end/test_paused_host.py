"""A picture host that always fails is paused, and the output names it."""

from pathlib import Path

from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost
from tests.end_to_end.shop_tables import add_product, create_tables, failures, stored

NOBODY = "127.0.0.1:1"


def test_a_paused_host_is_named_during_the_run_and_again_at_its_end(
    url: str, tmp_path: Path, pictures: PictureHost
) -> None:
    create_tables(url)
    [good] = pictures.draw(1)
    add_product(url, "Mug", good)
    for number in range(7):
        add_product(url, f"Cup {number}", f"http://{NOBODY}/{number}.png")
    shelfsight = command(url, tmp_path, ALLOW_PRIVATE_IMAGES=f"{pictures.host},{NOBODY}")
    done = shelfsight("backfill", "--host-concurrency", "4")
    assert done.returncode == 3
    assert done.stdout.count(f"{NOBODY} is paused after 4 failures in a row") == 1
    in_the_end = f"Paused hosts, whose pictures are tried again later:\n  - {NOBODY}: 3\n"
    assert in_the_end in done.stdout
    kinds = [kind for _, kind, _ in failures(url).values()]
    assert sorted(kinds) == ["connection_failed"] * 4 + ["host_paused"] * 3
    assert stored(url)["Mug"]["ImageEmbedding"]
