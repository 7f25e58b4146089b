"""One kind of input on its way to an embedding server, and what comes back."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from pydantic import BaseModel, ValidationError

from shelfsight.embedding.server_answer import RefusedError
from shelfsight.embedding.server_connection import ServerConnection
from shelfsight.embedding.width import fit_width
from shelfsight.embedding.wire import EmbedResponse, ItemError, ModelInfo, decode_vector
from shelfsight.errors import ServerError
from shelfsight.records import Failure, Stage, Vector

IN_FLIGHT = 4
"""Requests of a lane under way at the same time."""

Request = Callable[[Sequence[str], bool], BaseModel]
"""Makes a request of items, in the full form or, where told so, in the plain one."""


class ServerLane:
    """Sends pictures, or texts, to one path; `width` is that of the column.

    A batch that is refused is halved until the guilty item stands alone. A server that has taken
    nothing yet, and takes that item in the plain form, is asked in that form from then on; the
    plain form of pictures holds a single one.
    """

    def __init__(self, connection: ServerConnection, path: str, stage: Stage, width: int) -> None:
        self._connection = connection
        self._path = path
        self._stage = stage
        self._width = width
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)
        self._plain = False
        self._form_is_known = False
        self._model: str | None = None
        self.dimension: int | None = None

    async def embed(self, items: Sequence[str], request: Request) -> list[Vector | Failure]:
        """Give unit vectors (width,) for a batch, in order.

        Raises:
            ServerError: the server cannot be used.
        """
        async with self._in_flight:
            return await self._embed(items, request)

    async def probe(self, item: str, request: Request) -> ModelInfo:
        """Learn the model from the answer to a harmless item.

        Raises:
            ServerError: the server cannot embed it.
        """
        result = (await self.embed([item], request))[0]
        if isinstance(result, Failure) or self.dimension is None:
            message = result.message if isinstance(result, Failure) else "no vector"
            raise ServerError(
                f"the embedding server {self._connection.shown} cannot embed a test item by"
                f" POST {self._path} ({message}): see that it is a server of embeddings"
            )
        return ModelInfo(name=self._model or "unnamed", dimension=self.dimension)

    async def _embed(self, items: Sequence[str], request: Request) -> list[Vector | Failure]:
        plain = self._plain
        if plain and self._stage is Stage.IMAGE and len(items) > 1:
            return [(await self._embed([item], request))[0] for item in items]
        try:
            response = await self._ask(request(items, plain), len(items))
        except RefusedError as refused:
            if plain != self._plain:  # learnt meanwhile, from another batch
                return await self._embed(items, request)
            if len(items) > 1:
                half = len(items) // 2
                first = await self._embed(items[:half], request)
                return first + await self._embed(items[half:], request)
            if self._form_is_known or _item_error(refused):
                return [self._failure(refused)]
            return [await self._embed_plain(items, request, refused)]
        self._form_is_known = True
        return self._results(response)

    async def _embed_plain(
        self, items: Sequence[str], request: Request, refused: RefusedError
    ) -> Vector | Failure:
        """Try an item in the plain form that was refused in the full one."""
        try:
            response = await self._ask(request(items, True), 1)
        except RefusedError:
            return self._failure(refused)
        self._plain = self._form_is_known = True
        return self._results(response)[0]

    async def _ask(self, request: BaseModel, count: int) -> EmbedResponse:
        body = request.model_dump_json(exclude_defaults=True).encode()
        value = await self._connection.post(self._path, body)
        try:
            response = EmbedResponse.model_validate(value)
        except ValidationError as error:
            raise ServerError(
                f"the embedding server {self._connection.shown} answers POST {self._path} with"
                f" JSON that holds no embeddings ({error.errors()[0]['msg']}):"
                " EMBEDDING_SERVER_URL must be the address of an embedding server"
            ) from error
        if len(response.embeddings) != count:
            message = f"{len(response.embeddings)} vectors came back for {count} items"
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
            return Failure(stage=self._stage, kind=error.kind, message=error.message)
        if sent is None:
            return self._bad_vector("none came back")
        try:
            vector = decode_vector(sent)
        except ValueError as broken:
            return self._bad_vector(str(broken))
        if len(vector) != (self.dimension or len(vector)):
            return self._bad_vector(f"{len(vector)} numbers instead of {self.dimension}")
        if not np.isfinite(vector).all() or not vector.any():
            return self._bad_vector("not finite, or all zeros")
        self.dimension = len(vector)
        fitted: Vector = fit_width(vector[np.newaxis], self._width)[0]
        return fitted

    def _bad_vector(self, message: str) -> Failure:
        return Failure(
            stage=self._stage, kind="bad_vector", message=f"the server's vector: {message}"
        )

    def _failure(self, refused: RefusedError) -> Failure:
        error = _item_error(refused)
        return Failure(
            stage=self._stage,
            kind=error.kind if error else refused.kind,
            message=(error.message if error else "") or str(refused),
            retryable=refused.kind.startswith("server_5"),
        )


def _item_error(refused: RefusedError) -> ItemError | None:
    """Give what a server that speaks our form says of the one item it refused."""
    try:
        errors = EmbedResponse.model_validate_json(refused.content).errors
    except ValidationError:
        return None
    return errors[0] if errors else None
