"""ASGI middleware that writes a record of the log for each request, if the log is JSON."""

import logging
import re
from time import perf_counter
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelfsight.embedding.wire import HEALTH_PATH
from shelfsight.serving.callers import CALLER
from shelfsight.serving.paths import METRICS_PATH, READY_PATH
from shelfsight.telemetry.logs import REQUEST_ID, is_json

_LOG = logging.getLogger("shelfsight.access")
_HEADER = b"x-request-id"
_USABLE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_PROBES = frozenset({HEALTH_PATH, READY_PATH, METRICS_PATH})
"""Paths that are asked all the time: they are written down only if the answer is an error."""


class RequestLogMiddleware:
    """Logs method, path template, status, milliseconds and caller, and gives the request an id.

    The id is the header `X-Request-ID` of the request, if it has a usable one, or else a new one.
    The response has it in the same header, and so has every record of the log that belongs to the
    request. Neither the query nor any other header is written down, since they may hold secrets.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, and log how it ended."""
        if scope["type"] != "http" or not is_json():
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        status = 500
        request_id = _request_id(scope)
        token = REQUEST_ID.set(request_id)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (_HEADER, request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            _write(scope, status, 1000 * (perf_counter() - started))
            REQUEST_ID.reset(token)


def _write(scope: Scope, status: int, milliseconds: float) -> None:
    path = getattr(scope.get("route"), "path_format", "other")
    if path in _PROBES and status < 400:
        return
    level = logging.INFO if status < 500 else logging.WARNING
    fields = {
        "event": "request",
        "method": scope["method"],
        "path": path,
        "status": status,
        "ms": round(milliseconds, 1),
        "caller": CALLER.get(),
    }
    _LOG.log(level, {"message": f"{scope['method']} {path} {status}", **fields})


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER and _USABLE_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid4().hex
