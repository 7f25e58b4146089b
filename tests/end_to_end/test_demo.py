"""`shelfsight demo` on a machine that has nothing yet."""

import re
from pathlib import Path

from tests.end_to_end.command import Command


def test_a_shop_is_drawn_embedded_and_found_again(tmp_path: Path, home_of_its_own: str) -> None:
    shelfsight = Command(tmp_path, SHELFSIGHT_HOME=home_of_its_own)
    done = shelfsight("demo")
    assert done.stderr == ""
    assert "total_embeddings | image_count | text_count | combined_count" in done.stdout
    assert " SourceType | count\n" in done.stdout
    first, among = re.findall(r"(\d+) of 10", done.stdout)
    assert int(first) >= 9
    assert int(among) == 10
    assert "  Your own database:  export DATABASE_URL=" in done.stdout
    assert done.returncode == 0
