"""Stores how probable a match is, as fitted on a shop's own pictures, for each pair of models."""

import psycopg
from psycopg.types.json import Jsonb

from shelfsight.errors import SchemaError
from shelfsight.models.calibration import Calibration
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Transactions
from shelfsight.records import ModelPair

QUERIES = statements.load("shelfsight.storage", "calibrations.sql")


class CalibrationStore:
    """Reads and writes the table `"Calibrations"`."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def load(self, models: ModelPair) -> Calibration | None:
        """Return the calibration of these models.

        None if there is none, if this role may not read it, or if a newer release wrote it.
        """

        def work(connection: Connection) -> list[tuple[object, ...]]:
            ((may_read,),) = connection.execute(QUERIES["may_read"]).fetchall()
            if not may_read:
                return []
            return connection.execute(QUERIES["load"], _names(models)).fetchall()

        for (stored,) in self._database.run(work, read_only=True):
            try:
                return Calibration.from_json(stored)
            except ValueError:
                return None
        return None

    def save(self, models: ModelPair, calibration: Calibration) -> None:
        """Store the calibration of these models, in place of an earlier one.

        Raises:
            SchemaError: `shelfsight init` has not run.
            DatabaseError: it cannot be stored.
        """
        values = {**_names(models), "calibration": Jsonb(calibration.as_json())}
        self._write("save", values)

    def delete(self, models: ModelPair) -> None:
        """Forget the calibration of these models.

        Raises:
            SchemaError: `shelfsight init` has not run.
            DatabaseError: it cannot be deleted.
        """
        self._write("delete", _names(models))

    def _write(self, name: str, values: dict[str, object]) -> None:
        try:
            self._database.run(lambda connection: connection.execute(QUERIES[name], values))
        except psycopg.errors.UndefinedTable:
            raise SchemaError(
                'the database is not prepared (no table "Calibrations"); run: shelfsight init'
            ) from None


def _names(models: ModelPair) -> dict[str, object]:
    return {"image_model": models.image, "text_model": models.text}
