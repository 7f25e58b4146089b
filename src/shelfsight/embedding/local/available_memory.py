"""How much memory this process can still get: what the machine has free, within its limits."""

import sys
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return bytes of memory; None on a system that does not say."""
    if sys.platform != "linux":
        return None
    found = [_memory_of_the_machine(), *map(_limit, _limit_files())]
    return min((size for size in found if size is not None), default=None)


def _memory_of_the_machine() -> int | None:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _limit_files() -> Iterator[Path]:
    """Yield the files with the limits of this process's control group, and of the whole container.

    A line of `/proc/self/cgroup` is `0::PATH` in version 2, and `NUMBER:memory:PATH` in version 1.
    """
    groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    for _number, controllers, path in (line.split(":", 2) for line in groups):
        below = path.strip("/")
        for group in (below, ""):
            if not controllers:
                yield _CGROUPS / group / "memory.max"
            elif "memory" in controllers.split(","):
                yield _CGROUPS / "memory" / group / "memory.limit_in_bytes"


def _limit(path: Path) -> int | None:
    try:
        limit = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(limit) if limit.isdecimal() else None
