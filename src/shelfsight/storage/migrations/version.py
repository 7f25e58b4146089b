"""The version of the schema `shelfsight`: what the database has, and what this program needs."""

import psycopg

from shelfsight.errors import SchemaError
from shelfsight.postgres.connection import Connection, columns
from shelfsight.storage.migrations.files import migrations


def latest() -> int:
    """Return the version that this program needs: the number of its newest migration."""
    return migrations()[-1].version


def current(connection: Connection) -> int:
    """Return the version that the database has; 0 if no migration was applied.

    Raises:
        SchemaError: the role may not read the version.
    """
    if not columns(connection, "SchemaVersion", schema="shelfsight"):
        return 0
    try:
        ((version,),) = connection.execute(
            'SELECT coalesce(max("Version"), 0) FROM shelfsight."SchemaVersion"'
        ).fetchall()
    except psycopg.errors.InsufficientPrivilege as error:
        raise SchemaError(
            'this role may not read shelfsight."SchemaVersion"; shelfsight doctor prints the GRANT'
        ) from error
    return int(version)


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
