"""Gives the columns of product ids in our schema the type that the shop's ids have."""

import psycopg
from psycopg import sql

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, columns
from shelfsight.storage.changes import triggers

QUERIES = statements.load("shelfsight.storage", "id_type.sql")


def follow(connection: Connection) -> list[str]:
    """Change the columns whose type differs; return what was done, as lines for people.

    If a table has values that are no id of the new type, its rows belong to no product, and go.
    """
    id_type = columns(connection, "ProductVariants").get("Id")
    if id_type is None:
        return []
    found = connection.execute(QUERIES["other_types"], {"id_type": id_type}).fetchall()
    for table, column in found:
        _change_type(connection, sql.Identifier("shelfsight", table), column, id_type)
    if found:
        triggers.renew(connection)
    return [
        f'changed the type of shelfsight."{table}"."{column}" to {id_type}'
        for table, column in found
    ]


def _change_type(connection: Connection, table: sql.Identifier, column: str, id_type: str) -> None:
    change = QUERIES["change_type"].format(
        table=table, column=sql.Identifier(column), id_type=statements.trusted(id_type)
    )
    try:
        with connection.transaction():
            connection.execute(change)
    except psycopg.DataError:
        connection.execute(QUERIES["clear"].format(table=table))
        connection.execute(change)
