"""SHA-256 of large files, kept as long as the files do not change: 2 GB take seconds to hash."""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

_KEPT = 200
"""How many digests are kept; the newest stay."""


def file_digest(path: Path, folder: Path | None = None) -> bytes:
    """Return the SHA-256 (32 bytes) of a file's content.

    It is kept in `folder`, by default the user's cache folder, under the file's path, number, size
    and time of change. A file that was written since is hashed again.

    Raises:
        OSError: the file cannot be read.
    """
    kept_in = (folder or user_cache_path("shelfsight")) / "digests.json"
    status = path.stat()
    identity = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    key = " ".join([*map(str, identity), str(path.resolve())])
    kept = _read(kept_in)
    with suppress(KeyError, ValueError):
        return bytes.fromhex(kept[key])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    kept[key] = digest.hex()
    with suppress(OSError):
        _write(kept_in, dict(list(kept.items())[-_KEPT:]))
    return digest


def _read(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {key: digest for key, digest in kept.items() if isinstance(digest, str)}


def _write(path: Path, kept: dict[str, str]) -> None:
    """Write a file that other processes see whole or not at all."""
    if not path.is_absolute():  # this user has no home
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
