"""An in-memory ledger of runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

from shelfsight.backfill.leases import Lease
from shelfsight.backfill.runs import Job, Partitioning, Run
from shelfsight.records import ModelPair


class MemoryLedger:
    """Implements `backfill.ports.Ledger` for a single worker, which never loses a claim."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._leases: dict[int, list[Lease]] = {}

    def begin(
        self,
        job: Job,
        models: ModelPair,
        partition: Callable[[], Partitioning],
        stop: Event,
        notify: Callable[[str], None],
    ) -> tuple[Run, bool]:
        """Begin a new run of the ranges that `partition` returns. Open runs are never joined."""
        del stop, notify
        ranges = partition()
        run = Run(id=len(self.runs) + 1, job=job, models=models, due=ranges.due)
        self.runs.append(run)
        self._leases[run.id] = [
            Lease(run=run.id, number=number, fence=1, ranges=(one,))
            for number, one in enumerate(ranges.ranges, 1)
        ]
        return run, False

    @contextmanager
    def leases(
        self, run: Run, stop: Event, notify: Callable[[str], None]
    ) -> Iterator[Iterator[Lease]]:
        """Return a context that yields a lease of each range of a run, until `stop` is set."""
        del notify
        yield (lease for lease in self._leases[run.id] if not stop.is_set())

    def run(self, id_: int) -> Run:
        """Return a run by its id."""
        return self.runs[id_ - 1]

    def accept_losses(self, run: Run) -> Run:
        """Let a run take away any number of stored vectors; return the run."""
        self.runs[run.id - 1] = replace(run, losses_accepted=True)
        return self.run(run.id)

    def close(self, run: Run) -> Run:
        """Close a run if all its ranges are done; return the run."""
        if all(lease.ended.is_set() for lease in self._leases[run.id]):
            self.runs[run.id - 1] = replace(run, outcome="done")
        return self.run(run.id)
