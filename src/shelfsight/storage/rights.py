"""Closes the tables of shelfsight to roles that default privileges name, and finds open ones.

With default privileges, a new table is open to other roles from the beginning. Supabase's are the
best known: they let `anon` and `authenticated`, which are clients on the internet, read and write
each table of the schema `public`.
"""

from psycopg import sql

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection

QUERIES = statements.load("shelfsight.storage", "rights.sql")


def protect(connection: Connection, schema: str) -> list[str]:
    """Revoke what default privileges gave on a schema of ours and on all it holds.

    PUBLIC loses all rights too. Rights that an administrator has granted to other roles stay.
    Returns what was done, as lines for people.
    """
    revocations = connection.execute(QUERIES["revocations"], {"schema": schema}).fetchall()
    for statement, _ in revocations:
        connection.execute(statements.trusted(statement))
    roles = sorted({role for _, role in revocations} - {"PUBLIC"})
    return [f"revoked all rights on the schema {schema} from {', '.join(roles)}"] if roles else []


def give_to_owner(connection: Connection) -> None:
    """Give new tables to the schema's owner; let roles with rights on tables use the schema."""
    for name in ("change_owner", "grant_use"):
        for (statement,) in connection.execute(QUERIES[name], {}).fetchall():
            connection.execute(statements.trusted(statement))


def close_new_table(connection: Connection, table: str) -> list[str]:
    """Enable row-level security on a new table, if default privileges open it to other roles.

    Returns what was done, as lines for people.
    """
    roles = [role for (role,) in connection.execute(QUERIES["others"], {"table": table}).fetchall()]
    if not roles:
        return []
    statement = QUERIES["enable_row_security"].format(table=sql.Identifier(table))
    connection.execute(statement)
    return [
        f'enabled row-level security on "{table}", which default privileges open to'
        f" {', '.join(roles)}"
    ]


def open_tables(connection: Connection) -> list[tuple[str, str]]:
    """Return what other roles may do with our tables, each with the statement that ends it."""
    return [(what, cure) for what, cure in connection.execute(QUERIES["open_tables"], {})]


def are_vectors_hidden(connection: Connection) -> bool:
    """Return whether row-level security hides every row of `"ProductEmbeddings"` from this role."""
    row = connection.execute(QUERIES["is_hidden"]).fetchone()
    return row is not None and bool(row[0])
