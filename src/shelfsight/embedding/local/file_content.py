"""What is in large files, read once until they change: 2 GB take seconds to hash."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from shelfsight.embedding.local.cache_file import cache_folder, write_whole

_CHUNK = 1 << 20
_GAP_CHUNKS = 16
"""Zeros of so many MiB in a row are no weights: a file of a model has none of 1 MiB."""

_KEPT = 200
"""How many files are remembered; the newest stay."""


class FileContent(BaseModel):
    """What is in a file.

    Attributes:
        sha256: the hash in 64 hex digits.
        has_gap: whether 16 MiB in a row are zeros, as where a copy or a download was broken off.
    """

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    has_gap: bool


_MEMORY = TypeAdapter(dict[str, FileContent])


def content_of(path: Path, folder: Path | None = None) -> FileContent:
    """Return what is in a file.

    It is kept in `folder`, by default the user's cache folder, under the file's path, number, size
    and times. A file that was written since is read again.

    Raises:
        OSError: the file cannot be read.
    """
    kept_in = (folder or cache_folder()) / "model_files.json"
    status = path.stat()
    identity = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    key = " ".join([*map(str, identity), str(path.resolve())])
    kept = _read(kept_in)
    if key in kept:
        return kept[key]
    kept[key] = content = _content(path)
    with suppress(OSError, UnicodeError):
        newest = dict(list(kept.items())[-_KEPT:])
        write_whole(kept_in, [_MEMORY.dump_json(newest)])
    return content


def _content(path: Path) -> FileContent:
    hash_ = hashlib.sha256()
    zeros = longest = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hash_.update(chunk)
            zeros = zeros + 1 if not any(chunk[:8]) and chunk.count(0) == len(chunk) else 0
            longest = max(longest, zeros)
    return FileContent(sha256=hash_.hexdigest(), has_gap=longest >= _GAP_CHUNKS)


def _read(path: Path) -> dict[str, FileContent]:
    try:
        return _MEMORY.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}
