"""The client of a model on an embedding server: sends batches, bisects them, checks the vectors."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from pydantic import ValidationError

from shelfsight.embedding.remote.connection import ServerConnection
from shelfsight.embedding.remote.server_protocol import BATCH, RequestOptions, ServerProtocol
from shelfsight.embedding.remote.server_response import ContentRefusedError, RepeatedFailureError
from shelfsight.embedding.width import fit_width
from shelfsight.embedding.wire import EmbedResponse, ItemError, ModelInfo, decode_vector
from shelfsight.errors import ServerError
from shelfsight.records import Failure, Vector


class CannotEmbedError(ServerError):
    """The server answers, but does not embed a test item with this model."""


class ModelClient:
    """Sends pictures or texts by a protocol, with at most `concurrency` requests at a time.

    A batch that the server refuses is bisected until the item at fault is alone. If both halves
    succeed, the batch was too large, and later batches are at most as large as a half.
    """

    def __init__(
        self, connection: ServerConnection, protocol: ServerProtocol, concurrency: int
    ) -> None:
        self._connection = connection
        self._protocol = protocol
        self._slots = asyncio.Semaphore(concurrency)
        self._plain = False
        self._max_batch = BATCH
        self._model: str | None = None
        self._dimension: int | None = None

    async def probe(self) -> ModelInfo:
        """Embed a harmless item, to learn whether the server accepts more than plain requests.

        Returns the model, with the name that the response states. Call this before `embed`.

        Raises:
            NoSuchEndpointError: the server has no such endpoint.
            ServerError: the server cannot embed the item.
        """
        try:
            response = await self._ask([self._protocol.probe_item])
        except ContentRefusedError as refused:
            self._plain, self._max_batch = True, self._protocol.plain_batch
            try:
                response = await self._ask([self._protocol.probe_item])
            except ContentRefusedError:
                raise self._unusable_server(str(refused)) from refused
        result = self._results(response)[0]
        if isinstance(result, Failure) or self._dimension is None:
            raise self._unusable_server(
                result.message if isinstance(result, Failure) else "no vector"
            )
        return ModelInfo(name=self._model or "unnamed", dimension=self._dimension)

    async def embed(self, items: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        """Embed a batch as unit vectors (width,), in the same order.

        Raises:
            ServerError: the server cannot be used.
        """
        async with self._slots:
            return await self._embed(items, query)

    async def _embed(self, items: Sequence[str], query: bool) -> list[Vector | Failure]:
        if len(items) > self._max_batch:
            return await self._embed_halves(items, query)
        try:
            return self._results(await self._ask(items, query=query))
        except ContentRefusedError as refused:
            if len(items) == 1:
                return [await self._embed_again(items, query, refused)]
            results = await self._embed_halves(items, query)
            if not isinstance(refused, RepeatedFailureError) and not _any_failed(results):
                self._max_batch = min(self._max_batch, -(-len(items) // 2))
            return results

    async def _embed_halves(self, items: Sequence[str], query: bool) -> list[Vector | Failure]:
        half = len(items) // 2
        first = await self._embed(items[:half], query)
        return first + await self._embed(items[half:], query)

    async def _embed_again(
        self, items: Sequence[str], query: bool, refused: ContentRefusedError
    ) -> Vector | Failure:
        """Try an item again at which the server failed in every attempt.

        Before that, the probe item must succeed, which shows that the server works. If the server
        refused the item, it is not tried again.
        """
        if not isinstance(refused, RepeatedFailureError):
            return self._failure(refused)
        with suppress(ContentRefusedError):
            await self._ask([self._protocol.probe_item], keep_trying=True)
        try:
            return self._results(await self._ask(items, query=query))[0]
        except ContentRefusedError as again:
            return self._failure(again)

    async def _ask(
        self, items: Sequence[str], *, query: bool = False, keep_trying: bool = False
    ) -> EmbedResponse:
        asking = RequestOptions(plain=self._plain, query=query, model=self._model)
        request = self._protocol.write(items, asking)
        body = request.model_dump_json(exclude_defaults=True, by_alias=True).encode()
        value = await self._connection.post(self._protocol.path, body, keep_trying=keep_trying)
        try:
            response = self._protocol.read(value)
        except ValidationError as error:
            raise ServerError(
                f"the embedding server {self._connection.shown} answers POST {self._protocol.path}"
                f" with JSON that holds no embeddings ({error.errors()[0]['msg']}):"
                " EMBEDDING_SERVER_URL must be the address of an embedding server"
            ) from error
        if len(response.embeddings) != len(items):
            message = f"{len(response.embeddings)} vectors came back for {len(items)} items"
            raise ContentRefusedError("bad_answer", message)
        self._check_model(response.model)
        return response

    def _check_model(self, model: str | None) -> None:
        if self._model is None:
            self._model = model
        elif model is not None and model != self._model:
            raise ServerError(
                f"the embedding server {self._connection.shown} has changed its model from"
                f" {self._model} to {model}: run again, so that vectors do not mix"
            )

    def _results(self, response: EmbedResponse) -> list[Vector | Failure]:
        errors = {error.index: error for error in response.errors}
        return [
            self._result(sent, errors.get(index)) for index, sent in enumerate(response.embeddings)
        ]

    def _result(self, sent: list[float] | str | None, error: ItemError | None) -> Vector | Failure:
        if error is not None:
            return Failure(stage=self._protocol.stage, kind=error.kind, message=error.message)
        if sent is None:
            return self._bad_vector("none came back")
        try:
            vector = decode_vector(sent)
        except ValueError as broken:
            return self._bad_vector(str(broken))
        if len(vector) != (self._dimension or len(vector)):
            return self._bad_vector(f"{len(vector)} numbers instead of {self._dimension}")
        if not np.isfinite(vector).all() or not vector.any():
            return self._bad_vector("not finite, or all zeros")
        self._dimension = len(vector)
        fitted: Vector = fit_width(vector[np.newaxis], self._protocol.width)[0]
        return fitted

    def _bad_vector(self, message: str) -> Failure:
        return Failure(
            stage=self._protocol.stage, kind="bad_vector", message=f"the server's vector: {message}"
        )

    def _failure(self, refused: ContentRefusedError) -> Failure:
        error = _item_error(refused)
        return Failure(
            stage=self._protocol.stage,
            kind=error.kind if error else refused.kind,
            message=(error.message if error else "") or str(refused),
            retryable=isinstance(refused, RepeatedFailureError),
        )

    def _unusable_server(self, message: str) -> CannotEmbedError:
        return CannotEmbedError(
            f"the embedding server {self._connection.shown} cannot embed a test item by"
            f" POST {self._protocol.path} ({message}): see that it is a server of embeddings"
        )


def _any_failed(results: Sequence[Vector | Failure]) -> bool:
    return any(isinstance(result, Failure) for result in results)


def _item_error(refused: ContentRefusedError) -> ItemError | None:
    """Return the server's error for the refused item; None if our protocol was not used."""
    try:
        errors = EmbedResponse.model_validate_json(refused.content).errors
    except ValidationError:
        return None
    return errors[0] if errors else None
