"""What `shelfsight index` does, and what a backfill does about indexes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from shelfsight.backfill.pipeline import RunContext
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.runs import Job
from shelfsight.postgres.connection import Database

if TYPE_CHECKING:
    from shelfsight.storage.index.build import BuildObserver
    from shelfsight.storage.index.indexes import IndexState


def read_indexes(database: Database) -> "list[IndexState]":
    """The state of each of our indexes."""
    from shelfsight.storage.index.indexes import read

    return read(database)


def index_advice(found: "list[IndexState]") -> str:
    """What to do about these indexes; empty where nothing is to be done."""
    from shelfsight.storage.index.indexes import advice

    return advice(found)


def build_indexes(database: Database, observer: "BuildObserver") -> list[str]:
    """Build what is missing or broken; gives the names of what was built."""
    from shelfsight.storage.index.build import build

    return build(database, observer)


def drop_indexes(database: Database) -> list[str]:
    """Drop our indexes; gives the names of those there were."""
    from shelfsight.storage.index.indexes import drop

    return drop(database)


def spoken(notify: Callable[[str], None]) -> "BuildObserver":
    """A observer that puts a build into lines."""
    from shelfsight.storage.index.build import BuildLogger

    return BuildLogger(notify)


def measure_indexes(database: Database) -> Iterator[str]:
    """Lines with the recall of each index of vectors."""
    from shelfsight.storage.index.recall import lines

    return lines(database)


def exact_milliseconds(database: Database, one: "IndexState") -> float | None:
    """About how long a search takes without this index; None where that does not matter."""
    from shelfsight.storage.index.recall import exact_milliseconds

    return exact_milliseconds(database, one)


def around_load(
    run_context: RunContext, job: Job, database: Database, progress: Progress, *, defer: bool
) -> AbstractContextManager[None]:
    """What a load runs within: one that is large is warned of live indexes, or defers them.

    Raises:
        ShelfsightError: the load will be refused; the indexes are left alone.
    """
    from shelfsight.storage.index.deferred_indexes import LARGE, DeferredIndexes, is_large
    from shelfsight.storage.index.indexes import read

    if database.schema is not None:
        return nullcontext()  # what is built beside gets its indexes before it is used
    live = [one for one in read(database) if one.state != "missing"]
    most = job.max_batches * job.batch_size
    if not live or 0 < most <= LARGE:
        return nullcontext()
    run_context.store.require(run_context.models, replace=not job.selection.skip_existing)
    due = run_context.catalog.due(job.selection)
    products = job.products(due.products - due.with_image)  # most of those will be as stored
    if not is_large(products, max(one.rows for one in live)):
        return nullcontext()
    if defer:
        return DeferredIndexes(database, [one.index.name for one in live], spoken(progress.notify))
    progress.notify(
        f"{len(live)} indexes are kept up to date through this load, which slows it;"
        " --defer-index drops them first and builds them again after it"
    )
    return nullcontext()
