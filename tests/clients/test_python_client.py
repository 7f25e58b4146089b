"""Our own client for Python gets what the server answers, in both its forms."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.clients.comparison import HERE, PACKAGES, answer_of
from tests.integration.scan_server import in_png, two_things
from tests.shop import picture

SOURCE = HERE.parents[1] / "clients" / "python"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in (2, 3):
        (folder / f"{number}.png").write_bytes(in_png(picture(number)))
    (folder / "table.png").write_bytes(in_png(two_things()))
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def python() -> str:
    return str(PACKAGES / "bin" / "python")


@pytest.mark.parametrize("form", ["sync", "async"])
def test_it_scans(form: str, python: str, site: str, photos: Path) -> None:
    script = HERE / "shelfsight_scans.py"
    answer = answer_of(python, "-W", "error", str(script), form, site, str(photos))
    assert answer == {
        "path": ["sku-2"],
        "bytes": ["sku-3"],
        "several": [["sku-2"], ["sku-3"]],
        "together": 1,
        "things": [1, 1],
        "text": ["sku-4"],
        "filtered": ["sku-3"],
        "page": "https://shop.test/sku-2",
        "similar": 2,
        "feedback": "right",
        "ready": True,
        "events": ["end", "photo", "progress"],
        "streamed": [["sku-2"], ["sku-3"]],
        "failed": [[415, "not_an_image"], [404, "product_unknown"], [422, "bad_request"]],
    }


def test_the_examples_of_its_page_run(python: str, site: str, photos: Path) -> None:
    for name in ("photo.jpg", "front.jpg", "back.jpg"):
        (photos / name).write_bytes((photos / "2.png").read_bytes())
    page = (SOURCE / "README.md").read_text().replace("https://scan.shop.example", site)
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    outputs = [
        subprocess.run(
            [python, "-c", code], cwd=photos, capture_output=True, text=True, check=True
        ).stdout
        for code in examples
    ]
    assert "Product 2 2.0" in outputs[0]
    assert outputs[0].splitlines()[-1].startswith("415 not_an_image")
    assert len(outputs) == 2


def test_its_types_are_those_of_the_server(python: str, site: str) -> None:
    with urlopen(f"{site}/openapi.json") as response:
        schemas: dict[str, Any] = json.load(response)["components"]["schemas"]
    keys = answer_of(python, str(HERE / "response_types.py"))
    served = {
        "Match": "MatchResponse",
        "Matches": "MatchesResponse",
        "PhotoResult": "PhotoResultResponse",
        "ScanResponse": "ScanResponse",
        "Progress": "ScanProgress",
        "FeedbackResponse": "FeedbackResponse",
        "Readiness": "Readiness",
        "ReadinessProblem": "HealthProblem",
        "Problem": "ProblemDetails",
        "Filters": "FilterBody",
        "Weights": "WeightBody",
        "Box": "BoxResponse",
    }
    assert keys == {ours: sorted(schemas[theirs]["properties"]) for ours, theirs in served.items()}


def test_its_types_hold(python: str) -> None:
    from mypy import api

    checked = api.run(
        ["--strict", "--config-file=", f"--python-executable={python}", "-p", "shelfsight_client"]
    )
    assert checked[2] == 0, checked[0]
