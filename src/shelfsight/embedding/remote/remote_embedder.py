"""`seams.Embedder` over HTTP: the two models live in an embedding server."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pybase64
from anyio.from_thread import start_blocking_portal
from PIL import Image
from yarl import URL

from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.embedding.remote.connection import ServerConnection
from shelfsight.embedding.remote.handshake import Endpoint, handshake
from shelfsight.embedding.remote.model_client import ModelClient
from shelfsight.embedding.remote.server_protocol import BATCH, image_protocol
from shelfsight.embedding.wire import IMAGE_PATH
from shelfsight.errors import ServerError
from shelfsight.records import Failure, ModelPair, PictureFormat, Pixels, Vector

if TYPE_CHECKING:
    from shelfsight.embedding.local.image_model import ImageModel

USUAL_PICTURE = PictureFormat(side=224, resample="bicubic")
"""What SigLIP base takes: for a server that does not say."""

FEW = 4
"""Items that are not divided among requests, for these would cost more than they gain."""

Results = list[Vector | Failure]
EmbedBatch = Callable[[Sequence[str]], Awaitable[Results]]
LoadImageModel = Callable[[], "ImageModel"]
Item = TypeVar("Item")


class RemoteEmbedder:
    """Both models of a server. Threads may use it at the same time.

    Opening waits for a server that wakes up, at most `cold_start_timeout` seconds. Where the server
    embeds texts only, pictures are embedded here, by what `load_image_model` gives.

    Raises:
        ServerError: the server cannot be used; from every method.
    """

    def __init__(
        self, config: ServerConfig, load_image_model: LoadImageModel | None = None
    ) -> None:
        self._concurrency = config.concurrency
        self._sendable = partial(sendable, compressed=not _is_here(config.url))
        self._embed_images: Callable[[Sequence[Pixels]], Results]
        self._batches: set[Future[Results]] = set()
        with ExitStack() as opening:
            self._portal = opening.enter_context(start_blocking_portal(name="embedding server"))
            connection = opening.enter_context(
                self._portal.wrap_async_context_manager(ServerConnection(config))
            )
            grey = np.full((USUAL_PICTURE.side, USUAL_PICTURE.side, 3), 128, np.uint8)
            found = self._portal.call(
                handshake, connection, image_protocol(self._sendable(grey)), config.concurrency
            )
            self._texts = found.texts.client
            image = self._use_images(found.images, load_image_model, connection.shown)
            opening.callback(self._cancel)
            self._open = opening.pop_all()
        self.models = ModelPair(image=image, text=found.texts.model.identity)

    def embed_images(self, pictures: Sequence[Pixels]) -> Results:
        """Unit vectors (768,) of pictures of shape (side, side, 3), sent without any loss."""
        return self._embed_images(pictures)

    def embed_texts(self, texts: Sequence[str], *, query: bool = False) -> Results:
        """Unit vectors (1024,) of texts; `query` says they ask rather than describe."""
        sendable = [text.encode("utf-8", "replace").decode() for text in texts]
        return self._embed(partial(self._texts.embed, query=query), self._divided(sendable))

    def close(self) -> None:
        """Break off what is under way and let go of the connections; twice does no harm."""
        self._open.close()

    def _use_images(
        self, found: Endpoint | None, load_image_model: LoadImageModel | None, shown: str
    ) -> str:
        """Let the server embed pictures, or else a model here; gives its identity."""
        if found is not None:
            self.picture_format = found.model.picture_format or USUAL_PICTURE
            self._embed_images = partial(self._send_images, found.client)
            return found.model.identity
        if load_image_model is None:
            raise ServerError(f"the embedding server {shown} has no POST {IMAGE_PATH}")
        model = load_image_model()
        self.picture_format = model.spec.picture
        self._embed_images = model.embed
        return f"{model.spec.name}@{model.spec.revision}"

    def _send_images(self, client: ModelClient, pictures: Sequence[Pixels]) -> Results:
        batches = (list(map(self._sendable, batch)) for batch in self._divided(pictures))
        return self._embed(client.embed, batches)

    def _divided(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """Give batches for as many requests as may be under way, none of them needlessly small."""
        size = min(BATCH, max(FEW, -(-len(items) // self._concurrency)))
        return (items[start : start + size] for start in range(0, len(items), size))

    def _embed(self, embed: EmbedBatch, batches: Iterable[Sequence[str]]) -> Results:
        """Send each batch as soon as it is made; the lane lets only so many go at once."""
        futures: list[Future[Results]] = []
        try:
            for batch in batches:
                futures.append(self._portal.start_task_soon(embed, batch))
                self._batches.add(futures[-1])
            return [result for future in futures for result in future.result()]
        finally:
            for future in futures:
                future.cancel()
                self._batches.discard(future)

    def _cancel(self) -> None:
        for batch in tuple(self._batches):
            batch.cancel()


def sendable(pixels: Pixels, *, compressed: bool) -> str:
    """Give a file in base64 without any loss: the server's model sees these very pixels.

    As WebP a photo of 224x224 has about half the bytes, and a quarter fewer than as PNG; it costs
    each side 2 to 3 ms of a core more than BMP, which only a network makes up for.
    """
    file = BytesIO()
    image = Image.fromarray(pixels)
    if compressed:
        image.save(file, "WEBP", lossless=True, quality=0, method=0)
    else:
        image.save(file, "BMP")
    return pybase64.b64encode_as_string(file.getvalue())


def _is_here(url: str) -> bool:
    """Whether a server is on this very machine, by what its address says."""
    host = URL(url).host or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
