"""The `Embedder` whose two models run on an embedding server."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from anyio.from_thread import start_blocking_portal

from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.embedding.remote.connection import ServerConnection
from shelfsight.embedding.remote.handshake import Endpoint, TextChoice, handshake
from shelfsight.embedding.remote.model_client import ModelClient
from shelfsight.embedding.remote.picture_files import (
    encode_original,
    encode_png,
    lossless_encoder,
    split_by_bytes,
)
from shelfsight.embedding.remote.server_protocol import BATCH, image_protocol
from shelfsight.embedding.remote.service_handshake import ServiceHandshake
from shelfsight.embedding.wire import IMAGE_PATH
from shelfsight.errors import ServerError
from shelfsight.ports import Advanced, ignore
from shelfsight.records import (
    Failure,
    ModelPair,
    ModelPicture,
    PictureFormat,
    Vector,
    pixels_of,
    variant_of,
)

if TYPE_CHECKING:
    from shelfsight.embedding.local.image_model import ImageModel

DEFAULT_PICTURE = PictureFormat(side=224, resample="bicubic")
"""The picture format of SigLIP base, which is used if a server does not state a format."""

ORIGINAL_PICTURE = PictureFormat(side=1_000, resample="bicubic", keeps_shape=True)
"""The format for a server that resizes pictures itself. No model takes more pixels than a view of a
photo has in it. Picture files of products are larger; see `images.sent_picture`."""

ORIGINAL = "original"
"""Marks the identity of a model on a server that was sent original pictures."""

MIN_BATCH = 4
"""The smallest batch that items are split into. Smaller batches would cost more than they gain."""

Results = list[Vector | Failure]
EmbedBatch = Callable[[Sequence[str]], Awaitable[Results]]
LoadImageModel = Callable[[], "ImageModel"]


class EmbedImages(Protocol):
    """Embeds pictures, on the server or in this process."""

    def __call__(self, pictures: Sequence[ModelPicture], *, advanced: Advanced) -> Results:
        """Embed pictures as unit vectors (768,)."""
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
        self._pictures = config.pictures
        self._encode = lossless_encoder(config.url, is_service=config.service is not None)
        self._embed_images: EmbedImages
        self._batches: set[Future[Results]] = set()
        with ExitStack() as opening:
            self._portal = opening.enter_context(start_blocking_portal(name="embedding server"))
            connection = opening.enter_context(
                self._portal.wrap_async_context_manager(ServerConnection(config))
            )
            grey = np.full((DEFAULT_PICTURE.side, DEFAULT_PICTURE.side, 3), 128, np.uint8)
            probe = encode_png(grey)
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

    def embed_images(
        self, pictures: Sequence[ModelPicture], *, advanced: Advanced = ignore
    ) -> Results:
        """Embed pictures as unit vectors (768,).

        Files are sent as they are. Pixels (side, side, 3) are sent without loss, and those of a
        view that keeps its shape as a JPEG.
        """
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
            self._embed_images = partial(self._send_images, endpoint.client)
            if self._takes_originals(endpoint):
                self.picture_format, self._encode = ORIGINAL_PICTURE, encode_original
                return variant_of(endpoint.model.identity, ORIGINAL)
            self.picture_format = endpoint.model.picture_format or DEFAULT_PICTURE
            return endpoint.model.identity
        if load_image_model is None:
            raise ServerError(f"the embedding server {shown} has no POST {IMAGE_PATH}")
        model = load_image_model()
        self.picture_format = model.spec.picture
        self._embed_images = partial(_embed_here, model)
        return model.spec.identity

    def _takes_originals(self, endpoint: Endpoint) -> bool:
        """Return whether the server is sent original pictures.

        With `auto`, it is unless it states which pictures its model takes, as shelfsight's own
        server does.
        """
        if self._pictures == "auto":
            return endpoint.model.picture_format is None
        return self._pictures == "original"

    def _send_images(
        self, client: ModelClient, pictures: Sequence[ModelPicture], *, advanced: Advanced
    ) -> Results:
        batches = split_by_bytes(pictures, self._batch_size(len(pictures)))
        return self._embed(
            client.embed, (list(map(self._encode, batch)) for batch in batches), advanced
        )

    def _split(self, texts: Sequence[str]) -> Iterator[Sequence[str]]:
        size = self._batch_size(len(texts))
        return (texts[start : start + size] for start in range(0, len(texts), size))

    def _batch_size(self, count: int) -> int:
        """Return a size of batches that uses all concurrent requests, unless they get too small."""
        return min(BATCH, max(MIN_BATCH, -(-count // self._concurrency)))

    def _embed(
        self, embed: EmbedBatch, batches: Iterable[Sequence[str]], advanced: Advanced
    ) -> Results:
        """Send each batch as soon as it is ready. The client limits how many are sent at a time.

        Only a few batches more than that are ready, since those of pictures take memory.
        """
        futures: list[Future[Results]] = []
        try:
            for number, batch in enumerate(batches):
                if number >= 2 * self._concurrency:
                    futures[number - 2 * self._concurrency].result()
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


def _embed_here(
    model: "ImageModel", pictures: Sequence[ModelPicture], *, advanced: Advanced
) -> Results:
    return model.embed([pixels_of(one) for one in pictures], advanced=advanced)


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
