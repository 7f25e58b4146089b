"""Serves an ASGI app over HTTP until the process is told to stop."""

import signal
import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from shelfsight.errors import ServerError

STOP_SECONDS = 150
"""Seconds that requests in progress have to finish after the server is told to stop."""


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to an address without listening yet; port 0 chooses a free port.

    Raises:
        ServerError: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as error:
        raise ServerError(
            f"{host}:{port} cannot be listened on ({error}): choose --host and --port"
        ) from None
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket, for a client on this machine."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, bound: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in progress and return."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    # uvicorn sends the signal again after it stopped; it is ignored, because stopping is no failure
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)
    uvicorn.Server(config).run(sockets=[bound])


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass
