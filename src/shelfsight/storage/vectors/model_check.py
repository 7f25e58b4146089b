"""Checks which models made the stored vectors. Vectors of different models cannot be compared."""

from typing import NamedTuple

from shelfsight.errors import ModelMismatchError
from shelfsight.models.choice import name_of_pair
from shelfsight.postgres.connection import Connection, Transactions, fetch_as
from shelfsight.records import ModelPair, stored_identities
from shelfsight.storage import schema
from shelfsight.storage.vectors.queries import QUERIES


class StoredModels(NamedTuple):
    """The models that made a group of stored rows; None if these rows have no vector of that kind.

    `rows` is the number of rows in the group.
    """

    image: str | None
    text: str | None
    rows: int

    def fit(self, models: ModelPair) -> bool:
        """Return whether the given models may have made these rows."""
        image, text = stored_identities(models.image), stored_identities(models.text)
        return self.image in (None, *image) and self.text in (None, *text)


def stored_models(connection: Connection) -> list[StoredModels]:
    """Count the stored rows by the models that made them."""
    return fetch_as(StoredModels, connection, QUERIES["stored_models"])


def _others(connection: Connection, models: ModelPair) -> list[StoredModels]:
    """Count the stored rows that other models made, of products that the shop still has."""
    if all(stored.fit(models) for stored in stored_models(connection)):
        return []
    found = fetch_as(StoredModels, connection, QUERIES["stored_models_in_shop"])
    return [stored for stored in found if not stored.fit(models)]


def refuse_others(database: Transactions, models: ModelPair) -> int:
    """Check that other models did not make the stored vectors; return the OID of the vector table.

    Raises:
        SchemaError: columns are missing or have other dimensions.
        ModelMismatchError: other models made the stored vectors.
    """

    def work(connection: Connection) -> tuple[int, list[StoredModels]]:
        schema.check(connection)
        others = _others(connection, models)
        # the read above locked the table, so no switch can have replaced it
        return _table_oid(connection), others

    table, others = database.run(work, read_only=True)
    for stored in others:
        names = " and ".join(name for name in (stored.image, stored.text) if name)
        pair = name_of_pair(stored.image, stored.text)
        choice = f" (--models {pair})" if pair else ""
        raise ModelMismatchError(
            f'"ProductEmbeddings" holds {stored.rows} products embedded by {names}, not by'
            f" {models.image} and {models.text}; use those models{choice}, or build a staged set"
            " and switch to it: shelfsight backfill --staged --all, then shelfsight models --switch"
            " (shelfsight backfill --no-skip-existing --all replaces them in place)"
        )
    return table


def checked_table(connection: Connection) -> int:
    """Return the OID of the table that holds the vectors. A switch of models changes this OID.

    Raises:
        SchemaError: columns are missing or have other dimensions.
    """
    schema.check(connection)
    return _table_oid(connection)


def lock_table(connection: Connection, expected: int | None) -> int:
    """Lock the vector table, so that no switch replaces it in this transaction; return its OID.

    Raises:
        ModelMismatchError: a switch has replaced the expected table.
    """
    cursor = connection.execute(QUERIES["lock_table"])
    while cursor.nextset():
        pass
    found = int(cursor.fetchall()[0][0])
    if expected not in (None, found):
        raise ModelMismatchError(
            "the stored vectors were switched to those of other models while this run was at"
            " work: what it had not stored by then is not; see: shelfsight models"
        )
    return found


def _table_oid(connection: Connection) -> int:
    return int(connection.execute(QUERIES["table_oid"]).fetchall()[0][0])
