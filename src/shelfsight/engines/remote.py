"""Runs the backfill on workers of a cluster, and follows their progress in the ledger."""

from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING

from shelfsight.backfill.pipeline import RunContext, begin_run, report_end
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job, Run
from shelfsight.engines.local import interruptible

if TYPE_CHECKING:
    from shelfsight.engines.ray_cluster import WorkerPool

_COUNTED_HERE = {"due", "recombined", "broken"}
"""Numbers of a report that the driver sets itself; it reads all others from the ledger."""

_COUNTED_BY_WORKERS = {field.name for field in fields(Report) if field.type is int} - _COUNTED_HERE


def run(
    pool: "WorkerPool", run_context: RunContext, job: Job, report: Report, progress: Progress
) -> None:
    """Run a job to its end on the workers of a pool; the counterpart of `local.run`.

    `report` counts everything that was done for the run since this call, including the work of
    workers outside the pool.

    Raises:
        KeyboardInterrupt: at the second Ctrl-C.
        ShelfsightError: the run cannot continue.
    """
    with interruptible() as stop:
        before = now = begin_run(run_context, job, report, progress, stop)
        pool.start_run(before)
        try:
            while not pool.is_over:
                if stop.is_set() and not report.interrupted:
                    report.interrupted = True
                    pool.stop()
                pool.poll()
                previous, now = now, run_context.ledger.run(before.id)
                if now.done > previous.done:
                    pool.note_progress()
                    progress.batch(job.batches(now.done - before.done), now.done - previous.done)
                    progress.embedded(now.done - previous.done)
                if is_enough(before, now):  # each worker has a limit too, but all together more
                    pool.stop()
        finally:
            after = run_context.ledger.close(before)
            count_difference(report, before, after)
        report_end(before, after, report, progress)


def is_enough(before: Run, now: Run) -> bool:
    """Return whether the products that are done since `before` reach the `call_limit`."""
    limit = before.job.call_limit
    return limit is not None and now.done - before.done >= limit


def count_difference(report: Report, before: Run, after: Run) -> None:
    """Set the counts of `report` to what was done between two readings of a run from the ledger.

    Workers of other versions may have written the counts. So unknown names are ignored, and a
    missing name counts as 0.
    """
    for name in _COUNTED_BY_WORKERS:
        setattr(report, name, after.counts.get(name, 0) - before.counts.get(name, 0))
    report.failures = Counter(after.failures) - Counter(before.failures)
