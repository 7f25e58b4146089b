"""Records how the catalogue is read, and fits the tables of shelfsight to its ids."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, columns

QUERIES = statements.load("shelfsight.storage", "catalog_record.sql")


class WatchedTable(NamedTuple):
    """A table whose changes may make products due.

    `columns` are those that count, divided by blanks; all if it is empty. `variants` is the SELECT
    of the ids of the variants that a row `changed` belongs to.
    """

    table: str
    columns: str
    variants: str


class CatalogRecord(NamedTuple):
    """How the catalogue is read: by which preset, with which options."""

    preset: str
    version: str
    options: Mapping[str, str]
    changes: Sequence[WatchedTable]


class _Row(NamedTuple):
    preset: str
    version: str
    options: dict[str, str]
    changes: list[dict[str, str]]


def read(connection: Connection) -> CatalogRecord | None:
    """Return how the catalogue is read; None if no preset was chosen."""
    if not columns(connection, "Catalog", schema="shelfsight"):
        return None
    row = connection.cursor(row_factory=class_row(_Row)).execute(QUERIES["read"]).fetchone()
    if row is None:
        return None
    changes = [WatchedTable(**change) for change in row.changes]
    return CatalogRecord(row.preset, row.version, row.options, changes)


def write(connection: Connection, record: CatalogRecord) -> None:
    """Record how the catalogue is read from now on."""
    values = record._asdict() | {
        "options": Jsonb(dict(record.options)),
        "changes": Jsonb([change._asdict() for change in record.changes]),
    }
    connection.execute(QUERIES["write"], values)


def forget(connection: Connection) -> None:
    """Forget the preset: the shop's own tables are read."""
    connection.execute(QUERIES["forget"])


def fit_ids(connection: Connection) -> list[str]:
    """Give the columns for product ids the type of the ids that are read now.

    If the type changes, what these tables say of products with other ids is deleted: failures, the
    queue, open runs. Returns what was done, as lines for people.

    Raises:
        SchemaError: another set of vectors has ids of the old type.
    """
    drop = QUERIES["drop_foreign_key"]
    for table, name in connection.execute(QUERIES["foreign_keys"]).fetchall():
        parts = {"table": statements.trusted(table), "name": sql.Identifier(name)}
        connection.execute(drop.format(**parts))
    id_type = columns(connection, "ProductVariants").get("Id", "uuid")
    found = connection.execute(QUERIES["other_ids"], {"id_type": id_type}).fetchall()
    if not found:
        return []
    other = connection.execute(QUERIES["other_vectors"]).fetchone()
    if other is not None:
        raise SchemaError(
            f"the vectors in the schema {other[0]} are of the catalogue read before; drop them"
            " first: shelfsight models --discard, or --forget"
        )
    connection.execute(QUERIES["close_runs"])
    for table in dict.fromkeys(table for table, _ in found):
        connection.execute(QUERIES["empty"].format(table=sql.Identifier(table)))
    for table, column in found:
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        type_ = statements.trusted(id_type)
        connection.execute(QUERIES["alter_type"].format(**names, id_type=type_))
    return [f"failures, queue and runs are now of products with ids of type {id_type}"]
