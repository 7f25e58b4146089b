"""The `Embedder` whose two models run on an embedding server."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import pybase64
from anyio.from_thread import start_blocking_portal
from PIL import Image
from yarl import URL

from shelfsight.embedding import plain_bmp
from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.embedding.remote.connection import ServerConnection
from shelfsight.embedding.remote.handshake import Endpoint, TextChoice, handshake
from shelfsight.embedding.remote.model_client import ModelClient
from shelfsight.embedding.remote.server_protocol import BATCH, image_protocol
from shelfsight.embedding.remote.service_handshake import ServiceHandshake
from shelfsight.embedding.wire import IMAGE_PATH
from shelfsight.errors import ServerError
from shelfsight.ports import Advanced, ignore
from shelfsight.records import Failure, ModelPair, PictureFormat, Pixels, Vector

if TYPE_CHECKING:
    from shelfsight.embedding.local.image_model import ImageModel

DEFAULT_PICTURE = PictureFormat(side=224, resample="bicubic")
"""The picture format of SigLIP base, which is used if a server does not state a format."""

MIN_BATCH = 4
"""The smallest batch that items are split into. Smaller batches would cost more than they gain."""

Results = list[Vector | Failure]
EmbedBatch = Callable[[Sequence[str]], Awaitable[Results]]
LoadImageModel = Callable[[], "ImageModel"]
Item = TypeVar("Item")


class EmbedImages(Protocol):
    """Embeds pictures, on the server or in this process."""

    def __call__(self, pictures: Sequence[Pixels], *, advanced: Advanced) -> Results:
        """Embed pictures (side, side, 3) as unit vectors (768,)."""
        ...


class RemoteEmbedder:
    """Implements `ports.Embedder`. Several threads may use it at the same time.

    The constructor waits up to `cold_start_timeout` seconds for a server that is waking up. If the
    server embeds only texts, the model that `load_image_model` returns embeds pictures in this
    process.

    Raises:
        ServerError: the server cannot be used; every method may raise it.
    """

    def __init__(
        self, config: ServerConfig, load_image_model: LoadImageModel | None = None
    ) -> None:
        choice = TextChoice(
            model=config.text_model, say=config.waiting, concurrency=config.concurrency
        )
        self._concurrency = config.concurrency
        self._encode = _encoder(config)
        self._embed_images: EmbedImages
        self._batches: set[Future[Results]] = set()
        with ExitStack() as opening:
            self._portal = opening.enter_context(start_blocking_portal(name="embedding server"))
            connection = opening.enter_context(
                self._portal.wrap_async_context_manager(ServerConnection(config))
            )
            grey = np.full((DEFAULT_PICTURE.side, DEFAULT_PICTURE.side, 3), 128, np.uint8)
            probe = self._encode(grey)
            if config.service is None:
                server = self._portal.call(handshake, connection, image_protocol(probe), choice)
            else:
                asked = ServiceHandshake(config.service, connection, config.concurrency)
                server = self._portal.call(asked.open, config.text_model, config.image_model, probe)
            self._texts = server.texts.client
            if config.service is None and config.image_model is not None:
                _require_image_model(config.image_model, server.images, connection.shown)
            image = self._use_images(server.images, load_image_model, connection.shown)
            opening.callback(self._cancel)
            self._open = opening.pop_all()
        self.models = ModelPair(image=image, text=server.texts.model.identity)

    def embed_images(self, pictures: Sequence[Pixels], *, advanced: Advanced = ignore) -> Results:
        """Embed pictures (side, side, 3) as unit vectors (768,). Pictures are sent without loss."""
        return self._embed_images(pictures, advanced=advanced)

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> Results:
        """Embed texts as unit vectors (1024,). `query` is True for texts that are searched for."""
        encodable = [text.encode("utf-8", "replace").decode() for text in texts]
        embed = partial(self._texts.embed, query=query)
        return self._embed(embed, self._split(encodable), advanced)

    def close(self) -> None:
        """Cancel the open requests and close the connections. A second call does nothing."""
        self._open.close()

    def _use_images(
        self, endpoint: Endpoint | None, load_image_model: LoadImageModel | None, shown: str
    ) -> str:
        """Choose the server or a local model for pictures; return the identity of the model."""
        if endpoint is not None:
            self.picture_format = endpoint.model.picture_format or DEFAULT_PICTURE
            self._embed_images = partial(self._send_images, endpoint.client)
            return endpoint.model.identity
        if load_image_model is None:
            raise ServerError(f"the embedding server {shown} has no POST {IMAGE_PATH}")
        model = load_image_model()
        self.picture_format = model.spec.picture
        self._embed_images = model.embed
        return model.spec.identity

    def _send_images(
        self, client: ModelClient, pictures: Sequence[Pixels], *, advanced: Advanced
    ) -> Results:
        batches = (list(map(self._encode, batch)) for batch in self._split(pictures))
        return self._embed(client.embed, batches, advanced)

    def _split(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """Split items into batches, so that all concurrent requests are used but none is small."""
        size = min(BATCH, max(MIN_BATCH, -(-len(items) // self._concurrency)))
        return (items[start : start + size] for start in range(0, len(items), size))

    def _embed(
        self, embed: EmbedBatch, batches: Iterable[Sequence[str]], advanced: Advanced
    ) -> Results:
        """Send each batch as soon as it is ready. The client limits how many are sent at a time."""
        futures: list[Future[Results]] = []
        try:
            for batch in batches:
                futures.append(self._portal.start_task_soon(embed, batch))
                self._batches.add(futures[-1])
                futures[-1].add_done_callback(partial(_advance, advanced, len(batch)))
            return [result for future in futures for result in future.result()]
        finally:
            for future in futures:
                future.cancel()
                self._batches.discard(future)

    def _cancel(self) -> None:
        for batch in tuple(self._batches):
            batch.cancel()


def _advance(advanced: Advanced, count: int, future: Future[Results]) -> None:
    if not future.cancelled():
        advanced(count)


def _require_image_model(name: str, images: Endpoint | None, shown: str) -> None:
    """Refuse a server that embeds pictures by another model than the one that was named.

    Raises:
        ServerError: it does, or it embeds no pictures.
    """
    if images is None or name not in {images.model.name, images.model.identity}:
        has = "no pictures" if images is None else f"pictures by {images.model.identity}"
        raise ServerError(
            f"the embedding server {shown} embeds {has}: correct EMBEDDING_SERVER_IMAGE_MODEL"
            f" ({name}), or leave it out"
        )


def _encoder(config: ServerConfig) -> Callable[[Pixels], str]:
    if config.service is not None:
        return encode_png
    return partial(encode_picture, compressed=not _is_local(config.url))


def encode_png(pixels: Pixels) -> str:
    """Encode pixels as a PNG file in base64, which every service reads."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return pybase64.b64encode_as_string(file.getvalue())


def encode_picture(pixels: Pixels, *, compressed: bool) -> str:
    """Encode pixels as a picture file in base64, without loss: the model sees exactly these pixels.

    A photo of 224 x 224 has about half as many bytes in WebP as in BMP, and a quarter fewer than in
    PNG. On each side WebP takes 2 to 3 ms of a core more than BMP, which is only worth it over a
    network.
    """
    if not compressed:
        return pybase64.b64encode_as_string(plain_bmp.encode(pixels))
    file = BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=0, method=0)
    return pybase64.b64encode_as_string(file.getvalue())


def _is_local(url: str) -> bool:
    """Return whether the address says that the server is on this machine."""
    host = URL(url).host or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
