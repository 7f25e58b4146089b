"""What a backfill does about the indexes while it loads many vectors."""

from contextlib import AbstractContextManager, nullcontext

from shelfsight.backfill.pipeline import RunContext
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.runs import Job
from shelfsight.postgres.connection import Database


def indexes_during_load(
    run_context: RunContext, job: Job, database: Database, progress: Progress, *, defer: bool
) -> AbstractContextManager[None]:
    """The context in which a load runs: a large one defers the indexes, or warns that they slow it.

    Args:
        run_context: the store that is written to, and the catalogue that tells what is due.
        job: what the run is asked to do.
        database: where the vectors are stored.
        progress: hears the warning, and the progress of rebuilding.
        defer: whether to drop the indexes before the load and to build them again after it.

    Raises:
        ShelfsightError: the load will be refused; the indexes are left alone.
    """
    from shelfsight.storage.index.build import BuildLogger
    from shelfsight.storage.index.deferred_indexes import LARGE, DeferredIndexes, is_large
    from shelfsight.storage.index.indexes import read

    if database.schema is not None:
        return nullcontext()  # a staged set gets its indexes at the switch
    live = [one for one in read(database) if one.state != "missing"]
    limit = job.max_batches * job.batch_size
    if not live or 0 < limit <= LARGE:
        return nullcontext()
    run_context.store.require(run_context.models, replace=not job.selection.skip_existing)
    due = run_context.catalog.due(job.selection)
    products = job.products(due.products - due.with_image)  # most refetched images are unchanged
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
