"""Creates the schema `shelfsight`."""

import psycopg
from psycopg import sql

from shelfsight.errors import DatabaseError
from shelfsight.postgres.connection import Connection

_OWNER = """
    SELECT coalesce(pg_get_userbyid(relowner), current_user), current_database(), current_user
    FROM (SELECT to_regclass('"EmbeddingFailures"') AS found) AS older
    LEFT JOIN pg_class ON oid = found
"""
"""An SQL query for the owner of our schema: the owner of the tables that an older release made, or
this role. The names of the database and of this role follow."""


def create(connection: Connection) -> list[str]:
    """Create the schema, if it is missing; return what was done, as lines for people.

    Raises:
        DatabaseError: the role may not create it; the message says what to ask for.
    """
    existing = "SELECT FROM pg_namespace WHERE nspname = 'shelfsight'"
    if connection.execute(existing).fetchone() is not None:
        return []
    ((owner, database, role),) = connection.execute(_OWNER).fetchall()
    create = sql.SQL("CREATE SCHEMA shelfsight AUTHORIZATION {}").format(sql.Identifier(owner))
    try:
        connection.execute(create)
    except psycopg.errors.InsufficientPrivilege as error:
        grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}")
        grant_text = grant.format(sql.Identifier(database), sql.Identifier(role)).as_string()
        raise DatabaseError(
            "this role may not create the schema shelfsight; ask its administrator to run:"
            f" {create.as_string()} (or: {grant_text})"
        ) from error
    return ["created schema shelfsight"]
