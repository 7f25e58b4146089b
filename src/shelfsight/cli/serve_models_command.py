"""The command `shelfsight serve-models`, which serves the models over HTTP."""

import click

from shelfsight.cli.options import IN_PROCESS, LOGS, Command, serving_processes
from shelfsight.settings import Settings
from shelfsight.telemetry.logs import notifier
from shelfsight.wiring.embedding_server import serve_models as serve_embeddings
from shelfsight.wiring.listening import Listen


@click.command(
    "serve-models",
    cls=Command,
    settings=(*IN_PROCESS, "embedding_server_api_key", "stop_timeout", "trusted_proxies", *LOGS),
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free."
)
@serving_processes
@click.option("--insecure", is_flag=True, help="Serve other machines without a key.")
def serve_models(settings: Settings, host: str, port: int, workers: int, insecure: bool) -> None:
    """Serve both models over HTTP.

    Use the server with EMBEDDING_SERVER_URL, or with clients of OpenAI. It stops at Ctrl-C or
    SIGTERM, after answering the requests in progress, and at the latest after STOP_TIMEOUT. Other
    machines are served only with EMBEDDING_SERVER_API_KEY; clients must send this key as a bearer
    token.
    """
    serve_embeddings(settings, Listen(host, port, insecure, workers), notifier(click.echo))
