"""The log as JSON, where no server or command is needed to see it."""

import json
import logging
import subprocess
import sys

import pytest

from shelfsight.telemetry import logs

SCRIPT = """
import threading
from shelfsight.telemetry import logs
logs.configure("json")
logs.REQUEST_ID.set("till-4")
logs.log_event("stored", "stored", products=3)
logs.write_at_once("\\nStopping when the products are stored")
threading.Thread(target=lambda: 1 / 0).start()
import warnings
warnings.warn("old", stacklevel=1)
raise ValueError("a bug\\nof two lines")
"""


def test_whatever_happens_is_one_object_a_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=False, capture_output=True, text=True
    )
    found = [json.loads(line) for line in done.stderr.splitlines()]
    by_level = {one["level"]: one for one in found if one["logger"] == "shelfsight"}
    assert (by_level["INFO"]["event"], by_level["INFO"]["products"]) == ("stored", 3)
    assert by_level["INFO"]["request_id"] == "till-4"
    assert by_level["WARNING"]["message"] == "Stopping when the products are stored"
    bugs = [one["exc_info"] for one in found if one["level"] == "CRITICAL"]
    assert [bug.splitlines()[-1] for bug in bugs] == [
        "ZeroDivisionError: division by zero",
        "of two lines",
    ]
    assert [one["logger"] for one in found].count("py.warnings") == 1
    assert done.returncode == 1


def test_as_text_a_warning_says_who_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text")
    logging.getLogger("shelfsight.serving").warning("worker %d has ended", 2)
    assert capsys.readouterr().err == "shelfsight: worker 2 has ended\n"
