"""Simulate a GPU: an embedding server that takes a fixed time per batch, one batch at a time.

    python -m benchmarks.suite.fixed_server --batch 0.1

It prints its URL. `GET /busy` returns the time spent working and the time from the first batch to
the last. All embeddings are one precomputed vector: only the timing is realistic.
"""

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, sleep

import numpy as np
from aiohttp import web

from shelfsight.embedding.wire import HEALTH_PATH, IMAGE_PATH, TEXT_PATH, encode_vector

HEALTH = {
    "status": "healthy",
    "models": {
        "image": {
            "name": "fixed",
            "revision": "1",
            "dimension": 768,
            "picture": {"side": 224, "resample": "bicubic"},
        },
        "text": {"name": "fixed", "revision": "1", "dimension": 1024},
    },
}


class FixedServer:
    """Takes `batch` seconds per request, whatever its size; one request at a time."""

    def __init__(self, batch: float) -> None:
        self._batch = batch
        self._model = ThreadPoolExecutor(1)
        self._busy, self._first, self._last = 0.0, 0.0, 0.0
        self._answers = {
            IMAGE_PATH: encode_vector(np.ones(768, np.float32) / np.float32(768**0.5)),
            TEXT_PATH: encode_vector(np.ones(1024, np.float32) / 32),
        }

    async def embed(self, request: web.Request) -> web.Response:
        """Wait for the simulated GPU, then respond."""
        body = await request.json()
        items = len(body.get("texts") or body.get("images") or [body.get("image_data")])
        await asyncio.get_running_loop().run_in_executor(self._model, self._work)
        return web.json_response(
            {"embeddings": [self._answers[request.path]] * items, "model": "fixed"}
        )

    def _work(self) -> None:
        self._first = self._first or perf_counter()
        sleep(self._batch)
        self._busy += self._batch
        self._last = perf_counter()

    async def busy(self, _request: web.Request) -> web.Response:
        """Return seconds busy and seconds from the first batch to the last, and reset both."""
        usage = {"busy": self._busy, "wall": self._last - self._first}
        self._busy, self._first, self._last = 0.0, 0.0, 0.0
        return web.json_response(usage)


async def health(_request: web.Request) -> web.Response:
    """Describe two models of the usual dimensions."""
    return web.json_response(HEALTH)


async def serve(batch: float) -> None:
    """Serve on a free loopback port."""
    server = FixedServer(batch)
    app = web.Application(client_max_size=1 << 28)
    app.router.add_post(IMAGE_PATH, server.embed)
    app.router.add_post(TEXT_PATH, server.embed)
    app.router.add_get("/busy", server.busy)
    app.router.add_get(HEALTH_PATH, health)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--batch", type=float, default=0.1, help="seconds a request")
    asyncio.run(serve(parser.parse_args().batch))


if __name__ == "__main__":
    main()
