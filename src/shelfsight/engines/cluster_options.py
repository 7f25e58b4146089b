"""Which machines do the work of a backfill."""

from dataclasses import dataclass

from shelfsight.errors import EngineError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Which Ray cluster to use, and how many workers to start on it.

    Without an `address` (`host:port`) this machine becomes a cluster for the length of the run.
    Without `workers` there is one per GPU if each takes one (`gpus_per_worker`, which may be a
    fraction), else one per machine.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float = 0

    def worker_count(self, machines: int, gpus: float) -> int:
        """How many workers to start on a cluster of this many machines and GPUs.

        Raises:
            EngineError: there are too few GPUs for even one worker.
        """
        if self.workers is not None:
            return self.workers
        if not self.gpus_per_worker:
            return machines
        count = int(gpus / self.gpus_per_worker)
        if not count:
            raise EngineError(
                f"Ray sees {gpus:g} GPUs here, and a worker takes {self.gpus_per_worker:g};"
                " lower --gpus-per-worker, or give --workers to wait for machines that have them"
            )
        return count
