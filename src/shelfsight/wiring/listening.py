"""Where a server listens, with how many processes, and what each of them may use."""

import os
from dataclasses import dataclass

from shelfsight.settings import Settings


@dataclass(frozen=True, slots=True)
class Listen:
    """The address of a server. `insecure` allows requests from other machines without a key.

    `workers` is the number of processes that serve it.
    """

    host: str
    port: int
    insecure: bool = False
    workers: int = 1

    @property
    def cores(self) -> int:
        """The cores for each of the processes."""
        return max(1, (os.cpu_count() or 1) // self.workers)


def settings_of_worker(settings: Settings, listen: Listen) -> Settings:
    """Return the settings of one of several workers, which share the cores for their models."""
    if settings.model_threads:
        return settings
    return settings.model_copy(update={"model_threads": listen.cores})
