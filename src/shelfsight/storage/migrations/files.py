"""Reads the migrations, which are the numbered SQL files of this folder."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

from psycopg import sql

from shelfsight.postgres import statements


class Migration(NamedTuple):
    """A step from one version of the schema to the next: statements that one transaction runs."""

    version: int
    name: str
    statements: sql.SQL

    def __str__(self) -> str:
        return f"migration {self.version:04} ({self.name.replace('_', ' ')})"


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations, in the order in which they are applied."""
    texts = {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
        for file in files("shelfsight.storage.migrations").iterdir()
        if file.name.endswith(".sql")
    }
    found = []
    for name, text in sorted(texts.items()):
        number, _, what = name.partition("_")
        found.append(Migration(int(number), what, statements.trusted(text)))
    return tuple(found)
