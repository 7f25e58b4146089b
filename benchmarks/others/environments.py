"""Virtual environments for the other systems, with the versions of requirements/others.txt."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.others.compare import OURS, ROOT

FOLDER = ROOT / ".venv" / "others"
SHARED_PACKAGES = {
    "numpy",
    "onnxruntime",
    "pgvector",
    "pillow",
    "psycopg",
    "psycopg-binary",
    "tokenizers",
}
"""Packages that every environment has in the same version as ours."""


def pinned() -> dict[str, list[str]]:
    """Return the requirements of each system: a line of requirements/others.txt."""
    lines = (ROOT / "requirements" / "others.txt").read_text().splitlines()
    wanted = [line.split() for line in lines if line and not line.startswith("#")]
    return {first.partition("=")[0].partition("[")[0]: [first, *more] for first, *more in wanted}


def installed(systems: Iterable[str]) -> dict[str, Path]:
    """Return the Python of each installed system, ours first; print which are not installed."""
    interpreters = {OURS: Path(sys.executable)}
    for system in systems:
        python = FOLDER / system / "bin" / "python"
        if python.exists():
            interpreters[system] = python
        else:
            print(f"{system} is not installed: python -m benchmarks.others --install")
    return interpreters


def install(system: str) -> None:
    """Create the environment of a system and install the system and shelfsight in it."""
    environment = FOLDER / system
    if not (environment / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    lines = (ROOT / "requirements" / "constraints.txt").read_text().splitlines()
    exact = [line for line in lines if line.partition("==")[0] in SHARED_PACKAGES]
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *pinned()[system], *exact, "--editable", f"{ROOT}[lite]"], check=True)
