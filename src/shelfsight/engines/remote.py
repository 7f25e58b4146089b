"""Runs the backfill by workers elsewhere: begun here, and shown and counted from the ledger."""

from collections import Counter
from typing import TYPE_CHECKING

from shelfsight.backfill.pipeline import RunContext, begin
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job, Run
from shelfsight.engines.local import interruptible

if TYPE_CHECKING:
    from shelfsight.engines.ray_cluster import Fleet


def run(
    fleet: "Fleet", run_context: RunContext, job: Job, report: Report, progress: Progress
) -> None:
    """Run to the end, as `local.run` does, with these workers.

    `report` counts what was done of the run since then, also by others that work on it.

    Raises:
        KeyboardInterrupt: at the second Ctrl-C.
        ShelfsightError: the run cannot go on.
    """
    with interruptible() as stop:
        began = now = begin(run_context, job, report, progress, stop)
        fleet.work(began)
        try:
            while not fleet.is_over:
                if stop.is_set() and not report.interrupted:
                    report.interrupted = True
                    fleet.stop()
                fleet.look()
                before, now = now, run_context.ledger.run(began.id)
                if now.done > before.done:
                    fleet.stored()
                    progress.batch(job.batches(now.done - began.done), now.done - before.done)
                    progress.embedded(now.done - before.done)
        finally:
            _count(report, began, run_context.ledger.close(began))


def _count(report: Report, began: Run, now: Run) -> None:
    for name, count in now.counts.items():
        setattr(report, name, count - began.counts.get(name, 0))
    report.failures = Counter(now.failures) - Counter(began.failures)
