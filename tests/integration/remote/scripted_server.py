"""Embedding servers on loopback that tests script, and the vectors they send."""

import asyncio
import base64
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from PIL import Image

from shelfsight.embedding.remote.config import RetryPolicy
from shelfsight.embedding.wire import encode_vector
from shelfsight.records import Failure, Vector

QUICK = RetryPolicy(connect=2, answer=2, first_pause=0.01, longest_pause=0.02, quiet=0.02)
HEALTH = {
    "status": "healthy",
    "models": {
        "image": {
            "name": "pixels",
            "revision": "1",
            "dimension": 768,
            "picture": {"side": 32, "resample": "bilinear"},
        },
        "text": {"name": "letters", "revision": "2", "dimension": 1024},
    },
    "device": "cpu",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def image_vector(pixels: np.ndarray, width: int = 768) -> Vector:
    """The first pixel values of a small copy of a picture."""
    small = Image.fromarray(pixels).resize((16, 32))
    return np.asarray(small, np.float32).ravel()[:width] + 1


def text_vector(text: str, width: int = 1024) -> Vector:
    counts = Counter(ord(letter) % width for letter in text)
    return np.array([counts[i] + 0.1 for i in range(width)], np.float32)


def unit(vector: np.ndarray) -> Vector:
    return vector / np.linalg.norm(vector)


class Server:
    """A server of both models; a test may change it, or answer in its place by `before`."""

    def __init__(self) -> None:
        self.health: dict | None = HEALTH
        self.widths = (768, 1024)
        self.takes_batches = True
        self.encodings: tuple[str, ...] = ("float", "base64")
        self.before: Callable[[web.Request, dict], Awaitable[web.StreamResponse | None]] | None
        self.before = None
        self.requests: list[tuple[str, dict]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def bodies(self, path: str) -> list[dict]:
        return [body for called, body in self.requests if called == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        self.requests.append((request.path, body))
        self.headers.append(dict(request.headers))
        if self.before is not None and (answer := await self.before(request, body)) is not None:
            return answer
        if request.path == "/health" and self.health is not None:
            return web.json_response(self.health)
        if request.path == "/embed/image":
            return self.embed_image(body)
        if request.path == "/embed/text":
            return self.embed_text(body)
        return web.json_response({"detail": "Not Found"}, status=404)

    def embed_image(self, body: dict) -> web.Response:
        if "image_data" not in body and not self.takes_batches:
            return missing("image_data")
        files = body.get("images") or [body["image_data"]]
        vectors = [image_vector(decoded(file), self.widths[0]) for file in files]
        return self.answer("pixels", vectors, body)

    def embed_text(self, body: dict) -> web.Response:
        vectors = [text_vector(text, self.widths[1]) for text in body["texts"]]
        return self.answer("letters", vectors, body)

    def answer(self, model: str, vectors: list[Vector], body: dict) -> web.Response:
        encoding = body.get("encoding_format", "float")
        if encoding not in self.encodings:
            return missing("encoding_format")
        sent = [encode_vector(v) if encoding == "base64" else v.tolist() for v in vectors]
        return web.json_response({"embeddings": sent, "model": model})


def decoded(file: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(base64.b64decode(file))))


def missing(field: str) -> web.Response:
    detail = [{"type": "missing", "loc": ["body", field], "msg": "Field required"}]
    return web.json_response({"detail": detail}, status=422)


def refused(kind: str, message: str) -> web.Response:
    errors = [{"index": 0, "kind": kind, "message": message}]
    return web.json_response({"embeddings": [None], "errors": errors}, status=422)


async def status(code: int, **headers: str) -> web.StreamResponse:
    return web.Response(status=code, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def reset(request: web.Request) -> web.StreamResponse:
    """Reset the connection in the middle of the body."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"embeddings": [')
    request.transport.abort()
    return response


async def silence() -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def truncated() -> web.StreamResponse:
    return web.Response(text='{"embeddings": [[0.1, ')


@contextmanager
def serving(handler: Handler, bound: socket.socket | None = None) -> Iterator[str]:
    """Serve on loopback, on the `bound` socket or a free port; returns the address."""

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application(client_max_size=2**27)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.SockSite(runner, bound) if bound else web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    with start_blocking_portal(name="test server") as portal:
        runner, port = portal.call(start)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            portal.call(runner.cleanup)


class Clock:
    """A simulated clock that only pauses advance; it records them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        end = self.now + seconds
        await asyncio.sleep(0)  # pauses made at the same time pass at the same time
        self.now = max(self.now, end)

    def retry_policy(self, **times: float) -> RetryPolicy:
        """The default retry policy on this clock."""
        return RetryPolicy(clock=self, sleep=self.sleep, **times)


def pictures(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(count)
    return [random.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(count)]


def good(results: list[Vector | Failure]) -> list[Vector]:
    for result in results:
        assert not isinstance(result, Failure), result
        assert result.dtype == np.float32
        assert np.linalg.norm(result) == pytest.approx(1, abs=1e-5)
    return results


def failures(results: list[Vector | Failure]) -> dict[int, Failure]:
    return {i: result for i, result in enumerate(results) if isinstance(result, Failure)}
