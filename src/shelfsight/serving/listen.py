"""Serves an ASGI app over HTTP until the process is told to stop."""

import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from shelfsight.errors import ServerError
from shelfsight.serving.connections import ConnectionTable
from shelfsight.serving.http_protocol import limited_protocol
from shelfsight.serving.stopping import StoppingServer, seconds_for_requests

BACKLOG = 1024
"""Connections that wait to be accepted."""


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to an address and listen; port 0 chooses a free port.

    Connections wait until the app serves them. Two processes can bind the same address, because of
    SO_REUSEADDR, which a quick restart needs. But only one can listen, so that is done here.

    Raises:
        ServerError: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
        except BaseException:
            bound.close()
            raise
    except (OSError, OverflowError) as error:
        raise ServerError(
            f"{host}:{port} cannot be listened on ({error}): choose --host and --port"
        ) from None
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket, for a client on this machine."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_config(
    app: ASGIApp, connections: ConnectionTable, stop_seconds: float = 30
) -> uvicorn.Config:
    """Return uvicorn's configuration for an app whose connections share a table.

    The client address of a request that comes from one of the table's proxies is the last one in
    `X-Forwarded-For` that is not itself a proxy's. Without them the header is ignored. Requests in
    progress have `stop_seconds` to finish after the server is told to stop.
    """
    proxies, limits = connections.proxies, connections.limits
    return uvicorn.Config(
        app,
        http=limited_protocol(connections),
        ws="none",
        lifespan="on",
        log_config=None,  # its records go where ours go
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies.names),
        forwarded_allow_ips=list(proxies.names),
        backlog=BACKLOG,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=stop_seconds,  # type: ignore[arg-type]  # floats work
    )


def serve(
    app: ASGIApp,
    bound: socket.socket,
    connections: ConnectionTable,
    seconds: float,
    on_started: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in progress and return.

    `on_started` is called when connections are accepted.

    The process ends within `seconds` after the signal, whatever is stuck. It then says what it cut,
    and its exit status is 1.

    Raises:
        ServerError: requests were cut.
    """
    # uvicorn sends the signal again after it stopped; it is ignored, because stopping is no failure
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)
    config = server_config(app, connections, stop_seconds=seconds_for_requests(seconds))
    server = StoppingServer(config, seconds, on_started)
    server.run(sockets=[bound])
    if server.cut:
        raise ServerError(f"{server.cut} requests in progress were cut when the server stopped")


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass
