"""What `shelfsight backfill` prints while it runs and at its end, and what it stores."""

import os
import pty
import re
import shlex
import subprocess
import sys

import pytest

from tests.end_to_end.command import PASSWORD, PATIENCE, Command, Done
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost
from tests.end_to_end.shop_tables import add_product, create_tables, run, stored

TOTALS = (
    'SELECT COUNT(*) as total_embeddings, COUNT("ImageEmbedding") as image_count,'
    ' COUNT("TextEmbedding") as text_count, COUNT("CombinedEmbedding") as combined_count'
    ' FROM "ProductEmbeddings";'
)
BY_SOURCE = 'SELECT "SourceType", COUNT(*) as count FROM "ProductEmbeddings" GROUP BY "SourceType";'


@pytest.fixture(scope="module")
def shop(
    module_url: str, pictures: PictureHost, tmp_path_factory: pytest.TempPathFactory
) -> Command:
    """Eleven products: six with picture and text, three with text, one with picture, one empty."""
    shelfsight = command(
        module_url, tmp_path_factory.mktemp("shop"), ALLOW_PRIVATE_IMAGES=pictures.host
    )
    create_tables(module_url)
    mug, shirt = pictures.draw(1, 2)
    for number in range(6):
        add_product(module_url, f"Mug {number}", mug)
    for title in (
        "Плакат «Утро»",
        "ノート \N{SNOWMAN}\N{VARIATION SELECTOR-16}",
        "<b>Cap</b> &amp; bag",
    ):
        add_product(module_url, title)
    add_product(module_url, None, shirt)
    add_product(module_url, " ")
    return shelfsight


@pytest.fixture(scope="module")
def runs(shop: Command) -> list[Done]:
    """Run two batches of four with -v, then the command that this run suggests, then once more."""
    first = shop("backfill", "-v", "--max-batches=2", BATCH_SIZE="4")
    (named,) = re.findall(r"Go on with: .* shelfsight (.*)", first.stdout)
    return [
        first,
        shop(*shlex.split(named), BATCH_SIZE="4"),
        shop("backfill"),
    ]


@pytest.fixture
def again(shop: Command, runs: list[Done], copied_url: str, pictures: PictureHost) -> Command:
    """The shop as it is after these runs, for each test that runs again."""
    assert runs
    return command(copied_url, shop.folder, ALLOW_PRIVATE_IMAGES=pictures.host)


def test_the_header_says_how_it_will_run_and_where_without_the_password(runs: list[Done]) -> None:
    header = runs[0].stdout.partition("\n8 products to embed, in 2 batches\n")[0].splitlines()
    assert header[0] == "Configuration:"
    shown = dict(re.split(r":\s+", line.strip(), maxsplit=1) for line in header[1:])
    database = shown.pop("Database")
    assert re.fullmatch(r"postgresql://postgres@/file\d+", database)
    assert shown == {
        "Batch size": "4",
        "Max batches": "2",
        "Skip existing": "true",
        "Embedding": "models in this process (lite)",
        "Weights": "image 0.7, text 0.3",
    }


def test_each_batch_is_named_with_how_many_products_were_found(runs: list[Done]) -> None:
    for batch in ("1/2\n  Found 4", "2/2\n  Found 4"):
        assert f"Processing batch {batch} products to process\n" in runs[0].stdout
    assert "Processing batch 1/1\n  Found 3 products to process\n" in runs[1].stdout


def test_verbose_shows_each_products_content_steps_and_dimensions(
    runs: list[Done], pictures: PictureHost
) -> None:
    shown = runs[0].stdout + runs[1].stdout
    assert (
        "Processing: Mug 3\n"
        "    Content: Has text, Has image\n"
        f"    Processing image: {pictures.url('/1.png')}\n"
        "    Image embedding: 768 dimensions\n"
        '    Processing text: "Mug 3"\n'
        "    Text embedding: 1024 dimensions\n"
        "    Combined embedding: 768 dimensions\n"
        "    Stored embeddings (image, text, combined) for: Mug 3\n"
    ) in shown
    assert (
        "Processing: Плакат «Утро»\n"
        "    Content: Has text, No image\n"
        '    Processing text: "Плакат «Утро»"\n'
        "    Text embedding: 1024 dimensions\n"
        "    Using text embedding as combined\n"
        "    Stored embeddings (text, combined) for: Плакат «Утро»\n"
    ) in shown
    assert "    Using image embedding as combined\n    Stored embeddings (image, combined)" in shown
    assert "    Content: No text, No image\n    source failed (no_content)" in shown


def test_the_results_of_both_runs_add_up_to_the_shop(runs: list[Done]) -> None:
    blocks = [re.findall(r"- ([^:]+): ([\d.]+)", done.stdout) for done in runs[:2]]
    first, second = ({name: float(value) for name, value in block} for block in blocks)
    assert list(first) == [
        "Total products found",
        "Successfully embedded",
        "Skipped",
        "Failed",
        "Success rate",
        "Image embeddings",
        "Text embeddings",
        "Combined embeddings",
    ]
    total = {name: first[name] + second[name] for name in first}
    assert total.pop("Success rate") < 200
    assert list(total.values()) == [11, 10, 1, 0, 7, 9, 10]
    assert [done.returncode for done in runs] == [0, 0, 0]
    assert [done.stderr for done in runs] == ["", "", ""]


def test_it_names_the_command_that_embeds_the_remaining_products(runs: list[Done]) -> None:
    assert runs[0].stdout.endswith(
        " BATCH_SIZE=4 MODELS=lite shelfsight backfill -v --max-batches=2 --all\n"
    )
    assert "remain" not in runs[1].stdout


def test_a_run_with_nothing_to_do_says_so_and_still_prints_the_results(
    runs: list[Done],
) -> None:
    assert runs[2].stdout.partition("Nothing is due.\n\n")[2] == (
        "Results:\n"
        "  - Total products found: 0\n"
        "  - Successfully embedded: 0\n"
        "  - Skipped: 0\n"
        "  - Failed: 0\n"
        "  - Success rate: none, nothing was due\n"
        "Embedding breakdown:\n"
        "  - Image embeddings: 0\n"
        "  - Text embeddings: 0\n"
        "  - Combined embeddings: 0\n"
    )


@pytest.mark.usefixtures("runs")
def test_the_two_queries_of_the_readme_run_unchanged(module_url: str) -> None:
    assert run(module_url, TOTALS) == [(10, 7, 9, 10)]
    assert sorted(run(module_url, BY_SOURCE)) == [("image", 1), ("image_text", 6), ("text", 3)]


@pytest.mark.usefixtures("runs")
def test_a_row_says_what_it_was_made_from(module_url: str, pictures: PictureHost) -> None:
    row = stored(module_url)["Mug 3"]
    assert row["ImageUrl"] == pictures.url("/1.png")
    assert (row["ProductText"], row["SourceType"]) == ("Mug 3", "image_text")
    assert set(row["ModelVersions"]) == {"image", "text", "fusion", "text_fields"}
    assert stored(module_url)["<b>Cap</b> &amp; bag"]["ProductText"] == "Cap & bag"


def test_json_prints_one_object_a_line_and_the_result_last(again: Command) -> None:
    database = ("--database-url", again.environment()["DATABASE_URL"])
    lines = again.json(
        "backfill", "-v", "--no-skip-existing", *database, "--batch-size=4", "--max-batches=2"
    )
    events = [line["event"] for line in lines]
    assert events[:2] == ["configuration", "start"]
    assert sorted(events[2:-1]) == ["batch"] * 2 + ["product"] * 8 + ["stored"] * 4
    assert lines[1] == {"event": "start", "products": 8, "batches": 2}
    result = lines[-1]
    assert result["event"] == "result"
    assert (result["found"], result["remaining"], result["exit_status"]) == (8, 3, 0)
    assert result["go_on"].endswith(
        " MODELS=lite shelfsight backfill -v --no-skip-existing --database-url ..."
        " --batch-size=4 --max-batches=2 --json --all"
    )


def test_a_terminal_gets_a_live_bar_with_speed_and_the_results(again: Command) -> None:
    shown = on_a_terminal(again, "backfill", "--no-skip-existing", "--batch-size=4")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"Processing batch 3/3 \(3\) .* 11/11 [\d.]+ products/s", plain)
    assert "  - Successfully embedded: 10\r\n" in plain
    assert shown.endswith("\x1b[?25h") or shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


def test_a_dry_run_says_what_would_be_done_loads_no_model_and_writes_nothing(
    again: Command, copied_url: str
) -> None:
    before = stored(copied_url)
    # these models are not on disk, so loading them would fail the command
    done = again(
        "backfill", "--dry-run", "--no-skip-existing", "--models=siglip-qwen3", BATCH_SIZE="2"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "11 products due: 7 with pictures, 9 with text, 1 with neither\n"
        "A run would embed 6 of them in 3 batches. Dry run: nothing was embedded or stored.\n"
    ) in done.stdout
    assert stored(copied_url) == before


def test_a_reader_that_closes_early_ends_the_run_without_a_traceback(again: Command) -> None:
    command_line = [sys.executable, "-m", "shelfsight", "backfill", "-v", "--no-skip-existing"]
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(command_line)} --batch-size=1 --all | head -n 1"],
        cwd=again.folder,
        env=again.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Configuration:\n", "")


def on_a_terminal(shelfsight: Command, *arguments: str) -> str:
    """Run the command on a terminal 80 columns wide; return what it prints."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "shelfsight", *arguments],
        cwd=shelfsight.folder,
        env=shelfsight.environment(TERM="xterm-256color", COLUMNS="80", LINES="40"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := read_terminal(ours):
            shown += part
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert PASSWORD.encode() not in shown
    return shown.decode()


def read_terminal(terminal: int) -> bytes:
    """Read the next output; return b"" at the end of the command, where Linux raises OSError."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
