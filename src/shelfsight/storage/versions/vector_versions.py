"""Generations of vectors: those in use, those built beside them by other models, those before."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import sql
from psycopg.rows import class_row

from shelfsight.errors import ModelError, ModelMismatchError, SchemaError
from shelfsight.postgres.advisory_locks import LockKey
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import ModelPair
from shelfsight.storage import schema as columns
from shelfsight.storage.runs.queries import QUERIES as RUNS
from shelfsight.storage.vectors.model_check import StoredModels, stored_models
from shelfsight.storage.versions import clone_table, lock_retry
from shelfsight.storage.versions.queries import QUERIES

NEXT, PREVIOUS = columns.NEXT, columns.PREVIOUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How many vectors of a kind a model made; None where that is not known."""

    kind: Literal["image", "text"]
    model: str | None
    count: int


def schemas(database: Database) -> set[str]:
    """Which of `NEXT` and `PREVIOUS` hold vectors."""
    values = {"schemas": [NEXT, PREVIOUS]}

    def work(connection: Connection) -> set[str]:
        return {row[0] for row in connection.execute(QUERIES["places"], values)}

    return database.run(work, read_only=True) & {NEXT, PREVIOUS}


def made(database: Database) -> tuple[Made, ...]:
    """Which models made how many vectors.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """

    def work(connection: Connection) -> tuple[Made, ...]:
        columns.check(connection)
        cursor = connection.cursor(row_factory=class_row(Made))
        return tuple(cursor.execute(QUERIES["made"]))

    return database.run(work, read_only=True)


def kept_since(database: Database) -> datetime | None:
    """When the vectors before were replaced; None where that is not known."""

    def work(connection: Connection) -> datetime | None:
        row = connection.execute(QUERIES["since"], {"schema": PREVIOUS}).fetchone()
        return None if row is None else _time(row[0])

    return database.run(work, read_only=True)


def lost(database: Database) -> int:
    """Products that failed beside and have a vector in use that they would then lack."""
    query = QUERIES["lost"].format(new=sql.Identifier(NEXT))
    rows = database.run(lambda connection: connection.execute(query).fetchall(), read_only=True)
    return int(rows[0][0])


def staged(database: Database) -> Database:
    """The vectors built beside.

    Raises:
        SchemaError: there are none.
    """
    return _opened(database, NEXT, "no vectors are staged; run: shelfsight backfill --staged")


def previous(database: Database) -> Database:
    """The vectors kept from before.

    Raises:
        SchemaError: there are none.
    """
    return _opened(database, PREVIOUS, "no vectors are kept from before a switch")


def prepare(database: Database, models: ModelPair) -> Database:
    """Where vectors of these models are built beside those in use; made where it is missing.

    Raises:
        ModelError: those in use are by these models, or there are none.
        ModelMismatchError: other models have begun to build beside.
        DatabaseError: the role may not; says what to ask for.
        SchemaError: the table in use cannot be replaced by another.
    """
    in_use = database.run(_stored, read_only=True)
    if not in_use:
        raise ModelError("there are no vectors yet; leave --staged out")
    if all(row.fit(models) for row in in_use) and any(row.image or row.text for row in in_use):
        raise ModelError(
            f"the vectors in use are by {models.image} and {models.text} already; leave --staged"
            " out, or name other MODELS or another server"
        )
    if NEXT not in schemas(database):
        lock_retry.run(database, _create)
    with closing(staged(database)) as new:
        begun = new.run(_stored, read_only=True)
    for found in begun:
        if not found.fit(models):
            names = " and ".join(name for name in (found.image, found.text) if name)
            raise ModelMismatchError(
                f"{found.rows} products are staged by {names}, not by {models.image} and"
                f" {models.text}; go on with those models, or drop the staged set:"
                " shelfsight models --discard"
            )
    return staged(database)


def discard(database: Database) -> None:
    """Drop what is built beside.

    Raises:
        SchemaError: nothing is, or something else depends on it.
    """
    staged(database)
    _drop(database, NEXT)


def forget(database: Database) -> None:
    """Drop the vectors kept from before.

    Raises:
        SchemaError: there are none, or something else depends on them.
    """
    previous(database)
    _drop(database, PREVIOUS)


def close_staged_runs(connection: Connection) -> None:
    """End the runs that were open beside: what they were at is in use now, or gone."""
    for (run,) in connection.execute(QUERIES["staged_runs"]).fetchall():
        connection.execute(RUNS["close"], {"run": run, "outcome": "replaced"})


def _opened(database: Database, schema: str, otherwise: str) -> Database:
    if schema not in schemas(database):
        raise SchemaError(otherwise)
    return Database(database.url, schema=schema)


def _stored(connection: Connection) -> Sequence[StoredModels]:
    columns.check(connection)
    return stored_models(connection)


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text or "")
    except ValueError:
        return None


def _create(connection: Connection) -> None:
    connection.execute(QUERIES["lock"], {"key": LockKey.CREATE_STAGED})
    values = {"schemas": [NEXT]}
    if (NEXT,) not in connection.execute(QUERIES["places"], values).fetchall():
        clone_table.require_rights(connection)
        clone_table.create(connection, NEXT)


def _drop(database: Database, schema: str) -> None:
    def work(connection: Connection) -> None:
        clone_table.drop(connection, schema)
        if schema == NEXT:
            close_staged_runs(connection)

    lock_retry.run(database, work)
