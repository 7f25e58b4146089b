"""`seams.Embedder` over HTTP: the two models live in an embedding server."""

import base64
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from io import BytesIO

import numpy as np
from anyio.from_thread import start_blocking_portal
from PIL import Image
from pydantic import ValidationError

from shelfsight.embedding.server_answer import NotThereError
from shelfsight.embedding.server_connection import Pace, ServerConfig, ServerConnection
from shelfsight.embedding.server_lane import Request, ServerLane
from shelfsight.embedding.wire import (
    HEALTH_PATH,
    IMAGE_PATH,
    QUERY_INSTRUCTION,
    TEXT_PATH,
    Health,
    ImageRequest,
    ModelsInfo,
    TextRequest,
)
from shelfsight.records import (
    IMAGE_WIDTH,
    TEXT_WIDTH,
    Failure,
    ModelPair,
    PictureFormat,
    Pixels,
    Stage,
    Vector,
)

__all__ = ["Pace", "RemoteEmbedder", "ServerConfig"]

BATCH = 16
"""Pictures or texts a request."""

USUAL_PICTURE = PictureFormat(side=224, resample="bicubic")
"""What SigLIP base takes: for a server that does not say."""

Results = list[Vector | Failure]


class RemoteEmbedder:
    """Both models of a server. Threads may use it at the same time.

    Opening waits for a server that wakes up, at most `cold_start_timeout` seconds.

    Raises:
        ServerError: the server cannot be used; from every method.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._batches: set[Future[Results]] = set()
        with ExitStack() as opening:
            self._portal = opening.enter_context(start_blocking_portal(name="embedding server"))
            connection = opening.enter_context(
                self._portal.wrap_async_context_manager(ServerConnection(config))
            )
            self._images = ServerLane(connection, IMAGE_PATH, Stage.IMAGE, IMAGE_WIDTH)
            self._texts = ServerLane(connection, TEXT_PATH, Stage.TEXT, TEXT_WIDTH)
            models = self._portal.call(self._hello, connection)
            opening.callback(self._cancel)
            self._open = opening.pop_all()
        self.models = ModelPair(image=models.image.identity, text=models.text.identity)
        self.picture_format = models.image.picture_format or USUAL_PICTURE

    def embed_images(self, pictures: Sequence[Pixels]) -> Results:
        """Unit vectors (768,) of pictures of shape (side, side, 3), sent as they are, in PNG."""
        batches = (
            [_png(pixels) for pixels in pictures[start : start + BATCH]]
            for start in range(0, len(pictures), BATCH)
        )
        return self._embed(self._images, batches, _image_request)

    def embed_texts(self, texts: Sequence[str], *, query: bool = False) -> Results:
        """Unit vectors (1024,) of texts; `query` says they ask rather than describe."""
        sendable = [text.encode("utf-8", "replace").decode() for text in texts]
        batches = (sendable[start : start + BATCH] for start in range(0, len(sendable), BATCH))
        return self._embed(self._texts, batches, partial(_text_request, query=query))

    def close(self) -> None:
        """Break off what is under way and let go of the connections; twice does no harm."""
        self._open.close()

    def _embed(
        self, lane: ServerLane, batches: Iterable[Sequence[str]], request: Request
    ) -> Results:
        """Send each batch as soon as it is made; the lane lets only so many go at once."""
        futures: list[Future[Results]] = []
        try:
            for batch in batches:
                futures.append(self._portal.start_task_soon(lane.embed, batch, request))
                self._batches.add(futures[-1])
            return [result for future in futures for result in future.result()]
        finally:
            for future in futures:
                future.cancel()
                self._batches.discard(future)

    def _cancel(self) -> None:
        for batch in tuple(self._batches):
            batch.cancel()

    async def _hello(self, connection: ServerConnection) -> ModelsInfo:
        """Learn the models: from the server's health, else from what it gives for a test item."""
        try:
            models = Health.model_validate(await connection.get(HEALTH_PATH)).models
        except (NotThereError, ValidationError):
            text = await self._texts.probe("a mug", _text_request)
            side = USUAL_PICTURE.side
            grey = np.full((side, side, 3), 128, np.uint8)
            return ModelsInfo(image=await self._images.probe(_png(grey), _image_request), text=text)
        self._images.dimension = models.image.dimension
        self._texts.dimension = models.text.dimension
        return models


def _png(pixels: Pixels) -> str:
    """Give a PNG in base64: lossless, so that the server's model sees these very pixels."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _image_request(pictures: Sequence[str], plain: bool) -> ImageRequest:
    if plain:
        return ImageRequest(image_data=pictures[0])
    return ImageRequest(images=list(pictures), encoding_format="base64")


def _text_request(texts: Sequence[str], plain: bool, *, query: bool = False) -> TextRequest:
    return TextRequest(
        texts=list(texts),
        instruction=QUERY_INSTRUCTION if query else None,
        encoding_format="float" if plain else "base64",
    )
