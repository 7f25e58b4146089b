"""The fuzzers by name, and what they found before: every finding is tried again in each run."""

import ast
import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import picture_addresses, picture_files, scan_forms, torch_weights

FOUND = Path(__file__).parent / "found"


@dataclass(frozen=True, slots=True)
class Target:
    """A fuzzer: a strategy for inputs, and a context that yields the function that checks one."""

    name: str
    inputs: st.SearchStrategy[Any]
    checker: Callable[[], AbstractContextManager[Callable[[Any], None]]]

    def findings(self) -> list[Any]:
        """Return the inputs that failed at some time. Each is a Python literal in a file."""
        files = sorted((FOUND / self.name).glob("*.txt"))
        return [ast.literal_eval(file.read_text(encoding="utf-8")) for file in files]

    def save(self, finding: object) -> Path:
        """Store an input that fails, so that it is tried from now on; return its file."""
        text = f"{finding!r}\n"
        path = FOUND / self.name / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


TARGETS = {
    name: Target(name, module.INPUTS, module.checker)
    for name, module in (
        ("pictures", picture_files),
        ("addresses", picture_addresses),
        ("forms", scan_forms),
        ("weights", torch_weights),
    )
}
