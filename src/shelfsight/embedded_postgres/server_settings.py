"""The settings of the embedded Postgres that depend on the machine."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from shelfsight.embedded_postgres.keeper import PORT

_MIN_SHARED_MEMORY = 1 << 30
"""If /dev/shm has fewer bytes, parallel index builds share memory by files instead. In a container
/dev/shm often has 64 MB."""

_SHARED_BUFFERS = 128 << 20, 1 << 30
"""The smallest and the largest `shared_buffers`, in bytes. An index of 100,000 vectors of 768
numbers takes 200 MB. In the default of 128 MB it does not fit, so searches read pages again and
again."""

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""The file that holds the memory limit of a container (Linux, cgroup v2)."""


def arguments(sockets: Path, others: Mapping[str, str]) -> list[str]:
    """Return the settings that depend on the machine, and others, as arguments of `postgres`.

    No shell and no configuration file parses them, so only the folder's name needs quotes.
    """
    folder = str(sockets).replace('"', '""')
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": f'"{folder}"',
        "unix_socket_permissions": "0700",
    }
    if _is_shared_memory_small():
        settings["dynamic_shared_memory_type"] = "mmap"
    return [
        part
        for name, value in (settings | dict(others)).items()
        for part in ("-c", f"{name}={value}")
    ]


def shared_buffers() -> int:
    """Return the value of `shared_buffers` in bytes: a quarter of the memory, as is usual.

    The value stays within the limits of `_SHARED_BUFFERS`. It is written to `postgresql.conf`, so
    that users can change it there.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        memory = min(memory, int(_CGROUP_LIMIT.read_text()))
    smallest, largest = _SHARED_BUFFERS
    return min(largest, max(smallest, memory // 4))


def _is_shared_memory_small() -> bool:
    try:
        shm = os.statvfs(Path("/dev") / "shm")
    except FileNotFoundError:
        return False
    return shm.f_blocks * shm.f_frsize < _MIN_SHARED_MEMORY
