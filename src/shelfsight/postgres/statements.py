"""Loads SQL from `.sql` files. In these files each statement follows a line `-- name: NAME`."""

import re
from importlib.resources import files

from psycopg import sql

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load(package: str, file: str) -> dict[str, sql.SQL]:
    """Load the statements of a package's file by name, ready for `.format(...)` and parameters."""
    _, *parts = _NAME.split(files(package).joinpath(file).read_text(encoding="utf-8"))
    return {name: trusted(text.strip()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def trusted(text: str) -> sql.SQL:
    """Use text as SQL without escaping it.

    Pass only text that is ours, that Postgres has returned, or from the owner's command line.
    """
    return sql.SQL(text)
