"""The major versions of Postgres: of a data folder, and of the programs."""

import re
from pathlib import Path

from shelfsight.embedded_postgres.server_user import ServerUser
from shelfsight.errors import EmbeddedDatabaseError


def of_data(data: Path) -> int:
    """Return the major version of the Postgres that made this data folder."""
    return int((data / "PG_VERSION").read_text())


def of_programs(binaries: Path) -> int:
    """Return the major version of the Postgres in this folder.

    Raises:
        EmbeddedDatabaseError: the folder holds no Postgres that runs here.

    """
    shown = ServerUser().run([binaries / "postgres", "--version"]).stdout
    if (found := re.search(r"\(PostgreSQL\) (\d+)", shown)) is None:
        raise EmbeddedDatabaseError(f"{binaries / 'postgres'} does not run: {shown.strip()}")
    return int(found[1])


def check(data: Path, binaries: Path) -> None:
    """Check that these programs can read this data folder.

    Raises:
        EmbeddedDatabaseError: another major version made it. The message says what to do.

    """
    old, new = of_data(data), of_programs(binaries)
    if old != new:
        raise mismatch(data, old, new)


def mismatch(data: Path, old: int, new: int) -> EmbeddedDatabaseError:
    """Return the error that data of one major version meets programs of another."""
    if old > new:
        remedy = "install the newer shelfsight again, or set SHELFSIGHT_HOME to another folder"
    else:
        remedy = "run shelfsight upgrade-embedded, which copies the data and keeps the old folder"
    return EmbeddedDatabaseError(
        f"{data} was made by Postgres {old}, and this is Postgres {new}: {remedy}"
    )
