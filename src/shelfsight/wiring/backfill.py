"""What a backfill is made of."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from shelfsight.backfill import Parts
from shelfsight.database import Database
from shelfsight.progress import Progress
from shelfsight.runs import Run
from shelfsight.seams import Embedder
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import fusion


@contextmanager
def open_parts(
    settings: Settings,
    database: Database,
    embedder: Embedder,
    progress: Progress,
    *,
    joins: bool = True,
) -> Iterator[Parts]:
    """What a backfill is made of; the reader has a connection of its own beside the writer's.

    Unless it `joins` a run of the same job, it begins one of its own.
    """
    from shelfsight.catalog.postgres import PostgresCatalog
    from shelfsight.embedding.page import PageEmbedder
    from shelfsight.images.fetch import FetchConfig, PictureFetcher
    from shelfsight.storage.runs import PostgresLedger
    from shelfsight.storage.vectors import PostgresVectorStore

    config = FetchConfig(
        images_per_product=settings.images_per_product,
        image_root=settings.image_root,
        private_hosts=settings.private_hosts,
    )
    with (
        closing(Database(database.url)) as reading,
        closing(PictureFetcher(embedder.picture_format, config)) as fetcher,
        closing(PageEmbedder(embedder, fusion(settings), progress.embedded)) as pages,
    ):
        yield Parts(
            catalog=PostgresCatalog(reading, images_per_product=settings.images_per_product),
            fetcher=fetcher,
            embed=pages.embed,
            models=embedder.models,
            store=PostgresVectorStore(database, fusion(settings)),
            ledger=PostgresLedger(database, joins=joins),
        )


def newest_open_run(database: Database) -> Run:
    """The run that is open.

    Raises:
        SelectionError: none is.
    """
    from shelfsight.storage.runs import PostgresLedger

    return PostgresLedger(database).newest_open()


def read_runs(database: Database, limit: int) -> list[Run]:
    """The newest runs."""
    from shelfsight.storage.runs import PostgresLedger

    return PostgresLedger(database).runs(limit)
