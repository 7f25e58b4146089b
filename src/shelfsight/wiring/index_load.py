"""Decides what happens to the vector indexes while a backfill stores many vectors."""

from contextlib import AbstractContextManager, nullcontext

from shelfsight.backfill.pipeline import RunContext, check_tables
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.runs import Job
from shelfsight.postgres.connection import Database


def indexes_during_load(
    run_context: RunContext, job: Job, database: Database, progress: Progress, *, defer: bool
) -> AbstractContextManager[None]:
    """Return the context to run a backfill in: for a large one, indexes are dropped meanwhile.

    Without `defer`, the indexes stay, and `progress` gets a warning that they slow the run.

    Args:
        run_context: the store to write to, and the catalogue that counts what is due.
        job: the task of the run.
        database: where the vectors are stored.
        progress: receives the warning, and the progress of building the indexes.
        defer: whether to drop the indexes before the run and to build them again after it.

    Raises:
        ShelfsightError: the new vectors would be refused; the indexes are not dropped.
    """
    from shelfsight.storage.index.build import BuildLogger
    from shelfsight.storage.index.deferred_indexes import LARGE, DeferredIndexes, is_large
    from shelfsight.storage.index.indexes import read

    if database.schema is not None:
        return nullcontext()  # staged vectors get their indexes when they are put in use
    live = [one for one in read(database) if one.state != "missing"]
    limit = job.max_batches * job.batch_size
    if not live or 0 < limit <= LARGE:
        return nullcontext()
    check_tables(run_context, job)
    due = run_context.catalog.due(job.selection)
    # most pictures that are requested again are unchanged
    products = job.products(due.products - due.with_image)
    if not is_large(products, max(one.rows for one in live)):
        return nullcontext()
    if defer:
        return DeferredIndexes(
            database, [one.index.name for one in live], BuildLogger(progress.notify)
        )
    progress.notify(
        f"{len(live)} indexes are kept up to date through this load, which slows it;"
        " --defer-index drops them first and builds them again after it"
    )
    return nullcontext()
