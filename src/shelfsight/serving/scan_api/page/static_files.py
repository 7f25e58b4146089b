"""Serves the static files of the page from the package."""

from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from importlib.resources import files

from fastapi import Request
from starlette.responses import Response

_MEDIA_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
}

Handler = Callable[[Request], Awaitable[Response]]


def assets() -> Iterator[tuple[str, Handler]]:
    """Yield the URL path of each file, and the handler that serves the file."""
    for file in (files("shelfsight.serving.scan_api.page") / "static").iterdir():
        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        yield path, _handler(file.read_bytes(), _MEDIA_TYPES[file.name.rpartition(".")[2]])


def _handler(content: bytes, media_type: str) -> Handler:
    """Return a handler that serves a file with an ETag; browsers check it on every use."""
    tag = f'"{sha256(content).hexdigest()[:16]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag}

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return serve
