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


_STOPPING = (
    "Stopping when each worker has stored its products in progress: one batch at the most."
    " Ctrl-C again stops at once."
)


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
    with interruptible(lambda: _STOPPING) as stop, progress.working():
        before = now = begin_run(run_context, job, report, progress, stop)
        _name_batches(job, before, progress)
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
                    progress.stored_by_others(now.done - previous.done)
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


def _name_batches(job: Job, run: Run, progress: Progress) -> None:
    """Tell `progress` the batches of the run, because the workers read them elsewhere."""
    for number in range(1, job.batches(run.remaining) + 1):
        before = (number - 1) * job.batch_size
        progress.batch(number, min(job.batch_size, run.remaining - before))


def count_difference(report: Report, before: Run, after: Run) -> None:
    """Set the counts of `report` to what was done between two readings of a run from the ledger.

    Workers of other versions may have written the counts. So unknown names are ignored, and a
    missing name counts as 0.
    """
    for name in _COUNTED_BY_WORKERS:
        setattr(report, name, after.counts.get(name, 0) - before.counts.get(name, 0))
    report.failures = Counter(after.failures) - Counter(before.failures)
