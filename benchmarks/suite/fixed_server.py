"""A stand-in for a GPU: an embedding server that does one batch at a time, in a fixed time.

    python -m benchmarks.suite.fixed_server --batch 0.1

Prints its address. `GET /busy` says for how long it has worked, and from when to when. What it
answers is one vector, made beforehand: only its time is real.
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
    """Works `batch` seconds a request, whatever it holds, and one at a time."""

    def __init__(self, batch: float) -> None:
        self._batch = batch
        self._model = ThreadPoolExecutor(1)
        self._busy, self._first, self._last = 0.0, 0.0, 0.0
        self._answers = {
            IMAGE_PATH: encode_vector(np.ones(768, np.float32) / np.float32(768**0.5)),
            TEXT_PATH: encode_vector(np.ones(1024, np.float32) / 32),
        }

    async def embed(self, request: web.Request) -> web.Response:
        """Take as long as it takes, and answer."""
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
        """Seconds at work and seconds from the first item to the last; then begin anew."""
        told = {"busy": self._busy, "wall": self._last - self._first}
        self._busy, self._first, self._last = 0.0, 0.0, 0.0
        return web.json_response(told)


async def health(_request: web.Request) -> web.Response:
    """Two models of the usual widths."""
    return web.json_response(HEALTH)


async def serve(batch: float) -> None:
    """Answer on a free port of loopback."""
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
