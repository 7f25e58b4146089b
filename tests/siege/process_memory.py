"""The memory of a server and of its decoder processes, as Linux counts it."""

from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of resident memory.

    `pss` counts a page that is shared by n processes as an n-th; `uss` counts only pages that no
    other process has.
    """

    pss: int = 0
    uss: int = 0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.uss + other.uss)


def server_and_decoders(pid: int) -> tuple[Memory, Memory]:
    """Return the memory of a server, and of all processes that it has started together."""
    server = psutil.Process(pid)
    return memory_of(server), sum(map(memory_of, server.children(recursive=True)), Memory())


def memory_of(process: psutil.Process) -> Memory:
    """Return the memory of one process; 0 if it has ended."""
    with suppress(psutil.Error):
        found = process.memory_full_info()
        return Memory(found.pss, found.uss)
    return Memory()
