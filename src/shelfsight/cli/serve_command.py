"""The command `shelfsight serve`, which answers scans over HTTP."""

import click

from shelfsight.cli.options import (
    DATABASE,
    LOGS,
    MODELS,
    SERVING,
    WEIGHTS,
    Command,
    serving_processes,
)
from shelfsight.settings import Settings
from shelfsight.telemetry.logs import notifier
from shelfsight.wiring.listening import Listen
from shelfsight.wiring.scan_server import serve_scans


@click.command(cls=Command, settings=(*MODELS, *DATABASE, *WEIGHTS, *SERVING, *LOGS))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0: any free."
)
@serving_processes
@click.option("--insecure", is_flag=True, help="Serve other machines though there is no key.")
def serve(settings: Settings, host: str, port: int, workers: int, insecure: bool) -> None:
    """Answer scans over HTTP, and show a page for them.

    As long as no API key exists, only requests from this machine are answered, and they need no
    key. Other machines are served once a key exists (shelfsight keys create). The server stops at
    Ctrl-C or SIGTERM, after answering the requests in progress, and at the latest after
    STOP_TIMEOUT; the exit status is 1 if something had to be cut.
    """
    serve_scans(settings, Listen(host, port, insecure, workers), notifier(click.echo))
