"""Runs the embedding server with the lite models on a free port, and sends requests to it."""

import base64
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
import uvicorn
from PIL import Image
from starlette.types import ASGIApp

from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.onnx_model import load_image, load_text
from shelfsight.embedding.local.text_model import TextModel
from shelfsight.models.table import EFFICIENTNET_LITE1_LITE2, WORDLLAMA
from shelfsight.serving.connections import ConnectionTable
from shelfsight.serving.embedding_api.app import AppConfig, create
from shelfsight.serving.limits import ConnectionLimits
from shelfsight.serving.listen import bind, server_config, url_of


@cache
def lite() -> tuple[ImageModel, TextModel]:
    return load_image(EFFICIENTNET_LITE1_LITE2, None), load_text(WORDLLAMA, None)


def in_process() -> LocalEmbedder:
    image, text = lite()
    return LocalEmbedder(image, text.spec.identity, lambda: text)


@contextmanager
def serving(
    image=None, text=None, connections: ConnectionLimits | None = None, **config
) -> Iterator[str]:
    """Run a server of the lite models, or of those given; yield its URL."""
    table = ConnectionTable(connections)
    app = create(image or lite()[0], text or lite()[1], AppConfig(**config), table)
    with running(app, table) as url:
        yield url


@contextmanager
def running(app: ASGIApp, connections: ConnectionTable | None = None) -> Iterator[str]:
    taken = bind("127.0.0.1", 0)
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets)
            started.set()

    table = ConnectionTable() if connections is None else connections
    server = Server(server_config(app, table))
    url = url_of(taken)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
    thread.start()
    with closing(taken):
        try:
            assert started.wait(60)
            yield url
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


def stores(metrics: str) -> set[str]:
    """Return the names of a server's stores; each must be smaller than its bound."""
    found = dict(re.findall(r'^shelfsight_store_(\w+{store="\w+"}) (\S+)$', metrics, re.MULTILINE))
    sizes = {name: float(size) for name, size in found.items() if not name.startswith("max_")}
    assert len(found) == 2 * len(sizes)
    assert all(size <= float(found[f"max_{name}"]) for name, size in sizes.items()), found
    return {name.split('"')[1] for name in sizes}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        """The kind of an error response."""
        return self.json["error"]["type"]

    @property
    def kinds(self) -> dict[int, str]:
        return {error["index"]: error["kind"] for error in self.json.get("errors", [])}


def ask(url: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
    """Send a POST with a body, as JSON unless it is bytes, or a GET without one."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data)
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=280) as response:
            return Answer(response.status, dict(response.headers), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


def picture(seed: int = 0, side: int = 224) -> np.ndarray:
    """A picture of large patches of colour, which is more like a photo than noise is."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return np.array(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def in_base64(pixels: np.ndarray, kind: str = "PNG") -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def cosine(a: object, b: object) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
