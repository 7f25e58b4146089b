"""Makes the scan server from the settings, checks who may use it, and runs it."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shelfsight.errors import ServerError, SettingsError, install_command
from shelfsight.ports import Embedder
from shelfsight.postgres.circuit_breaker import CircuitBreaker
from shelfsight.postgres.connection import Database
from shelfsight.postgres.pool import DatabasePool
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.scan.scanner import Scanner
from shelfsight.settings import Settings
from shelfsight.wiring.database import content, open_any_version
from shelfsight.wiring.embedder import Notify, fusion, open_embedder
from shelfsight.wiring.listening import Listen, settings_of_worker
from shelfsight.wiring.scan_memory import plan_memory
from shelfsight.wiring.scan_models import open_scan_models

if TYPE_CHECKING:
    from socket import socket

    from shelfsight.serving.scan_api.context import ScanConfig, ScanContext
    from shelfsight.serving.scan_api.memory_plan import MemoryPlan
    from shelfsight.serving.workers.link import WorkerLink

SCANS_AT_ONCE = 8
CALLERS_AT_ONCE = 4
HEALTH_AT_ONCE = 2

RETRIES = RetryPolicy(reconnect_seconds=0, busy_seconds=0)
"""A lost connection gets one more try, at once, and a time limit of the database none: a client
waits for the answer. The breaker notices when the database is back."""

CALL_SECONDS = 30.0
"""Seconds beyond the time limit of a scan after which a call to the database is given up."""


def serve_scans(settings: Settings, listen: Listen, notify: Notify) -> None:
    """Answer scans over HTTP until the process is told to stop.

    Raises:
        SettingsError: the server would accept requests from other machines without a key, or
            `MEMORY` is too little.
        DatabaseError: the database cannot be used, or lacks the tables.
        ModelError: the models cannot be loaded.
        ServerError: the address cannot be used, or the extra is not installed.
    """
    with open_any_version(settings) as database:
        _check_version(database.url, notify)
        serve_shop(settings, database, listen, notify)


def serve_shop(settings: Settings, database: Database, listen: Listen, notify: Notify) -> None:
    """Answer scans of the products in this database; see `serve_scans`."""
    try:
        from shelfsight.serving.listen import bind, url_of
        from shelfsight.serving.scan_api import shared_state
        from shelfsight.serving.workers.supervisor import WorkerPlan, run_workers
    except ModuleNotFoundError as error:
        raise ServerError(f"{error.name} is not installed; {install_command('server')}") from None
    _check_access(database.url, listen, notify)
    with closing(bind(listen.host, listen.port)) as taken:
        greeting = f"serving scans at {url_of(taken)}"
        if listen.workers == 1:
            worker = _Worker(settings, database.url, listen)
            worker.serve(taken, notify, greeting=f"{greeting}; Ctrl-C stops")
            return
        run_workers(
            WorkerPlan(
                serve=_Worker(settings_of_worker(settings, listen), database.url, listen),
                bound=taken,
                count=listen.workers,
                stop_seconds=settings.stop_timeout,
                notify=notify,
                greeting=f"{greeting}; {listen.workers} workers; Ctrl-C stops",
                handlers=shared_state.handlers(),
            )
        )


@dataclass(frozen=True, slots=True)
class _Worker:
    """A process that serves scans: the only one, or one of several."""

    settings: Settings
    url: str
    listen: Listen

    def __call__(self, taken: "socket", link: "WorkerLink") -> None:
        """Serve as one of several workers."""
        self.serve(taken, link.notify, link=link)

    def serve(
        self,
        taken: "socket",
        notify: Notify,
        *,
        link: "WorkerLink | None" = None,
        greeting: str | None = None,
    ) -> None:
        """Load the models, and serve until the process is told to stop."""
        from shelfsight.serving.connections import ConnectionTable, TrustedProxies
        from shelfsight.serving.listen import serve as serve_app
        from shelfsight.serving.malloc_arenas import limit_arenas
        from shelfsight.serving.scan_api.app import create
        from shelfsight.serving.scan_api.health import HealthCheck
        from shelfsight.serving.scan_api.shared_state import share

        limit_arenas()
        settings, listen = self.settings, self.listen
        with ExitStack() as stack:
            database = stack.enter_context(closing(Database(self.url)))
            embedder = stack.enter_context(
                open_embedder(_with_less_patience(settings), notify, for_scans=True)
            )
            plan = plan_memory(settings, embedder, notify, listen)
            connections = ConnectionTable(plan.connections, TrustedProxies(settings.proxies))
            service = stack.enter_context(
                open_service(settings, database, embedder, plan, open_to_all=listen.insecure)
            )
            if link is not None:
                share(service, link)
            app = create(service, connections)
            for problem in asyncio.run(HealthCheck(service).ready()).problems:
                notify(f"not ready ({problem.kind}): {problem.detail}")
            if greeting is not None:
                notify(greeting)
            started = None if link is None else link.tell_started
            serve_app(app, taken, connections, settings.stop_timeout, started)


def _with_less_patience(settings: Settings) -> Settings:
    """Return settings with which a thread waits no longer for an embedding server than a scan."""
    patience = min(settings.server_down_timeout, settings.scan_timeout)
    return settings.model_copy(update={"server_down_timeout": patience})


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
    from shelfsight.images.decoder.protocol import photo_views
    from shelfsight.serving.scan_api.auth import AccessRule, Authenticator
    from shelfsight.serving.scan_api.context import ScanContext
    from shelfsight.serving.scan_api.memory_plan import MemoryPlan
    from shelfsight.serving.scan_api.metrics import ScanMetrics, TimedDatabase, TimedEmbedder
    from shelfsight.serving.scan_api.rate_limits import RateLimiter
    from shelfsight.serving.scan_api.recent_scans import RecentScans
    from shelfsight.serving.scan_api.scan_models import LoadedModels
    from shelfsight.serving.thread_pool import MAX_SUBMITTED, ThreadPool
    from shelfsight.storage.api_keys import ApiKeys
    from shelfsight.storage.search.feedback import FeedbackStore
    from shelfsight.storage.search.product_search import PostgresProductSearch
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

        def prepare(embedder: Embedder) -> LoadedModels:
            search = PostgresProductSearch(
                timed_pool, time_zone=settings.shop_time_zone, colors=settings.scan_color
            )
            timed, weights = TimedEmbedder(embedder, metrics), settings.weights
            views, form = settings.scan_views, embedder.picture_format
            job = photo_views(views, form, codes=settings.scan_codes)
            return LoadedModels(
                embedder=embedder,
                scanner=Scanner(timed, search, fusion(settings), weights, learning.submit),
                read_photo=partial(decoders.submit_photo, job),
                cached_answers=lambda: search.cached_answers,
            )

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


@contextmanager
def _open_impatient(url: str) -> Iterator[DatabasePool]:
    """Open a connection whose calls fail soon if the database does not answer."""
    with (
        closing(CircuitBreaker(url)) as breaker,
        closing(DatabasePool(url, 1, retries=RETRIES, breaker=breaker)) as pool,
    ):
        yield pool


def _check_version(url: str, notify: Notify) -> None:
    """Refuse a newer schema; serve with an older one, so that scans go on while it is upgraded."""
    from shelfsight.storage.migrations import version

    with _open_impatient(url) as database:
        found = database.run(version.refuse_newer, read_only=True)
    if found < version.latest():
        notify("the tables are of an older release: only scans are served; run: shelfsight init")


def _check_access(url: str, listen: Listen, notify: Notify) -> None:
    from shelfsight.serving.access import is_loopback
    from shelfsight.storage.api_keys import ApiKeys

    with _open_impatient(url) as database:
        has_keys = ApiKeys(database).exist()
    if has_keys:
        notify("every request needs an API key (shelfsight keys list)")
    elif is_loopback(listen.host):
        notify("there is no API key: whoever is on this machine may ask (shelfsight keys create)")
    elif listen.insecure:
        notify("INSECURE: whoever reaches this machine may ask, until there is an API key")
    else:
        raise SettingsError(
            f"--host {listen.host} lets other machines ask, and there is no API key:"
            " run shelfsight keys create, or say --insecure"
        )
