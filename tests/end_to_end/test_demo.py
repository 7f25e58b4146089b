"""`shelfsight demo` on a fresh machine."""

import re
import signal
from pathlib import Path

import pytest

from tests.end_to_end.command import PATIENCE, Command, address_of
from tests.integration.scan_server import scan, skus


@pytest.fixture
def shelfsight(tmp_path: Path, home_of_its_own: str) -> Command:
    return Command(tmp_path, SHELFSIGHT_HOME=home_of_its_own)


def test_a_shop_is_drawn_embedded_found_and_then_served(shelfsight: Command) -> None:
    done = shelfsight("demo")
    assert done.stderr == ""
    assert "total_embeddings | image_count | text_count | combined_count" in done.stdout
    assert " SourceType | count\n" in done.stdout
    first, among = re.findall(r"(\d+) of 10", done.stdout)
    assert int(first) >= 9
    assert int(among) == 10
    assert "  Your own database:  export DATABASE_URL=" in done.stdout
    assert done.returncode == 0

    with shelfsight.started("demo", "--serve", "--port", "0") as process:
        output, url = address_of(process)
        assert "Nothing is due." in output
        (photo,) = (line.split()[4] for line in output.splitlines() if " are at " in line)
        answer = scan(url, imageUrl=photo)
        assert skus(answer)[0] == photo.rpartition("/")[2].removesuffix(".jpg")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
