"""The options of a backfill on a Ray cluster."""

from dataclasses import dataclass

from shelfsight.errors import EngineError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """The Ray cluster to use, and how many workers to start on it.

    Without an `address` (`host:port`), this machine becomes a cluster for the duration of the run.
    `gpus_per_worker` is the number of GPUs that a worker needs; it may be a fraction. If `workers`
    is not given, as many workers are started as the GPUs allow. If workers need no GPU, one worker
    per machine is started.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float = 0

    def worker_count(self, machines: int, gpus: float) -> int:
        """Return how many workers to start on a cluster with this many machines and GPUs.

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
