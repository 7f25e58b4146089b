"""Reads pictures given as file paths, from one folder only, even if there are symbolic links."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shelfsight.images.decode import MAX_BYTES
from shelfsight.images.unusable import UnusablePictureError

_SCHEME = re.compile(r"\s*(?!file:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def is_path(address: str) -> bool:
    """Return whether an address is a path: it has no scheme, or the scheme `file:`."""
    return bool(address.strip()) and not _SCHEME.match(address)


def read_below(root: Path | None, address: str) -> bytes:
    """Read a file in the folder `root`, given by its path; at most 20 MB and 1 byte.

    The path may be relative or absolute.

    Raises:
        UnusablePictureError: `bad_address`, `forbidden_path`, `file_not_found` or
            `file_unreadable`.
    """
    if root is None:
        raise UnusablePictureError(
            "bad_address",
            "not an http(s) address; for a path set IMAGE_ROOT (a folder) or IMAGE_BASE_URL",
        )
    try:
        top = root.resolve()
        path = (top / _path(address)).resolve()
        if not path.is_relative_to(top):
            raise UnusablePictureError("forbidden_path", "the path leads out of IMAGE_ROOT")
        if not path.is_file():
            raise UnusablePictureError("file_not_found", "there is no such file under IMAGE_ROOT")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except ValueError:
        raise UnusablePictureError("bad_address", "the path makes no sense") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: circular links, up to Python 3.12
        reason = error.strerror if isinstance(error, OSError) else "links in a circle"
        raise UnusablePictureError(
            "file_unreadable", f"the file cannot be read: {reason}"
        ) from None


def _path(address: str) -> str:
    address = address.strip()
    if address[:5].lower() != "file:":
        return address
    parts = urlsplit(address)
    if parts.netloc not in {"", "localhost"}:
        raise UnusablePictureError("bad_address", "a file: address on another host is not read")
    return unquote(parts.path)
