"""Makes the parts that a watch needs from the settings."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from shelfsight.backfill.poller import ChangePoller
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.watch import WatchContext
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.postgres.pool import DatabasePool
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.settings import Settings
from shelfsight.wiring.database import is_back, postgres_catalog
from shelfsight.wiring.pipeline import open_pipeline

RETRIES = RetryPolicy(reconnect_seconds=5.0, busy_seconds=5.0)
"""Work is tried again for this long before the watch reports that it is waiting."""

_TAKES_AND_SWEEPS = 2


@contextmanager
def open_watch(
    settings: Settings, database: Database, embedder: Embedder, progress: Progress, every: float
) -> Iterator[WatchContext]:
    """Open the parts that a watch needs, with up to four database connections."""
    from shelfsight.storage.changes.change_queue import PostgresQueue
    from shelfsight.storage.changes.listener import ChangeListener
    from shelfsight.storage.orphans import PostgresOrphanPruner

    url = database.url
    with (
        closing(DatabasePool(url, _TAKES_AND_SWEEPS, retries=RETRIES)) as pool,
        closing(Database(url, retries=RETRIES)) as writing,
        closing(ChangeListener(url)) as listener,
    ):
        catalog = postgres_catalog(settings, pool, embedder.models)
        queue = PostgresQueue(pool)
        orphans = PostgresOrphanPruner(pool, progress.notify)
        with closing(ChangePoller(catalog, queue, orphans, every)) as poller:
            yield WatchContext(
                catalog=catalog,
                queue=queue,
                poller=poller,
                open_pipeline=partial(open_pipeline, settings, writing, embedder, progress),
                listen=listener.wait,
                is_back=partial(is_back, settings),
            )
