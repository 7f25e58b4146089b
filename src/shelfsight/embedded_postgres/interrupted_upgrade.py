"""What a killed upgrade leaves beside the data folder, and how the next start goes on."""

import shutil
from pathlib import Path

from shelfsight.embedded_postgres import keeper
from shelfsight.errors import EmbeddedDatabaseError


def finished(data: Path) -> Path:
    """Return the name of the new data folder between its last write and its use."""
    return data.with_name("postgres.upgraded")


def recover(data: Path) -> None:
    """Go back to the old data folder after a killed upgrade, or on to the new one if it is whole.

    The caller holds the gate, so no upgrade is running.

    Raises:
        EmbeddedDatabaseError: a server of the upgrade does not stop.

    """
    work = data.with_name(keeper.UPGRADE)
    if work.exists():
        # both servers listen where nobody but the upgrade looks
        stop(keeper.new_data(data))
        stop(data)
        shutil.rmtree(work)
    new = finished(data)
    if new.exists() and not data.exists():
        new.rename(data)
    elif new.exists():
        shutil.rmtree(new)


def stop(data: Path) -> None:
    """Stop the server on this data folder.

    Raises:
        EmbeddedDatabaseError: it does not stop, or runs in another container.

    """
    if not keeper.stop_server(data) or keeper.is_locked(data / keeper.SERVER_LOCK):
        raise EmbeddedDatabaseError(f"the Postgres in {data} does not stop: end its processes")
