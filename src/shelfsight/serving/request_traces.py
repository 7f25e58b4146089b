"""ASGI middleware that makes a span of each request, in the trace that the client names."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelfsight.embedding.wire import HEALTH_PATH
from shelfsight.serving.paths import METRICS_PATH, READY_PATH
from shelfsight.telemetry import traces

_PROBES = frozenset({HEALTH_PATH, READY_PATH, METRICS_PATH})


class RequestTracesMiddleware:
    """Makes a span of each request but probes, if traces are on.

    Its name and attributes are those of OpenTelemetry's semantic conventions for HTTP servers. The
    path is the template, such as `/items/{id}`: an address or a query may hold what is secret.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request within its span."""
        if scope["type"] != "http" or not traces.is_on() or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        with traces.request_span(method, scope["headers"]) as span:
            span.set_attribute("http.request.method", method)

            async def send_and_note_status(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            try:
                await self._app(scope, receive, send_and_note_status)
            finally:
                if route := getattr(scope.get("route"), "path_format", ""):
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
