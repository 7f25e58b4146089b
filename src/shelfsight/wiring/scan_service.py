"""Makes what the endpoints of a scan server share: pools, threads, models, limits."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shelfsight.ports import Embedder
from shelfsight.postgres.circuit_breaker import CircuitBreaker
from shelfsight.postgres.connection import Database
from shelfsight.postgres.pool import DatabasePool
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.scan.scanner import Later, Scanner
from shelfsight.settings import Settings
from shelfsight.wiring.database import content
from shelfsight.wiring.embedder import fusion
from shelfsight.wiring.scan_models import open_scan_models

if TYPE_CHECKING:
    from shelfsight.images.decoder.pool import DecoderPool
    from shelfsight.serving.scan_api.context import ScanConfig, ScanContext
    from shelfsight.serving.scan_api.memory_plan import MemoryPlan
    from shelfsight.serving.scan_api.metrics import ScanMetrics, TimedDatabase
    from shelfsight.serving.scan_api.scan_models import LoadedModels

SCANS_AT_ONCE = 8
CALLERS_AT_ONCE = 4
HEALTH_AT_ONCE = 2

RETRIES = RetryPolicy(reconnect_seconds=0, busy_seconds=0)
"""A lost connection gets one more try, at once, and a time limit of the database none: a client
waits for the answer. The breaker notices when the database is back."""

CALL_SECONDS = 30.0
"""Seconds beyond the time limit of a scan after which a call to the database is given up."""


@contextmanager
def open_service(
    settings: Settings,
    database: Database,
    embedder: Embedder,
    plan: "MemoryPlan | None" = None,
    *,
    open_to_all: bool = False,
) -> "Iterator[ScanContext]":
    """Open what the endpoints share, with a pool of connections to the same database."""
    from shelfsight.images.decoder.pool import DecoderPool
    from shelfsight.serving.scan_api.auth import AccessRule, Authenticator
    from shelfsight.serving.scan_api.context import ScanContext
    from shelfsight.serving.scan_api.memory_plan import MemoryPlan
    from shelfsight.serving.scan_api.metrics import ScanMetrics, TimedDatabase
    from shelfsight.serving.scan_api.rate_limits import RateLimiter
    from shelfsight.serving.scan_api.recent_scans import RecentScans
    from shelfsight.serving.thread_pool import MAX_SUBMITTED, ThreadPool
    from shelfsight.storage.api_keys import ApiKeys
    from shelfsight.storage.search.feedback import FeedbackStore
    from shelfsight.storage.search.search_cache import MAX_ANSWERS

    plan = plan or MemoryPlan()
    rule = AccessRule(open_to_all=open_to_all, origins=settings.origins)
    rate_limiter, metrics = RateLimiter(settings.rate_limit, settings.byte_limit), ScanMetrics()
    with (
        ExitStack() as stack,
        _open_pools(database.url, settings.scan_timeout + CALL_SECONDS) as (pool, learner),
        closing(ThreadPool(SCANS_AT_ONCE, "scan")) as threads,
        closing(ThreadPool(CALLERS_AT_ONCE, "caller")) as asking,
        closing(ThreadPool(1, "learn")) as learning,
        closing(DecoderPool(plan.decoders, plan.decoder_count)) as decoders,
    ):
        timed_pool = TimedDatabase(pool, learner, metrics)
        prepare = _Preparation(settings, timed_pool, metrics, decoders, learning.submit)
        models = stack.enter_context(
            open_scan_models(settings, pool, database.url, embedder, prepare)
        )
        stores = metrics.stores
        stores.watch_items("search_facts", models.cached_answers, MAX_ANSWERS)
        stores.watch_items("scans_to_learn", lambda: learning.submitted, MAX_SUBMITTED)
        yield ScanContext(
            models=models,
            decoders=decoders,
            database=pool,
            feedback=FeedbackStore(pool),
            authenticator=Authenticator(ApiKeys(pool), asking, rate_limiter, rule),
            rate_limiter=rate_limiter,
            threads=threads,
            metrics=metrics,
            config=_scan_config(settings, plan),
            recent=RecentScans(plan.recent_bytes),
        )


@dataclass(frozen=True)
class _Preparation:
    """Adds to an embedder what scans need besides. `later` runs what can wait, such as learning."""

    settings: Settings
    database: "TimedDatabase"
    metrics: "ScanMetrics"
    decoders: "DecoderPool"
    later: Later

    def __call__(self, embedder: Embedder) -> "LoadedModels":
        from shelfsight.images.decoder.protocol import photo_views
        from shelfsight.serving.scan_api.metrics import TimedEmbedder
        from shelfsight.serving.scan_api.scan_models import LoadedModels
        from shelfsight.storage.search.product_search import PostgresProductSearch

        settings = self.settings
        search = PostgresProductSearch(
            self.database,
            time_zone=settings.shop_time_zone,
            colors=settings.scan_color,
            confirmed=settings.scan_confirmed,
        )
        timed = TimedEmbedder(embedder, self.metrics)
        job = photo_views(settings.scan_views, embedder.picture_format, codes=settings.scan_codes)
        return LoadedModels(
            embedder=embedder,
            scanner=Scanner(timed, search, fusion(settings), settings.weights, self.later),
            read_photo=partial(self.decoders.submit_photo, job),
            cached_answers=lambda: search.cached_answers,
        )


def _scan_config(settings: Settings, plan: "MemoryPlan") -> "ScanConfig":
    from shelfsight.serving.scan_api.context import ScanConfig

    return ScanConfig(
        image_root=settings.image_root,
        image_base_url=settings.image_base_url,
        product_url=settings.product_url,
        add_product_url=settings.add_product_url,
        currency=settings.currency,
        content=content(settings),
        private_hosts=settings.private_hosts,
        cors_origins=settings.origins,
        path_prefix=settings.api_prefix,
        confirms_photos=settings.scan_confirmed,
        seconds=settings.scan_timeout,
        limits=plan.limits,
        map_bytes=plan.map_bytes,
    )


@contextmanager
def _open_pools(url: str, call_seconds: float) -> Iterator[tuple[DatabasePool, DatabasePool]]:
    """Open the connections of the endpoints, and the one that learns from scans.

    A call that takes longer than `call_seconds` fails, and each call while the database is away.
    """
    size = SCANS_AT_ONCE + CALLERS_AT_ONCE + HEALTH_AT_ONCE
    with (
        closing(CircuitBreaker(url, call_seconds=call_seconds)) as breaker,
        closing(DatabasePool(url, size, retries=RETRIES, breaker=breaker)) as pool,
        closing(DatabasePool(url, 1, retries=RETRIES, breaker=breaker)) as learner,
    ):
        yield pool, learner
