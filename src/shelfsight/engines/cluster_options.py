"""Which machines do the work."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A Ray cluster by its `address`, or one that this machine is for as long as the run takes.

    Without `workers` there is one for every GPU where each takes one (`gpus_per_worker`, also a
    part of one), else one a machine.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float = 0
