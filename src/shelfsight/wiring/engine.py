"""Opens what carries out a backfill: a pipeline in this process, or workers on a Ray cluster."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from shelfsight.backfill.losses import RunPolicy
from shelfsight.backfill.pipeline import Pipeline, RunContext
from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.engines import local, remote
from shelfsight.engines.cluster_options import ClusterOptions
from shelfsight.errors import EngineError, install_command
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import open_embedder
from shelfsight.wiring.pipeline import open_pipeline
from shelfsight.wiring.pipeline import run_context as run_context_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine of a backfill.

    `run` processes a job to its end. `run_context` has the catalogue, the store and the ledger.
    `embedder` has the models; None if they are loaded by the workers alone.
    """

    run_context: RunContext
    run: Callable[[Job, Report, Progress], None]
    embedder: Embedder | None = None


@contextmanager
def open_engine(
    settings: Settings,
    database: Database,
    progress: Progress,
    *,
    policy: RunPolicy | None = None,
    cluster: ClusterOptions | None = None,
) -> Iterator[Engine]:
    """Open the workers of a `cluster`, or without a cluster this process, with models of its own.

    Raises:
        EngineError: Ray or its cluster cannot be used.
        ShelfsightError: the models cannot be loaded.
    """
    if cluster is None:
        with (
            open_embedder(sharing(settings), progress.notify) as embedder,
            open_pipeline(settings, database, embedder, progress, policy=policy) as pipeline,
        ):
            run = partial(local.run, pipeline)
            yield Engine(run_context=pipeline, run=run, embedder=embedder)
        return
    try:
        from shelfsight.engines import ray_cluster
    except ModuleNotFoundError as error:
        raise EngineError(
            f"--engine ray: {error.name} is not installed; {install_command('ray')}"
        ) from None
    worker_settings = settings.model_copy(update={"database_url": database.url})
    open_worker_pipeline = partial(worker_pipeline, worker_settings, database.schema)
    with ray_cluster.open_worker_pool(open_worker_pipeline, cluster, progress.notify) as pool:
        run_context = run_context_of(settings, database, pool.models(), policy or RunPolicy())
        yield Engine(run_context=run_context, run=partial(remote.run, pool, run_context))


@contextmanager
def worker_pipeline(
    settings: Settings, schema: str | None, progress: Progress, threads: int
) -> Iterator[Pipeline]:
    """Open the pipeline of a worker on a cluster, with its own models and connections.

    Raises:
        ShelfsightError: the database or the models cannot be used.
    """
    with (
        closing(Database(str(settings.database_url), schema=schema)) as database,
        open_embedder(sharing(settings, threads), progress.notify) as embedder,
        open_pipeline(settings, database, embedder, progress) as pipeline,
    ):
        yield pipeline


def sharing(settings: Settings, cores: int | None = None) -> Settings:
    """Return settings whose models share the cores when several pages are embedded at once.

    `cores` is the number of cores to share; by default all cores of the machine.
    """
    from shelfsight.embedding.embedding_cache import PAGES_IN_FLIGHT

    threads = max(1, (cores or os.cpu_count() or 1) // PAGES_IN_FLIGHT)
    return settings.model_copy(update={"model_threads": settings.model_threads or threads})
