"""Files in the user's cache folder, which other processes see whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return the user's cache folder; it is not absolute if this user has no home."""
    return user_cache_path("shelfsight")


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file from its parts, unless this user has no home.

    Raises:
        OSError: the folder cannot be written to.
    """
    if not path.is_absolute():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
