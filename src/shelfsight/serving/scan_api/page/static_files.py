"""The files of the page, as they lie beside this one."""

from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from importlib.resources import files

from fastapi import Request
from starlette.responses import Response

_MEDIA_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}

Handler = Callable[[Request], Awaitable[Response]]


def assets() -> Iterator[tuple[str, Handler]]:
    """Each file's path on the server, and what answers there."""
    for file in (files("shelfsight.serving.scan_api.page") / "static").iterdir():
        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        yield path, _handler(file.read_bytes(), _MEDIA_TYPES[file.name.rpartition(".")[2]])


def _handler(content: bytes, media_type: str) -> Handler:
    """Give the file; a browser asks each time whether the one it keeps is still the same."""
    tag = f'"{sha256(content).hexdigest()[:16]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag}

    async def asset(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return asset
