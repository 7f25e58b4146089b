"""Tells where a picture is, and reads those that no server is asked for."""

from pathlib import Path

from shelfsight.backfill.picture_identity import is_data
from shelfsight.images.data_url import read_data_url
from shelfsight.images.local_files import is_path, read_below


def location(address: str, base_url: str | None) -> str:
    """Return the whole address of a picture.

    `//host/a.jpg` begins with `https:`. A path, relative or absolute, follows `base_url`; without
    that it stays as it is, as do all other addresses.
    """
    bare = address.strip()
    if bare.startswith("//"):
        return f"https:{bare}"
    if base_url is None or not is_path(bare) or bare[:5].lower() == "file:":
        return address
    return f"{base_url.rstrip('/')}/{bare.lstrip('/')}"


def is_local(address: str) -> bool:
    """Return whether a picture is a file, or part of its address, so that `read_local` reads it."""
    return is_data(address) or is_path(address)


def read_local(root: Path | None, address: str) -> bytes:
    """Read a picture that is a file below `root`, or part of its address.

    Raises:
        UnusablePictureError: see `read_data_url` and `read_below`.
    """
    return read_data_url(address) if is_data(address) else read_below(root, address)
