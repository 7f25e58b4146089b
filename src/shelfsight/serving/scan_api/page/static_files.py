"""Serves the static files of the page from the package, and the service worker that keeps them."""

import json
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import Request
from starlette.responses import Response

STATIC: Final = files("shelfsight.serving.scan_api.page") / "static"

WORKER: Final = "service-worker.js"
"""The script that may answer for the whole page, since it is served beside the page."""

_MEDIA_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}

Handler = Callable[[Request], Awaitable[Response]]


def assets(folder: Traversable = STATIC) -> Iterator[tuple[str, Handler]]:
    """Yield the URL path of each file of the page, and the handler that serves the file."""
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    worker = contents.pop(WORKER)
    for name, content in contents.items():
        yield f"/{_address(name)}", _handler(content, _media_type(name))
    yield f"/{WORKER}", _handler(_shell(contents) + worker, _media_type(WORKER))


def _address(name: str) -> str:
    """Return the address of a file, relative to that of the page."""
    return "" if name == "index.html" else f"page/{name}"


def _shell(contents: dict[str, bytes]) -> bytes:
    """Return a line of JavaScript with the files of the page, and the version of them all.

    A browser replaces the service worker, and with it the files that it keeps, when this changes.
    """
    tags = [f"{name} {sha256(contents[name]).hexdigest()}" for name in sorted(contents)]
    version = sha256("\n".join(tags).encode()).hexdigest()[:16]
    shell = {"version": version, "files": [f"./{_address(name)}" for name in sorted(contents)]}
    return f"const SHELL = {json.dumps(shell)};\n".encode()


def _media_type(name: str) -> str:
    return _MEDIA_TYPES[name.rpartition(".")[2]]


def _handler(content: bytes, media_type: str) -> Handler:
    """Return a handler that serves a file with an ETag; browsers check it on every use."""
    tag = f'"{sha256(content).hexdigest()[:16]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag}

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return serve
