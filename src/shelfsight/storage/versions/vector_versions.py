"""The sets of vectors: in use, staged (made by other models), and previous (before a switch).

The staged and the previous set each have a schema with a table of the same name. The failures of
all sets are in one table, `"EmbeddingFailures"`.
"""

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
from shelfsight.storage import schema as tables
from shelfsight.storage.runs.queries import QUERIES as RUNS
from shelfsight.storage.vectors.model_check import StoredModels, stored_models
from shelfsight.storage.versions import carry, clone_table, lock_retry
from shelfsight.storage.versions.queries import QUERIES

STAGED_SCHEMA, PREVIOUS_SCHEMA = tables.STAGED_SCHEMA, tables.PREVIOUS_SCHEMA

CARRIED = "with all of the shop carried over"
"""Words in the comment of the previous set's schema, for `has_carried`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCount:
    """The number of stored image or text vectors of one model; `model` is None if unknown."""

    kind: Literal["image", "text"]
    model: str | None
    count: int


def existing_schemas(database: Database) -> set[str]:
    """Return which of `STAGED_SCHEMA` and `PREVIOUS_SCHEMA` hold vectors."""
    values = {"schemas": [STAGED_SCHEMA, PREVIOUS_SCHEMA]}

    def work(connection: Connection) -> set[str]:
        return {schema for schema, *_ in connection.execute(QUERIES["vector_tables"], values)}

    return database.run(work, read_only=True) & {STAGED_SCHEMA, PREVIOUS_SCHEMA}


def count_by_model(database: Database) -> tuple[ModelCount, ...]:
    """Count the stored vectors by kind and model.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """

    def work(connection: Connection) -> tuple[ModelCount, ...]:
        tables.check(connection)
        cursor = connection.cursor(row_factory=class_row(ModelCount))
        return tuple(cursor.execute(QUERIES["count_by_model"]))

    return database.run(work, read_only=True)


def switched_at(database: Database) -> datetime | None:
    """Return when the previous set was switched out of use; None if the time is not known."""

    def work(connection: Connection) -> datetime | None:
        row = connection.execute(QUERIES["switched_at"], {"schema": PREVIOUS_SCHEMA}).fetchone()
        return None if row is None else _parse_time(row[0])

    return database.run(work, read_only=True)


def has_carried(database: Database) -> bool:
    """Return whether the last switch carried the shop's rows and columns over.

    The switch of an older release did not. It is not known either if somebody has changed the
    comment of the previous set's schema.
    """
    values = {"schema": PREVIOUS_SCHEMA, "carried": f"%{CARRIED}%"}

    def work(connection: Connection) -> bool:
        return connection.execute(QUERIES["has_carried"], values).fetchone() is not None

    return database.run(work, read_only=True)


def count_lost(database: Database) -> int:
    """Count the products that would lose a vector if the staged set were switched into use.

    These products failed in the staged set, and have a vector in use that the staged set does not
    have.
    """
    query = QUERIES["count_lost"].format(staged=sql.Identifier(STAGED_SCHEMA))
    values = {"staged": STAGED_SCHEMA}

    def work(connection: Connection) -> int:
        return int(connection.execute(query, values).fetchall()[0][0])

    return database.run(work, read_only=True)


def open_staged(database: Database) -> Database:
    """Open the staged set: return a `Database` whose table name refers to the staged table.

    Raises:
        SchemaError: there is no staged set.
    """
    return _open(
        database, STAGED_SCHEMA, "no vectors are staged; run: shelfsight backfill --staged"
    )


def open_previous(database: Database) -> Database:
    """Open the previous set: return a `Database` whose table names refer to the previous tables.

    Raises:
        SchemaError: there is no previous set.
    """
    return _open(database, PREVIOUS_SCHEMA, "no vectors are kept from before a switch")


def prepare_staged(database: Database, models: ModelPair) -> Database:
    """Open the staged set for vectors of these models. If there is no staged set, create it.

    Raises:
        ModelError: no vectors are in use yet, or these models made the vectors in use.
        ModelMismatchError: the staged set has vectors of other models.
        DatabaseError: the role lacks a privilege. The message says which one to grant.
        SchemaError: the tables in use cannot be replaced by others.
    """
    in_use = database.run(_stored_models, read_only=True)
    if not in_use:
        raise ModelError("there are no vectors yet; leave --staged out")
    if all(row.fit(models) for row in in_use) and any(row.image or row.text for row in in_use):
        raise ModelError(
            f"the vectors in use are by {models.image} and {models.text} already; leave --staged"
            " out, or name other MODELS or another server"
        )
    if STAGED_SCHEMA not in existing_schemas(database):
        lock_retry.run(database, _create_staged)
    with closing(open_staged(database)) as staged:
        stored = staged.run(_stored_models, read_only=True)
    for found in stored:
        if not found.fit(models):
            names = " and ".join(name for name in (found.image, found.text) if name)
            raise ModelMismatchError(
                f"{found.rows} products are staged by {names}, not by {models.image} and"
                f" {models.text}; go on with those models, or drop the staged set:"
                " shelfsight models --discard"
            )
    return open_staged(database)


def drop_staged(database: Database) -> None:
    """Drop the staged set.

    Raises:
        SchemaError: there is no staged set, or something else depends on its tables.
    """
    open_staged(database)
    _drop(database, STAGED_SCHEMA)


def drop_previous(database: Database) -> None:
    """Drop the previous set.

    Raises:
        SchemaError: there is no previous set, something else depends on its tables, or it has the
            only copy of something of the shop, because an older release made the switch.
    """
    open_previous(database)
    if not has_carried(database) and database.run(_has_only_copies, read_only=True):
        raise SchemaError(
            "only the set before the switch has some rows or values of the shop, because an older"
            " release made that switch; carry them over first: shelfsight models --rollback, then"
            " shelfsight models --switch"
        )
    _drop(database, PREVIOUS_SCHEMA)


def close_staged_runs(connection: Connection) -> None:
    """Close all open runs over the staged set, because this set is now in use or dropped."""
    for (run,) in connection.execute(QUERIES["staged_runs"]).fetchall():
        connection.execute(RUNS["close"], {"run": run, "outcome": "replaced"})


def _open(database: Database, schema: str, missing: str) -> Database:
    if schema not in existing_schemas(database):
        raise SchemaError(missing)
    return Database(database.url, schema=schema)


def _stored_models(connection: Connection) -> Sequence[StoredModels]:
    tables.check(connection)
    return stored_models(connection)


def _parse_time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text or "")
    except ValueError:
        return None


def _has_only_copies(connection: Connection) -> bool:
    in_use = clone_table.require_rights(connection)[clone_table.TABLES[0]]
    return carry.has_only_copies(connection, in_use, PREVIOUS_SCHEMA)


def _create_staged(connection: Connection) -> None:
    connection.execute(QUERIES["lock"], {"key": LockKey.CREATE_STAGED})
    values = {"schemas": [STAGED_SCHEMA]}
    existing = {schema for schema, *_ in connection.execute(QUERIES["vector_tables"], values)}
    if STAGED_SCHEMA not in existing:
        clone_table.require_rights(connection)
        clone_table.create(connection, STAGED_SCHEMA)
        connection.execute(QUERIES["drop_failures"], {"set": STAGED_SCHEMA})


def _drop(database: Database, schema: str) -> None:
    def work(connection: Connection) -> None:
        clone_table.drop(connection, schema)
        connection.execute(QUERIES["drop_failures"], {"set": schema})
        if schema == STAGED_SCHEMA:
            close_staged_runs(connection)

    lock_retry.run(database, work)
