"""Loads SQL from `.sql` files. In these files each statement follows a line `-- name: NAME`."""

import re
from importlib.resources import files

from psycopg import sql

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load(package: str, file: str) -> dict[str, sql.SQL]:
    """Load the statements of a package's file by name, ready for `.format(...)` and parameters."""
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    return {name: trusted(statement) for name, statement in parse(text).items()}


def parse(text: str) -> dict[str, str]:
    """Return the statements of a file's text by name. What precedes the first one is left out."""
    _, *parts = _NAME.split(text)
    return {name: part.strip() for name, part in zip(parts[::2], parts[1::2], strict=True)}


def trusted(text: str) -> sql.SQL:
    """Use text as SQL without escaping it.

    Pass only text that is ours, that Postgres has returned, or from the owner's command line.
    """
    return sql.SQL(text)
