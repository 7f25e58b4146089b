"""The version of the schema `shelfsight`: what the database has, and what this program needs."""

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres.connection import Connection, columns
from shelfsight.storage.migrations.files import migrations


def latest() -> int:
    """Return the version that this program needs: the number of its newest migration."""
    return migrations()[-1].version


def current(connection: Connection) -> int:
    """Return the version that the database has; 0 if no migration was applied.

    Raises:
        DatabaseError: the role may not read the version.
    """
    if not columns(connection, "SchemaVersion", schema="shelfsight"):
        return 0
    if not is_readable(connection):
        raise DatabaseError(
            'this role may not read shelfsight."SchemaVersion"; shelfsight doctor prints the GRANT'
        )
    ((version,),) = connection.execute(
        'SELECT coalesce(max("Version"), 0) FROM shelfsight."SchemaVersion"'
    ).fetchall()
    return int(version)


def is_readable(connection: Connection) -> bool:
    """Return whether the role may read the version, if there is one."""
    ((may_read,),) = connection.execute(
        "SELECT coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE')"
        " AND has_table_privilege(t.oid, 'SELECT')), true)"
        " FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace"
        " WHERE nspname = 'shelfsight' AND relname = 'SchemaVersion'"
    ).fetchall()
    return bool(may_read)


def refuse_newer(connection: Connection) -> int:
    """Return the version that the database has.

    Raises:
        SchemaError: it is newer than this program.
    """
    found, known = current(connection), latest()
    if found > known:
        raise SchemaError(
            f"the database has version {found} of the schema shelfsight, made by a newer release;"
            f" this release knows version {known}: upgrade shelfsight"
        )
    return found


def check(connection: Connection) -> None:
    """Check that the database has the version that this program needs.

    Raises:
        SchemaError: the version is older or newer. The message says what to do.
    """
    found = refuse_newer(connection)
    if not columns(connection, "ProductEmbeddings"):
        raise SchemaError(
            "the database is not prepared (there are no tables); run: shelfsight init"
        )
    if found < latest():
        raise SchemaError(
            f"the database has version {found} of the schema shelfsight, and this release needs"
            f" version {latest()}; run: shelfsight init"
        )
