"""Makes the embedding server from the settings, and runs it."""

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shelfsight.embedding.local.loading import silent
from shelfsight.errors import ServerError, install_command
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import Notify, open_models
from shelfsight.wiring.listening import Listen, settings_of_worker
from shelfsight.wiring.telemetry import start_telemetry

if TYPE_CHECKING:
    from socket import socket

    from fastapi import FastAPI

    from shelfsight.serving.connections import ConnectionTable
    from shelfsight.serving.workers.link import WorkerLink


def serve_models(settings: Settings, listen: Listen, notify: Notify) -> None:
    """Serve both models over HTTP until the process is told to stop.

    Raises:
        SettingsError: the server would accept requests from other machines without a key.
        ModelError: the models cannot be loaded.
        ServerError: the address cannot be used, or the extra is not installed.
    """
    try:
        from shelfsight.serving import access
        from shelfsight.serving.listen import bind, url_of
        from shelfsight.serving.workers.supervisor import WorkerPlan, run_workers
    except ModuleNotFoundError as error:
        raise ServerError(f"{error.name} is not installed; {install_command('server')}") from None
    has_key = settings.embedding_server_api_key is not None
    access.check_host(listen.host, has_key=has_key, insecure=listen.insecure)
    with closing(bind(listen.host, listen.port)) as taken:
        greeting = f"serving {settings.chosen_models} at {url_of(taken)}"
        if listen.workers == 1:
            worker = _Worker(settings, listen)
            worker.serve(taken, notify, greeting=f"{greeting}; Ctrl-C stops")
            return
        run_workers(
            WorkerPlan(
                serve=_Worker(settings_of_worker(settings, listen), listen),
                bound=taken,
                count=listen.workers,
                stop_seconds=settings.stop_timeout,
                notify=notify,
                greeting=f"{greeting}; {listen.workers} workers; Ctrl-C stops",
            )
        )


@dataclass(frozen=True, slots=True)
class _Worker:
    """A process that serves models: the only one, or one of several."""

    settings: Settings
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
        from shelfsight.serving.listen import serve
        from shelfsight.serving.malloc_arenas import limit_arenas

        limit_arenas()
        settings, listen = self.settings, self.listen
        if link is not None:
            start_telemetry(settings, "serve-models")
        connections = ConnectionTable(proxies=TrustedProxies(settings.proxies))
        app = embedding_app(settings, listen, notify, connections=connections, link=link)
        if greeting is not None:
            notify(greeting)
        started = None if link is None else link.tell_started
        serve(app, taken, connections, settings.stop_timeout, started)


def embedding_app(
    settings: Settings,
    listen: Listen | None = None,
    notify: Notify = silent,
    *,
    connections: "ConnectionTable | None" = None,
    link: "WorkerLink | None" = None,
) -> "FastAPI":
    """Return the ASGI app of the embedding server, with its models loaded.

    Without a key, only clients on this machine are served, unless `listen` is insecure. There are
    as many decoder processes as cores, or as `listen` has for this worker. `notify` is told of each
    model that takes long to load. With a `link`, its metrics are those of all workers.

    Raises:
        ModelError: the models cannot be loaded.
    """
    from shelfsight.serving.access import ServerKey
    from shelfsight.serving.embedding_api.app import AppConfig, create

    models = open_models(settings, notify)
    key = settings.embedding_server_api_key
    config = AppConfig(
        key=None if key is None else ServerKey(key.get_secret_value()),
        open_to_all=listen is not None and listen.insecure,
        device=models.image.device,
        decoders=None if listen is None else listen.cores,
        share_metrics=None if link is None else link.share_metrics,
    )
    return create(models.image, models.text, config, connections)
