"""Makes the embedding server from the settings, and runs it."""

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shelfsight.errors import ServerError, install_command
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import Notify, open_models

if TYPE_CHECKING:
    from fastapi import FastAPI

    from shelfsight.serving.connections import ConnectionTable


@dataclass(frozen=True, slots=True)
class Listen:
    """The address of a server. `insecure` allows requests from other machines without a key."""

    host: str
    port: int
    insecure: bool = False


def serve_models(settings: Settings, listen: Listen, notify: Notify) -> None:
    """Serve both models over HTTP until the process is told to stop.

    Raises:
        SettingsError: the server would accept requests from other machines without a key.
        ModelError: the models cannot be loaded.
        ServerError: the address cannot be used, or the extra is not installed.
    """
    try:
        from shelfsight.serving import access
        from shelfsight.serving.connections import ConnectionTable, TrustedProxies
        from shelfsight.serving.listen import bind, serve, url_of
    except ModuleNotFoundError as error:
        raise ServerError(f"{error.name} is not installed; {install_command('server')}") from None
    has_key = settings.embedding_server_api_key is not None
    access.check_host(listen.host, has_key=has_key, insecure=listen.insecure)
    with closing(bind(listen.host, listen.port)) as taken:
        connections = ConnectionTable(proxies=TrustedProxies(settings.proxies))
        app = embedding_app(settings, open_to_all=listen.insecure, connections=connections)
        notify(f"serving {settings.models} at {url_of(taken)}; Ctrl-C stops")
        serve(app, taken, connections, settings.stop_timeout)


def embedding_app(
    settings: Settings,
    *,
    open_to_all: bool = False,
    connections: "ConnectionTable | None" = None,
) -> "FastAPI":
    """Return the ASGI app of the embedding server, with its models loaded.

    Without a key, only clients on this machine are served, unless it is `open_to_all`.

    Raises:
        ModelError: the models cannot be loaded.
    """
    from shelfsight.serving.access import ServerKey
    from shelfsight.serving.embedding_api.app import AppConfig, create

    models = open_models(settings)
    key = settings.embedding_server_api_key
    config = AppConfig(
        key=None if key is None else ServerKey(key.get_secret_value()),
        open_to_all=open_to_all,
        device=models.image.device,
    )
    return create(models.image, models.text, config, connections)
