"""What a run shows ends with its results, whatever its threads still have to say."""

import json
from io import StringIO

import pytest

from shelfsight.backfill.progress import JsonProgress, LineProgress
from shelfsight.backfill.report import Report


@pytest.mark.parametrize("kind", [LineProgress, JsonProgress])
def test_a_batch_that_is_read_after_the_end_is_not_named(
    kind: type[LineProgress | JsonProgress],
) -> None:
    out = StringIO()
    progress = kind(out)
    progress.start(20, 2)
    progress.batch(1, 10)
    progress.finish(Report(found=10, embedded=10, due=20), "shelfsight backfill")
    shown = out.getvalue()
    progress.batch(2, 10)
    assert out.getvalue() == shown


def test_the_result_is_the_last_line_of_json() -> None:
    out = StringIO()
    progress = JsonProgress(out)
    progress.finish(Report())
    progress.notify("too late")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["result"]
