"""Creates, replaces and drops the views through which the catalogue is read."""

from collections.abc import Mapping
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from shelfsight.catalog.views import columns, content
from shelfsight.catalog.views.columns import QUERIES, Column
from shelfsight.catalog.views.preset import TABLES, Preset
from shelfsight.errors import SchemaError
from shelfsight.postgres.connection import Connection
from shelfsight.postgres.session import OWN_SCHEMA, search_first, search_no_longer
from shelfsight.postgres.statements import trusted

_NO_PRODUCTS = 'SELECT NULL::text AS "Id" WHERE false'
"""The SELECT of `"Products"` where a preset has none: a table of the shop that has this name must
not be read."""


class _Existing(NamedTuple):
    """What the schema `shelfsight` has under the name of a view."""

    kind: str
    is_ours: bool
    body: str | None
    columns: str


class _View(NamedTuple):
    """A view to be made: the SELECT behind it, and its columns."""

    table: str
    select: str
    found: list[Column]

    @property
    def columns(self) -> str:
        """The columns as SQL, such as `"Id" integer, "Title" text`."""
        listed = [f"{_quoted(column.name)} {column.type}" for column in self.found]
        return ", ".join(listed)

    def statements(self) -> list[str]:
        """Return the statements that create the view."""
        parts = {
            "table": sql.Identifier(self.table),
            "columns": trusted(self.columns),
            "body": sql.Literal(f"\n{self.select}\n"),
        }
        return [QUERIES[name].format(**parts).as_string() for name in ("function", "view")]


def statements(connection: Connection, preset: Preset, values: Mapping[str, str]) -> list[str]:
    """Return the statements that create the views of a preset, and execute none.

    Raises:
        PresetError: Postgres refuses a SELECT, or a column is not as it must be.
    """
    return [line for view in _views(connection, preset, values) for line in view.statements()]


def create(connection: Connection, preset: Preset, values: Mapping[str, str]) -> list[str]:
    """Create the views of a preset, replace those that differ, and drop those that it lacks.

    Afterwards this transaction finds the views first.

    Returns:
        What was done, as lines for people; `[]` if all views are as they should be.

    Raises:
        PresetError: a SELECT is refused, or does not give what shelfsight reads.
        SchemaError: a table or view that is not ours has a name that is needed, or another view
            depends on one that must be replaced.
    """
    views = {view.table: view for view in _views(connection, preset, values)}
    done = []
    for table in reversed(TABLES):
        if table not in views:
            done += _drop(connection, table)
    for view in views.values():
        done += _create(connection, view)
    if not views:
        search_no_longer(connection, OWN_SCHEMA)
        return done
    search_first(connection, OWN_SCHEMA)
    if done:
        content.check(connection, preset.name, {t: view.found for t, view in views.items()})
    return done


def advice(connection: Connection, preset: Preset, values: Mapping[str, str]) -> list[str]:
    """Return lines for people on how much the views leave out, and where they are slow."""
    found = {view.table: view.found for view in _views(connection, preset, values)}
    return content.advice(connection, found)


def _views(connection: Connection, preset: Preset, values: Mapping[str, str]) -> list[_View]:
    if preset.reads_tables:
        return []
    views = []
    for table in TABLES:
        is_there = table in preset.statements
        select = preset.select(table, connection, values) if is_there else _NO_PRODUCTS
        found = columns.describe(connection, preset.name, table, select)
        views.append(_View(table, select, found))
    given = {view.table: view.found for view in views if view.table in preset.statements}
    columns.check(preset.name, given)
    return views


def _create(connection: Connection, view: _View) -> list[str]:
    existing = _existing(connection, view.table)
    function, create_view = view.statements()
    if existing is None:
        connection.execute(trusted(function))
        connection.execute(trusted(create_view))
        return [f"created view {_name(view.table)}"]
    _require_ours(existing, view.table)
    if existing.columns == view.columns:
        if existing.body == f"\n{view.select}\n":
            return []
        connection.execute(trusted(function))
        return [f"replaced view {_name(view.table)}"]
    _drop(connection, view.table)
    connection.execute(trusted(function))
    connection.execute(trusted(create_view))
    return [f"replaced view {_name(view.table)}, which has other columns now"]


def _drop(connection: Connection, table: str) -> list[str]:
    existing = _existing(connection, table)
    if existing is None:
        return []
    _require_ours(existing, table)
    try:
        for name in ("drop_view", "drop_function"):
            connection.execute(QUERIES[name].format(table=sql.Identifier(table)))
    except psycopg.errors.DependentObjectsStillExist as error:
        detail = " ".join((error.diag.message_detail or "").split())
        raise SchemaError(
            f"{_name(table)} must be replaced: {detail}; drop that first, and make it again after"
        ) from error
    return [f"dropped view {_name(table)}"]


def _existing(connection: Connection, table: str) -> _Existing | None:
    cursor = connection.cursor(row_factory=class_row(_Existing))
    return cursor.execute(QUERIES["existing"], {"table": table}).fetchone()


def _require_ours(existing: _Existing, table: str) -> None:
    if not (existing.is_ours and existing.kind == "v"):
        raise SchemaError(
            f"{_name(table)} was not made by shelfsight, so it is not replaced; rename or drop it"
        )


def _name(table: str) -> str:
    return f"{OWN_SCHEMA}.{_quoted(table)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
