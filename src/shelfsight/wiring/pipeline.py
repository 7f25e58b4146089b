"""Makes the pipeline of a backfill from the settings."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from shelfsight.backfill.attempt_guard import AttemptGuard
from shelfsight.backfill.losses import RunPolicy
from shelfsight.backfill.page_size import Embed
from shelfsight.backfill.pipeline import Pipeline, RunContext
from shelfsight.backfill.progress import Progress
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.records import ModelPair
from shelfsight.settings import Settings
from shelfsight.wiring.database import postgres_catalog
from shelfsight.wiring.embedder import fusion, has_large_models
from shelfsight.wiring.staging import prepare_staged
from shelfsight.wiring.traced_pages import traced


@contextmanager
def open_pipeline(
    settings: Settings,
    database: Database,
    embedder: Embedder,
    progress: Progress,
    *,
    policy: RunPolicy | None = None,
) -> Iterator[Pipeline]:
    """Open the pipeline of a worker; reading and writing use separate connections.

    Raises:
        ModelError: vectors of these models cannot be staged, although `database` is the staged set.
    """
    from shelfsight.embedding.page_embedder import PageEmbedder
    from shelfsight.images.decoder.pool import DecoderPool
    from shelfsight.images.download import FetchLimits
    from shelfsight.images.fetch import FetchConfig, PictureFetcher
    from shelfsight.storage.runs.attempt_log import PostgresAttemptLog
    from shelfsight.storage.runs.run_store import PostgresLedger
    from shelfsight.storage.vectors.store import PostgresVectorStore

    policy = policy or RunPolicy()
    limits = FetchLimits(per_host=settings.host_concurrency)
    pages = PageEmbedder(embedder, fusion(settings), progress.embedded)
    config = FetchConfig(
        images_per_product=settings.images_per_product,
        image_root=settings.image_root,
        image_base_url=settings.image_base_url,
        private_hosts=settings.private_hosts,
        fingerprints=settings.fingerprints,
        notify=progress.notify,
        fetched=progress.fetched,
        known_picture=pages.known_picture,
    )
    prepare_staged(database, embedder.models)
    with (
        closing(database.another()) as reading,
        closing(database.another()) as attempting,
        closing(pages),
        closing(DecoderPool()) as decoders,
        closing(PictureFetcher(embedder.picture_format, decoders, config, limits)) as fetcher,
    ):
        embed: Embed = pages.embed
        if has_large_models(settings):
            embed = AttemptGuard(PostgresAttemptLog(attempting)).guarded(embed)
        yield traced(
            Pipeline(
                catalog=postgres_catalog(settings, reading, embedder.models),
                fetcher=fetcher,
                embed=embed,
                models=embedder.models,
                store=PostgresVectorStore(database, fusion(settings)),
                ledger=PostgresLedger(database, joins=policy.joins),
                policy=policy,
            )
        )


def run_context(
    settings: Settings, database: Database, models: ModelPair, policy: RunPolicy
) -> RunContext:
    """Return what this process needs for a run whose models and work are on other machines."""
    from shelfsight.storage.runs.run_store import PostgresLedger
    from shelfsight.storage.vectors.store import PostgresVectorStore

    prepare_staged(database, models)
    return RunContext(
        catalog=postgres_catalog(settings, database, models),
        models=models,
        store=PostgresVectorStore(database, fusion(settings)),
        ledger=PostgresLedger(database, joins=policy.joins),
        policy=policy,
    )
