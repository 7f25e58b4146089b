"""Finds out whether file locks work on a filesystem: without them, two servers could start."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shelfsight.embedded_postgres import keeper
from shelfsight.errors import EmbeddedDatabaseError

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""The errors of a filesystem that has no locks, such as NFS whose server has no lock service."""

_MOUNTS = Path("/proc/self/mountinfo")


@contextmanager
def refused_in_words(folder: Path) -> Iterator[None]:
    """Say so where the filesystem of `folder` refuses to lock files.

    Raises:
        EmbeddedDatabaseError: it does.

    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise _no_locks(folder, f"{error.strerror}") from error


def check(lock_file: Path) -> None:
    """Check a lock that this process holds: nobody else may get it.

    Raises:
        EmbeddedDatabaseError: somebody else would get it, on this machine or on another.

    """
    if not keeper.is_locked(lock_file):
        raise _no_locks(lock_file.parent, "two programs can lock the same file")
    if _MOUNTS.exists() and is_local(_MOUNTS.read_text(), lock_file.stat().st_dev):
        raise _no_locks(lock_file.parent, "NFS is mounted with nolock or local_lock")


def is_local(mounts: str, device: int) -> bool:
    """Return whether locks on this device are unknown to the other machines that mount it.

    Args:
        mounts: what `/proc/self/mountinfo` says.
        device: the device number of a file, `st_dev`.

    """
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        mount, _, filesystem = line.partition(" - ")
        if mount.split()[2:3] == [number] and filesystem.startswith("nfs"):
            options = filesystem.split(" ", 2)[2].split(",")
            return not {"nolock", "local_lock=all", "local_lock=flock"}.isdisjoint(options)
    return False


def _no_locks(folder: Path, reason: str) -> EmbeddedDatabaseError:
    return EmbeddedDatabaseError(
        f"file locks do not work in {folder} ({reason}), so two servers could write to one"
        " database: set SHELFSIGHT_HOME to a folder on a local disk, or DATABASE_URL to use"
        " another Postgres"
    )
