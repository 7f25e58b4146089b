"""Carries the shop's rows and columns of `"ProductEmbeddings"` over to the set that replaces it.

A first pass copies everything before the search indexes are built. A second pass runs while the
tables in use are locked against writes, and copies what was written since. `"Id"` and `"CreatedAt"`
of a row are carried too, because the shop may have noted them elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage.shop_columns import Column, holds_values, is_emptied, read_columns
from shelfsight.storage.versions.queries import QUERIES as VERSIONS

QUERIES = statements.load("shelfsight.storage.versions", "carry.sql")

TABLE = "ProductEmbeddings"

_KEPT = ("Id", "CreatedAt")
"""Columns of shelfsight whose values stay those of the row in use."""

_DELETE = ("delete_gone", "delete_released", "delete_changed")
_WRITE = ("clear_unique", "update_ours", "insert_held", "insert_theirs")
"""The statements of a pass, in order."""

_NEVER = sql.SQL("false")

_UNLIMITED = Jsonb({"statement_timeout": "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """Carries all that is the shop's from the schema `source` to the schema `target`.

    With `add_only`, nothing is deleted from the target, and an empty value replaces no other.
    """

    source: str
    target: str
    add_only: bool = False

    def begin(self, database: Database) -> str:
        """Carry everything, in a transaction of its own; return the boundary for `finish`."""
        return database.run(self._begin)

    def _begin(self, connection: Connection) -> str:
        ((boundary,),) = connection.execute(QUERIES["boundary"]).fetchall()
        with self._suspended(connection):
            self._carry(connection, _parts(connection, self.source, self.target))
        return str(boundary)

    def finish(self, boundary: str, connection: Connection) -> None:
        """Carry what was written to the source since `begin`; the source must be locked.

        Then the identity columns of the target go on where those of the source are.
        """
        names = {"source": _name(self.source), "target": _name(self.target)}
        with self._suspended(connection):
            parts = _parts(connection, self.source, self.target)
            values = {"source": parts["source"], "boundary": sql.Literal(boundary)}
            connection.execute(QUERIES["create_changed"].format(**values))
            connection.execute(QUERIES["analyze_changed"])
            self._carry(connection, parts, written=sql.Identifier("shelfsight_changed"))
            _execute_all(connection, "renumber", names)
            _execute_all(connection, "count_on", names)
            _execute_all(connection, "last_numbers", names)

    def _carry(
        self,
        connection: Connection,
        parts: Mapping[str, sql.Composable],
        *,
        written: sql.Composable | None = None,
    ) -> None:
        """Run the statements; `written` is the table of the rows that have changed, if known.

        Deleted rows are found by comparing the tables. So are rows without a key.
        """
        names = [*_WRITE] if self.add_only else [*_DELETE, *_WRITE]
        if not parts["cleared"].as_string():
            names.remove("clear_unique")
        full = {"delete_gone"} | (set() if parts["same_row"] != _NEVER else {"insert_theirs"})
        carried = parts["holds_values"] if self.add_only else sql.SQL("true")
        for name in names:
            source = parts["source"] if written is None or name in full else written
            statement = QUERIES[name].format(**{**parts, "source": source, "is_carried": carried})
            connection.execute(statement)

    @contextmanager
    def _suspended(self, connection: Connection) -> Iterator[None]:
        """Keep triggers, policies and identity columns of the target out of the copy."""
        connection.execute(VERSIONS["local_settings"], {"settings": _UNLIMITED})
        connection.execute(QUERIES["all_rows"])
        values = {"table": _name(self.target)}
        pairs = connection.execute(QUERIES["suspended"], values).fetchall()
        for off, _ in pairs:
            connection.execute(statements.trusted(off))
        yield
        connection.execute(QUERIES["no_deferred_checks"])
        for _, on_again in pairs:
            connection.execute(statements.trusted(on_again))


def count_down(connection: Connection, schema: str) -> None:
    """Make the identity columns of a staged table count down from -1."""
    _execute_all(connection, "count_down", {"table": _name(schema)})


def has_only_copies(connection: Connection, source: str, target: str) -> bool:
    """Return whether the target has rows or values of the shop that the source lacks."""
    parts = _parts(connection, source, target)
    return connection.execute(QUERIES["only_copies"].format(**parts)).fetchone() is not None


def _parts(connection: Connection, source: str, target: str) -> dict[str, sql.Composable]:
    """Return the parts of the statements that depend on the columns and keys of the tables."""
    found = [one for one in read_columns(connection, _name(source)) if not one.is_generated]
    carried = [one.name for one in found if one.is_shops or one.name in _KEPT]
    shops = [one.name for one in found if one.is_shops]
    values = {"table": _name(source)}
    is_unique = connection.execute(QUERIES["is_variant_unique"], values).fetchone() is not None
    ours = QUERIES["is_ours_if_unique" if is_unique else "is_ours"]
    key = connection.execute(QUERIES["key"], values).fetchone()
    found_unique = connection.execute(QUERIES["unique_columns"], values).fetchall()
    unique = [name for (name,) in found_unique if name in shops]
    names = [one.name for one in found]
    return {
        "source": sql.Identifier(source, TABLE),
        "target": sql.Identifier(target, TABLE),
        "s_ours": ours.format(alias=sql.Identifier("s")),
        "t_ours": ours.format(alias=sql.Identifier("t")),
        "same_row": _same_row(key[0] if key else []),
        "columns": _listed(names),
        "s_columns": _listed(names, "s"),
        "t_columns": _listed(names, "t"),
        "emptied_columns": sql.SQL(", ").join(_emptied(one) for one in found),
        "assignments": sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("s", name))
            for name in carried
        ),
        "cleared": sql.SQL(", ").join(
            sql.SQL("{} = NULL").format(sql.Identifier(name)) for name in unique
        ),
        "s_unique": _listed(unique, "s"),
        "t_unique": _listed(unique, "t"),
        "s_carried": _listed(carried, "s"),
        "t_carried": _listed(carried, "t"),
        "s_shops": _listed(shops, "s"),
        "t_shops": _listed(shops, "t"),
        "holds_values": holds_values(found, "s"),
        "t_holds_values": holds_values(found, "t"),
    }


def _same_row(key: Sequence[str]) -> sql.Composable:
    """Return the condition that s and t are one row of the shop. Without a key, no two rows are."""
    if not key:
        return _NEVER
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier("s", name), sql.Identifier("t", name))
        for name in key
    )


def _emptied(column: Column) -> sql.Composable:
    """Return the value of a column in a row without vectors. A row of the shop stays as it is."""
    value = sql.Identifier("s", column.name)
    if column.name == "SourceHash":
        return sql.SQL("CASE WHEN {value} IS NOT NULL THEN '' END").format(value=value)
    if not is_emptied(column):
        return value
    return sql.SQL('CASE WHEN s."SourceHash" IS NULL THEN {value} END').format(value=value)


def _listed(names: Sequence[str], *alias: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*alias, name) for name in names)


def _execute_all(connection: Connection, query: str, values: Mapping[str, str]) -> None:
    for (ddl,) in connection.execute(QUERIES[query], values).fetchall():
        connection.execute(statements.trusted(ddl))


def _name(schema: str) -> str:
    return sql.Identifier(schema, TABLE).as_string()
