"""Makes the scan server from the settings, checks who may use it, and runs it."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shelfsight.errors import ServerError, SettingsError, install_command
from shelfsight.postgres.circuit_breaker import CircuitBreaker
from shelfsight.postgres.connection import Database
from shelfsight.postgres.pool import DatabasePool
from shelfsight.settings import Settings
from shelfsight.wiring.database import open_any_version
from shelfsight.wiring.embedder import Notify, open_embedder
from shelfsight.wiring.listening import Listen, settings_of_worker
from shelfsight.wiring.scan_memory import plan_memory
from shelfsight.wiring.scan_service import RETRIES, open_service
from shelfsight.wiring.telemetry import start_telemetry

if TYPE_CHECKING:
    from socket import socket

    from shelfsight.serving.workers.link import WorkerLink


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
        start_telemetry(self.settings, "serve")
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
