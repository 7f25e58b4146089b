"""One kind of input on its way to an embedding server, and what comes back."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from pydantic import ValidationError

from shelfsight.embedding.remote.answer import FailedError, RefusedError
from shelfsight.embedding.remote.connection import ServerConnection
from shelfsight.embedding.remote.server_protocol import BATCH, Asking, ServerProtocol
from shelfsight.embedding.width import fit_width
from shelfsight.embedding.wire import EmbedResponse, ItemError, ModelInfo, decode_vector
from shelfsight.errors import ServerError
from shelfsight.records import Failure, Vector


class ModelClient:
    """Sends pictures, or texts, in one form, so many requests at a time.

    A batch that is refused is halved until the guilty item stands alone. Where the halves are
    taken whole it was the size, and later batches are no larger.
    """

    def __init__(
        self, connection: ServerConnection, protocol: ServerProtocol, concurrency: int
    ) -> None:
        self._connection = connection
        self._protocol = protocol
        self._in_flight = asyncio.Semaphore(concurrency)
        self._plain = False
        self._most = BATCH
        self._model: str | None = None
        self._dimension: int | None = None

    async def probe(self) -> ModelInfo:
        """Learn from a harmless item which form the server takes, the full or the plain one.

        Gives the model as far as its answer tells. To be called before `embed`.

        Raises:
            NotThereError: the server has no such endpoint.
            ServerError: the server cannot embed it.
        """
        try:
            response = await self._ask([self._protocol.harmless])
        except RefusedError as refused:
            self._plain, self._most = True, self._protocol.plain_batch
            try:
                response = await self._ask([self._protocol.harmless])
            except RefusedError:
                raise self._useless(str(refused)) from refused
        result = self._results(response)[0]
        if isinstance(result, Failure) or self._dimension is None:
            raise self._useless(result.message if isinstance(result, Failure) else "no vector")
        return ModelInfo(name=self._model or "unnamed", dimension=self._dimension)

    async def embed(self, items: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        """Give unit vectors (width,) for a batch, in order.

        Raises:
            ServerError: the server cannot be used.
        """
        async with self._in_flight:
            return await self._embed(items, query)

    async def _embed(self, items: Sequence[str], query: bool) -> list[Vector | Failure]:
        if len(items) > self._most:
            return await self._embed_halves(items, query)
        try:
            return self._results(await self._ask(items, query=query))
        except RefusedError as refused:
            if len(items) == 1:
                return [await self._embed_again(items, query, refused)]
            results = await self._embed_halves(items, query)
            if not isinstance(refused, FailedError) and not _any_failed(results):
                self._most = min(self._most, -(-len(items) // 2))
            return results

    async def _embed_halves(self, items: Sequence[str], query: bool) -> list[Vector | Failure]:
        half = len(items) // 2
        first = await self._embed(items[:half], query)
        return first + await self._embed(items[half:], query)

    async def _embed_again(
        self, items: Sequence[str], query: bool, refused: RefusedError
    ) -> Vector | Failure:
        """Try a lone item again, at which the server failed, once the server is seen to be well."""
        if not isinstance(refused, FailedError):
            return self._failure(refused)
        with suppress(RefusedError):
            await self._ask([self._protocol.harmless], hold_on=True)
        try:
            return self._results(await self._ask(items, query=query))[0]
        except RefusedError as again:
            return self._failure(again)

    async def _ask(
        self, items: Sequence[str], *, query: bool = False, hold_on: bool = False
    ) -> EmbedResponse:
        asking = Asking(plain=self._plain, query=query, model=self._model)
        body = self._protocol.write(items, asking).model_dump_json(exclude_defaults=True).encode()
        value = await self._connection.post(self._protocol.path, body, hold_on=hold_on)
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
            raise RefusedError("bad_answer", message)
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

    def _failure(self, refused: RefusedError) -> Failure:
        error = _item_error(refused)
        return Failure(
            stage=self._protocol.stage,
            kind=error.kind if error else refused.kind,
            message=(error.message if error else "") or str(refused),
            retryable=isinstance(refused, FailedError),
        )

    def _useless(self, message: str) -> ServerError:
        return ServerError(
            f"the embedding server {self._connection.shown} cannot embed a test item by"
            f" POST {self._protocol.path} ({message}): see that it is a server of embeddings"
        )


def _any_failed(results: Sequence[Vector | Failure]) -> bool:
    return any(isinstance(result, Failure) for result in results)


def _item_error(refused: RefusedError) -> ItemError | None:
    """Give what a server that speaks our form says of the one item it refused."""
    try:
        errors = EmbedResponse.model_validate_json(refused.content).errors
    except ValidationError:
        return None
    return errors[0] if errors else None
