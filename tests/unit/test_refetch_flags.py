"""`--refetch` and the flags that it cannot be together with, before any database is asked."""

from io import StringIO

import pytest
from click.testing import CliRunner

from shelfsight.backfill.progress import LineProgress
from shelfsight.cli.main import shelfsight
from shelfsight.records import Due


@pytest.mark.parametrize(
    ("flag", "variables"),
    [
        ("--missing=image", {}),
        ("--retry-failed", {}),
        ("--no-skip-existing", {}),
        (None, {"SKIP_EXISTING": "false"}),
        ("--join", {}),
    ],
)
def test_flags_that_contradict_a_refetch_are_refused_in_a_line_that_names_both(
    monkeypatch: pytest.MonkeyPatch, flag: str | None, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    arguments = ["backfill", "--refetch", *([flag] if flag else [])]
    done = CliRunner().invoke(shelfsight, arguments, env=variables)
    assert done.exit_code == 2
    *_, line = done.output.splitlines()
    assert line.startswith("Error: --")
    assert (flag or "SKIP_EXISTING=false").partition("=")[0] in line
    assert "out" in line


def test_a_dry_run_says_how_many_stored_images_would_be_asked_for_again() -> None:
    out = StringIO()
    due = Due(products=7, with_picture=6, with_text=7, with_neither=0, with_image=5)
    LineProgress(out).dry_run(due, 7, 1)
    assert "The pictures of 5 stored images would be asked for again." in out.getvalue()
