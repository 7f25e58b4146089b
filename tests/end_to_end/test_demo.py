"""`shelfsight demo` on a fresh machine."""

import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from shelfsight.demo.next_steps import next_steps
from shelfsight.settings import Settings
from tests.end_to_end.command import PATIENCE, Command, address_of
from tests.integration.scan_server import scan, skus


@pytest.fixture
def shelfsight(tmp_path: Path, home_of_its_own: str) -> Command:
    return Command(tmp_path, SHELFSIGHT_HOME=home_of_its_own)


def test_a_shop_is_drawn_embedded_found_and_then_served(
    shelfsight: Command, home_of_its_own: str
) -> None:
    done = shelfsight("demo")
    assert done.stderr == ""
    assert "total_embeddings | image_count | text_count | combined_count" in done.stdout
    assert " SourceType | count\n" in done.stdout
    first, among = re.findall(r"(\d+) of 10", done.stdout)
    assert int(first) >= 9
    assert int(among) == 10
    assert done.returncode == 0
    run_the_next_steps(shelfsight, done.stdout)

    drawn = Path(home_of_its_own) / "demo" / "7"
    again = shelfsight("demo", "--draw", str(drawn))
    assert "0 pictures drawn, the others were there" in again.stdout
    assert f"{drawn}/products.csv" in again.stdout
    refused = shelfsight("demo", "--draw", "/proc/none")
    assert "--draw /proc/none cannot be made" in refused.stderr
    assert refused.returncode == 2

    with shelfsight.started("demo", "--serve", "--port", "0") as process:
        output, url = address_of(process)
        assert "Nothing is due." in output
        (photo,) = (line.split()[4] for line in output.splitlines() if " are at " in line)
        answer = scan(url, imageUrl=photo)
        assert skus(answer)[0] == photo.rpartition("/")[2].removesuffix(".jpg")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0


def run_the_next_steps(shelfsight: Command, output: str) -> None:
    """Run the lines that the demo suggests, each in a shell that has no PATH to the program."""
    advice = output.partition("\nWhat next?")[2].splitlines()
    lines = [line[2:] for line in advice if line.startswith("  ")]
    assert [shlex.split(line)[3] for line in lines] == ["import", "backfill", "scan", "doctor"]
    for line in lines:
        done = subprocess.run(
            ["sh", "-c", line],
            check=False,
            cwd="/",
            env=shelfsight.environment(PATH="/usr/bin:/bin"),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode in ({0, 3} if " backfill " in line else {0}), done
    assert "WRONG" not in done.stdout


def test_the_next_steps_do_not_import_the_demo_into_the_shops_own_database(tmp_path: Path) -> None:
    settings = Settings.model_construct(database_url="postgresql://shop", shelfsight_home=None)
    said = next_steps(settings, tmp_path / "products.csv", tmp_path / "photo.jpg")
    assert " import " not in said
    assert " init\n" in said
