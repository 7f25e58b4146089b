"""Serve an app over HTTP until told to stop."""

import signal
import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from shelfsight.errors import ServerError

STOP_SECONDS = 150
"""How long requests that are under way may take once the server was told to stop."""


def bind(host: str, port: int) -> socket.socket:
    """Take an address, on which nothing listens yet; port 0 is any that is free.

    Raises:
        ServerError: it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except (OSError, OverflowError) as error:
        raise ServerError(
            f"{host}:{port} cannot be listened on ({error}): choose --host and --port"
        ) from None
    return taken


def url_of(taken: socket.socket) -> str:
    """The address as a client on this machine writes it."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, taken: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; what is under way is finished, nothing new is begun."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    # uvicorn raises the signals again once it has stopped: an asked-for stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    uvicorn.Server(config).run(sockets=[taken])


def _stopped(_number: int, _frame: FrameType | None) -> None:
    pass
