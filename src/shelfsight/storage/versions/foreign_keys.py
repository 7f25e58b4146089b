"""Keeps the shop's foreign keys on the table in use only.

On a staged or previous set they would refuse statements of the shop that the table in use allows.
"""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database, fetch_as
from shelfsight.storage.index.indexes import UNLIMITED
from shelfsight.storage.versions.queries import QUERIES as VERSIONS

QUERIES = statements.load("shelfsight.storage.versions", "foreign_keys.sql")


class ForeignKey(NamedTuple):
    """A foreign key of the table in use: its quoted name, and the statements that make it anew.

    `validate` is None if the shop has not had the rows checked, and `comment` if there is none.
    """

    name: str
    add: str
    clean: str
    comment: str | None
    validate: str | None


def take(connection: Connection, table: sql.Identifier, new: sql.Identifier) -> list[ForeignKey]:
    """Drop the foreign keys of the table in use, and those of the same name of `new`."""
    found = fetch_as(ForeignKey, connection, QUERIES["read"], {"table": table.as_string()})
    for key in found:
        for place in (table, new):
            name = statements.trusted(key.name)
            connection.execute(QUERIES["drop"].format(table=place, name=name))
    return found


def give(connection: Connection, keys: Sequence[ForeignKey]) -> None:
    """Add the foreign keys to the table that is in use now.

    Its rows are not checked, because that takes long; `validate` does it later. Rows of shelfsight
    without the row that they refer to are deleted: no key has kept them from becoming so.
    """
    for key in keys:
        for ddl in (key.add, key.validate and key.clean, key.comment):
            if ddl is not None:
                connection.execute(statements.trusted(ddl))


def validate(database: Database, keys: Sequence[ForeignKey]) -> None:
    """Let Postgres check the rows, while they may be read and written."""

    def work(connection: Connection) -> None:
        connection.execute(VERSIONS["local_settings"], {"settings": Jsonb(UNLIMITED)})
        for key in keys:
            if key.validate is not None:
                connection.execute(statements.trusted(key.validate))

    if keys:
        database.run(work)
