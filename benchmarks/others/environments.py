"""An environment for each system, with what requirements/others.txt pins."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.others.compare import OURS, ROOT

FOLDER = ROOT / ".venv" / "others"
COMPUTES = {"numpy", "onnxruntime", "pgvector", "pillow", "psycopg", "psycopg-binary", "tokenizers"}
"""Of these each environment has the versions that ours has."""


def pinned() -> dict[str, list[str]]:
    """What each system's environment gets: a line of requirements/others.txt."""
    lines = (ROOT / "requirements" / "others.txt").read_text().splitlines()
    wanted = [line.split() for line in lines if line and not line.startswith("#")]
    return {first.partition("=")[0].partition("[")[0]: [first, *more] for first, *more in wanted}


def installed(systems: Iterable[str]) -> dict[str, Path]:
    """The Python of each of them that has one, ours first; says which have none."""
    there = {OURS: Path(sys.executable)}
    for system in systems:
        python = FOLDER / system / "bin" / "python"
        if python.exists():
            there[system] = python
        else:
            print(f"{system} is not installed: python -m benchmarks.others --install")
    return there


def install(system: str) -> None:
    """Make an environment with a system, and with our models and functions."""
    place = FOLDER / system
    if not (place / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
    lines = (ROOT / "requirements" / "constraints.txt").read_text().splitlines()
    exact = [line for line in lines if line.partition("==")[0] in COMPUTES]
    pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *pinned()[system], *exact, "--editable", f"{ROOT}[lite]"], check=True)
