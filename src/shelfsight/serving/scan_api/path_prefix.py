"""ASGI middleware that serves the paths of an app also below a prefix, such as `/api`."""

from starlette.types import ASGIApp, Receive, Scope, Send


class PathPrefix:
    """Leaves a prefix out of the paths of requests, if they have it. `/api` alone stays."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"].startswith(f"{self._prefix}/"):
            raw: bytes = scope.get("raw_path") or b""
            scope = {
                **scope,
                "path": scope["path"].removeprefix(self._prefix),
                "raw_path": raw.removeprefix(self._prefix.encode()),
            }
        await self._app(scope, receive, send)
