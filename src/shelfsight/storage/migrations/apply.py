"""Applies the migrations that a database lacks, each in one transaction."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from time import sleep
from typing import TypeVar

from psycopg import sql

from shelfsight.errors import SchemaError
from shelfsight.postgres.advisory_locks import LockKey
from shelfsight.postgres.connection import Connection, Database
from shelfsight.storage import rights
from shelfsight.storage.changes import triggers
from shelfsight.storage.migrations import workers
from shelfsight.storage.migrations.files import Migration, migrations
from shelfsight.storage.migrations.version import refuse_newer
from shelfsight.storage.versions import lock_retry

Result = TypeVar("Result")

Notify = Callable[[str], None]

Parts = Callable[[Connection], Mapping[str, sql.Composable]]
"""Returns what takes the place of `{id_type}` in a migration."""

SCHEMAS = ("shelfsight", "shelfsight_next", "shelfsight_previous")
"""The schemas that hold tables of ours."""

POLL_SECONDS = 1.0
"""Seconds between two looks at whether workers are still at work."""


class _AtWorkError(SchemaError):
    """Workers are at work that a migration would break."""


def when_idle(database: Database, work: Callable[[], Result], wait: Notify | None = None) -> Result:
    """Do `work` when the missing migrations can be applied.

    With `wait`, wait until no worker is at work. `wait` is called with a message.

    Raises:
        SchemaError: a newer release has made the schema, or workers are at work.
    """
    while True:
        _prepare(database, wait)
        try:
            return work()
        except _AtWorkError:
            if wait is None:
                raise


def _prepare(database: Database, wait: Notify | None) -> None:
    has_notified = False
    while working := database.run(_workers_in_the_way, read_only=True):
        if wait is None:
            raise _AtWorkError(_at_work(working))
        if not has_notified:
            wait(f"waiting until the work of {', '.join(working)} has ended")
            has_notified = True
        sleep(POLL_SECONDS)


def apply(database: Database, parts: Parts, wait: Notify | None = None) -> list[str]:
    """Apply the missing migrations, and say which they were; `wait` is that of `when_idle`.

    Raises:
        SchemaError: a newer release has made the schema, or workers are at work.
        DatabaseError: the role lacks a right, or another transaction keeps a table locked.
    """
    done: dict[int, list[str]] = {}
    found = database.run(refuse_newer, read_only=True)
    for migration in migrations()[found:]:
        work = partial(_apply, migration, parts, done)
        when_idle(database, partial(lock_retry.run, database, work), wait)
    return [line for lines in done.values() for line in lines]


def _apply(
    migration: Migration, parts: Parts, done: dict[int, list[str]], connection: Connection
) -> None:
    """Apply one migration, unless the database has it already, and note in `done` what was done."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [LockKey.INIT_SCHEMA])
    connection.execute("SET LOCAL client_min_messages = warning")
    if refuse_newer(connection) >= migration.version:
        done[migration.version] = []
        return
    triggers.lock_tables(connection)
    workers.lock(connection)
    if working := workers.at_work(connection):
        raise _AtWorkError(_at_work(working))
    connection.execute(migration.statements.format(**parts(connection)))
    connection.execute(
        'INSERT INTO shelfsight."SchemaVersion" ("Version", "Name", "Program") VALUES (%s, %s, %s)',
        [migration.version, migration.name, version("shelfsight")],
    )
    revoked = [line for schema in SCHEMAS for line in rights.protect(connection, schema)]
    rights.give_to_owner(connection)
    triggers.renew(connection)
    done[migration.version] = [f"applied {migration}", *revoked]


def _workers_in_the_way(connection: Connection) -> list[str]:
    is_up_to_date = refuse_newer(connection) == migrations()[-1].version
    return [] if is_up_to_date else workers.at_work(connection)


def _at_work(working: list[str]) -> str:
    return (
        f"a backfill or watch is at work ({', '.join(working)}), which the migration would break;"
        " stop it, or let init wait for its end: shelfsight init --wait"
    )
