"""Stores how probable a match is, as fitted on a shop's own pictures, for each pair of models."""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg.types.json import Jsonb

from shelfsight.errors import SchemaError
from shelfsight.models.calibration import Calibration
from shelfsight.postgres import statements
from shelfsight.postgres.advisory_locks import LockKey
from shelfsight.postgres.connection import Connection, Transactions
from shelfsight.records import ModelPair, stored_identities
from shelfsight.scan.confidence import built_in
from shelfsight.storage.vectors.model_check import stored_models

QUERIES = statements.load("shelfsight.storage", "calibrations.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationInUse:
    """The models of the stored vectors, and the calibration that their scans use.

    `calibration` is None if there is none. `is_own` says that it was fitted on this shop.
    """

    models: ModelPair
    calibration: Calibration | None
    is_own: bool

    def __str__(self) -> str:
        """Say where the probabilities of matches come from."""
        if self.calibration is None:
            return f"none for {self.models.image} with {self.models.text}: no match is high"
        where = "this shop's own" if self.is_own else "the one of the models"
        return f"{where}, from {self.calibration.source}"


def calibration_in_use(database: Transactions) -> CalibrationInUse | None:
    """Return the calibration of the stored vectors; None if no product has both vectors."""
    for stored in database.run(stored_models, read_only=True):
        if stored.image is not None and stored.text is not None:
            models = ModelPair(image=stored.image, text=stored.text)
            own = CalibrationStore(database).load(models)
            known = own or built_in(models)
            return CalibrationInUse(models=models, calibration=known, is_own=own is not None)
    return None


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
            values = {
                "image_models": stored_identities(models.image),
                "text_models": stored_identities(models.text),
            }
            return connection.execute(QUERIES["load"], values).fetchall()

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

    def run_alone(self, models: ModelPair, work: Callable[[], None]) -> bool:
        """Call `work` unless another process is calling it for these models; say if it was called.

        The connection of this store waits until `work` is done, so `work` must use another one.

        Raises:
            DatabaseError: the database stays unreachable.
        """

        def locked(connection: Connection) -> bool:
            values = {**_names(models), "key": LockKey.CALIBRATE}
            ((is_free,),) = connection.execute(QUERIES["try_lock"], values).fetchall()
            if is_free:
                connection.execute(QUERIES["no_time_limit"])
                work()
            return bool(is_free)

        return self._database.run(locked)

    def _write(self, name: str, values: dict[str, object]) -> None:
        try:
            self._database.run(lambda connection: connection.execute(QUERIES[name], values))
        except psycopg.errors.UndefinedTable:
            raise SchemaError(
                'the database is not prepared (no table "Calibrations"); run: shelfsight init'
            ) from None


def _names(models: ModelPair) -> dict[str, object]:
    return {"image_model": models.image, "text_model": models.text}
