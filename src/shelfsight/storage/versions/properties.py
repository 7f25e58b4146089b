"""Gives the incoming table what the shop has given the table in use: comments, policies, views."""

from collections.abc import Sequence
from typing import NamedTuple

import psycopg
from psycopg import sql

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection

QUERIES = statements.load("shelfsight.storage.versions", "properties.sql")


class AfterMove(NamedTuple):
    """A statement to run after the move; `view` is the view that it creates, if it does."""

    view: str | None
    ddl: str


def copy_properties(connection: Connection, table: sql.Identifier, new: sql.Identifier) -> None:
    """Copy comments, settings, and the states of triggers; drop the policies of `new`."""
    values = {"table": table.as_string(), "new": new.as_string()}
    for (ddl,) in connection.execute(QUERIES["properties"], values).fetchall():
        connection.execute(statements.trusted(ddl))


def read_readers(connection: Connection, table: sql.Identifier) -> list[AfterMove]:
    """Return the statements that make policies and views read the table of this name."""
    ((oid,),) = connection.execute(QUERIES["oid"], {"table": table.as_string()}).fetchall()
    ((path,),) = connection.execute(QUERIES["search_path"]).fetchall()
    connection.execute(QUERIES["set_search_path"], {"path": ""})
    found = connection.execute(QUERIES["readers"], {"oid": oid}).fetchall()
    connection.execute(QUERIES["set_search_path"], {"path": path})
    return [AfterMove._make(row) for row in found]


def create_readers(connection: Connection, readers: Sequence[AfterMove]) -> None:
    """Run the statements of `read_readers`. A view that cannot be replaced stays as it is."""
    for view, ddl in readers:
        try:
            with connection.transaction():
                connection.execute(statements.trusted(ddl))
        except (psycopg.ProgrammingError, psycopg.NotSupportedError):
            if view is None:
                raise


def invalid_indexes(connection: Connection, table: sql.Identifier) -> list[str]:
    """Return the names of the table's invalid indexes. They are not built for the new table."""
    values = {"table": table.as_string()}
    return [name for (name,) in connection.execute(QUERIES["invalid_indexes"], values)]
