"""A preset: the SELECTs through which a shop's catalogue is read, and their options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from psycopg import sql

from shelfsight.errors import PresetError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection

TABLES = ("Products", "ProductVariants", "ProductImages")
"""What a preset may define, in the order in which it is made."""

_NEEDED = ("ProductVariants", "ProductImages")
_KNOWN = {"about", "recognise", "options", "changes", *TABLES}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Option(NamedTuple):
    """An option of a preset, which `--set NAME=VALUE` sets.

    The default may depend on the database. It is None if the option must be given, and "" if it
    may be left out. A `text` is a value; `column` and `table` are names in the shop.
    """

    name: str
    kind: Literal["text", "column", "table"]
    default: str | None
    meaning: str


class Change(NamedTuple):
    """A table whose changes may make products due.

    `table` is its name as SQL. `columns` are those that count, divided by blanks; all if it is
    empty. `variants` is the SELECT of the ids of the variants that a row `changed` belongs to.
    """

    table: str
    columns: str
    variants: str


@dataclass(frozen=True)
class Preset:
    """A preset by its name, or by the path of its file, with its named statements."""

    name: str
    statements: Mapping[str, str]

    @cached_property
    def about(self) -> list[str]:
        """What the file says of itself. The first line names the platform and its version."""
        lines = self.statements.get("about", f"-- {Path(self.name).name}").splitlines()
        return [line.lstrip("- ") for line in lines]

    @property
    def reads_tables(self) -> bool:
        """Whether the shop's own tables have the names that are read, so that no view is needed."""
        return not any(table in self.statements for table in TABLES)

    def recognised_by(self, connection: Connection) -> frozenset[tuple[str, str]]:
        """Return the tables and columns that prove that this preset fits; empty if it does not."""
        if "recognise" not in self.statements:
            return frozenset()
        found = connection.execute(
            statements.trusted(_PROOFS.format(recognise=self.statements["recognise"]))
        ).fetchall()
        is_whole = all(is_there for _, _, is_there in found)
        return frozenset((table, column) for table, column, _ in found if is_whole)

    def options(self, connection: Connection) -> list[Option]:
        """Return the options, with the defaults that fit this database."""
        query = self.statements.get("options")
        if query is None:
            return []
        return [Option(*row) for row in connection.execute(statements.trusted(query)).fetchall()]

    def values(
        self,
        connection: Connection,
        given: Mapping[str, str],
        before: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, str]:
        """Return the value of each option: the given one, the one from before, or its default.

        Raises:
            PresetError: an option is unknown, or a value is missing.
        """
        options = {option.name: option for option in self.options(connection)}
        for name in given.keys() - options.keys():
            known = f"it has: {', '.join(options)}" if options else "it has none"
            raise PresetError(f"{self.name} has no option {name!r}; {known}")
        values = {
            name: given.get(name, before.get(name, option.default))
            for name, option in options.items()
        }
        for name, value in values.items():
            if value is None:
                raise PresetError(
                    f"{self.name} needs an option: --set {name}=... ({options[name].meaning})"
                )
        return {name: value for name, value in values.items() if value is not None}

    def select(self, table: str, connection: Connection, values: Mapping[str, str]) -> str:
        """Return the SELECT of a table, with the values of the options in place."""
        kinds = {option.name: option.kind for option in self.options(connection)}

        def filled(match: re.Match[str]) -> str:
            name = match[1]
            return _as_sql(kinds[name], values[name]) if name in kinds else match[0]

        return _PLACEHOLDER.sub(filled, self.statements[table].rstrip("; \n"))

    def changes(self, connection: Connection, values: Mapping[str, str]) -> list[Change]:
        """Return the tables whose changes may make products due; `[]` if the file names none."""
        if "changes" not in self.statements:
            return []
        query = self.select("changes", connection, values)
        return [Change(*row) for row in connection.execute(statements.trusted(query)).fetchall()]


_PROOFS = """
    SELECT r."table", r."column", EXISTS (
      SELECT FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(r."table"))
        AND attname = r."column" AND NOT attisdropped)
    FROM ({recognise}) AS r ("table", "column")
"""
"""An SQL query for the tables and columns that prove a preset, each with whether it is there."""


def _as_sql(kind: str, value: str) -> str:
    if kind == "text":
        return sql.Literal(value).as_string()
    if not value:
        return "NULL"
    return sql.Identifier(*(value.split(".") if kind == "table" else [value])).as_string()


def shipped() -> list[str]:
    """Return the names of the presets that come with shelfsight."""
    names = [file.name for file in files("shelfsight.catalog.presets").iterdir()]
    return sorted(name.removesuffix(".sql") for name in names if name.endswith(".sql"))


def load(name: str) -> Preset:
    """Load a preset by its name, or from a file of your own.

    Raises:
        PresetError: there is no such preset or file, or the file lacks a SELECT.
    """
    if name in shipped():
        file = files("shelfsight.catalog.presets").joinpath(f"{name}.sql")
        return Preset(name, statements.parse(file.read_text(encoding="utf-8")))
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PresetError(
            f"there is no preset {name!r} ({', '.join(shipped())}), and no file of that name"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PresetError(f"{name} cannot be read as SQL: {error}") from error
    return _checked(Preset(name, statements.parse(text)))


def _checked(preset: Preset) -> Preset:
    for name in preset.statements.keys() - _KNOWN:
        raise PresetError(
            f"{preset.name}: {name!r} is not one of {', '.join(sorted(_KNOWN))}; change the line"
            f" `-- name: {name}`"
        )
    for table in _NEEDED:
        if table not in preset.statements:
            raise PresetError(
                f"{preset.name} has no SELECT for {table}: put it after a line `-- name: {table}`"
            )
    return preset
