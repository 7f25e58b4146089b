"""Calibrates a pair of models after its first whole backfill."""

from collections.abc import Callable
from contextlib import closing, suppress
from threading import Event

from shelfsight.errors import ShelfsightError
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.records import ModelPair, Selection
from shelfsight.scan.confidence import built_in
from shelfsight.scan.self_calibration import ENOUGH
from shelfsight.settings import Settings
from shelfsight.storage.calibrations import CalibrationStore
from shelfsight.wiring.staging import count_due

Notify = Callable[[str], None]

LATER = "later: shelfsight calibrate"


def is_calibration_due(settings: Settings, database: Database, models: ModelPair) -> bool:
    """Return whether these models lack a calibration, and nothing is left to embed with them.

    A calibration that comes with the models was fitted on labelled photos, so none is due there.
    """
    if not settings.calibrate or built_in(models) is not None:
        return False
    if CalibrationStore(database).load(models) is not None:
        return False
    return count_due(settings, database, Selection()).products == 0


def calibrate_first(
    settings: Settings, database: Database, embedder: Embedder, notify: Notify, stop: Event
) -> None:
    """Calibrate these models on the shop's pictures if that is due; `notify` is told of it.

    If several workers end a run together, one of them does it. What keeps it from being done is
    told, not raised, because the vectors are stored. `stop` ends it, and then nothing is stored.
    """
    models = embedder.models
    try:
        if not is_calibration_due(settings, database, models):
            return
        if (count := _pictures(database)) < ENOUGH:
            notify(f"Not calibrated: {ENOUGH} products with pictures are needed, there are {count}")
            return
        with closing(database.another()) as other:
            store = CalibrationStore(other)
            if not store.run_alone(
                models, lambda: _calibrate(settings, database, embedder, notify, stop)
            ):
                notify("Another worker calibrates these models now.")
    except ShelfsightError as error:
        notify(f"Not calibrated: {error}; {LATER}")


def remind_to_calibrate(
    settings: Settings, database: Database, models: ModelPair, notify: Notify
) -> None:
    """Tell `notify` how to calibrate if that is due, where this process has no models to do it."""
    with suppress(ShelfsightError):  # the vectors are stored, whatever the database says now
        if is_calibration_due(settings, database, models):
            notify("These models are not calibrated yet: shelfsight calibrate")


def _calibrate(
    settings: Settings, database: Database, embedder: Embedder, notify: Notify, stop: Event
) -> None:
    from shelfsight.wiring.calibrating import PHOTOS, calibrate_on_pictures

    if CalibrationStore(database).load(embedder.models) is not None:
        return  # another worker has done it since
    notify(
        f"Calibrating these models once, with about {PHOTOS} of your pictures, so that matches have"
        " a probability. The vectors are stored; Ctrl-C skips this (never: CALIBRATE=false)."
    )
    calibration = calibrate_on_pictures(settings, database, embedder, notify, stop)
    if calibration is not None:
        notify(f"Calibrated with {calibration.source}.")
    elif stop.is_set():
        notify(f"Not calibrated: stopped; {LATER}")
    else:
        notify(f"Not calibrated: too few of the pictures could be fetched; {LATER}")


def _pictures(database: Database) -> int:
    """Return how many products have an image vector; it counts no further than what is enough."""
    from shelfsight.storage.search.sample import CatalogueSample

    return len(CatalogueSample(database).spread(None, ENOUGH))
