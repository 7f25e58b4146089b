"""The handshake: finds out which models a server has and which protocol the server uses."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from shelfsight.embedding.openai_wire import OPENAI_PATHS, ModelList
from shelfsight.embedding.remote.connection import ServerConnection
from shelfsight.embedding.remote.model_client import CannotEmbedError, ModelClient
from shelfsight.embedding.remote.server_protocol import (
    ServerProtocol,
    openai_protocol,
    text_protocol,
)
from shelfsight.embedding.remote.server_response import NoSuchEndpointError
from shelfsight.embedding.wire import HEALTH_PATH, TEXT_PATH, Health, ModelInfo
from shelfsight.errors import ServerError

TRIED_MODELS = 8
"""The number of listed models of which it is tried whether they embed, besides the last one."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A client of one of the server's models. The client has embedded the probe item."""

    client: ModelClient
    model: ModelInfo


@dataclass(frozen=True, slots=True)
class Handshake:
    """The endpoints of a server; `images` is None if the server embeds only texts."""

    images: Endpoint | None
    texts: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChoice:
    """Which model embeds texts, by its name, where a server has several; None for any.

    `say` is told which one was taken. `concurrency` is the number of requests at the same time.
    """

    model: str | None
    say: Callable[[str], None]
    concurrency: int


async def handshake(
    connection: ServerConnection, images: ServerProtocol, choice: TextChoice
) -> Handshake:
    """Find the endpoints by embedding probe items; read the models from `/health` if it exists.

    Raises:
        ServerError: the server cannot be used.
    """
    health = await _health(connection)
    texts = await _texts(connection, choice)
    try:
        pictures = await _try(connection, images, choice.concurrency)
    except NoSuchEndpointError:
        return Handshake(None, texts)
    if health is None:
        return Handshake(pictures, texts)
    return Handshake(
        Endpoint(pictures.client, _agreed(pictures.model, health.models.image, connection)),
        Endpoint(texts.client, _agreed(texts.model, health.models.text, connection)),
    )


async def _health(connection: ServerConnection) -> Health | None:
    try:
        return Health.model_validate(await connection.get(HEALTH_PATH))
    except (NoSuchEndpointError, ValidationError):
        return None


async def _texts(connection: ServerConnection, choice: TextChoice) -> Endpoint:
    """Find the endpoint for texts: try shelfsight's own protocol first, then OpenAI's."""
    try:
        return await _try(connection, text_protocol(), choice.concurrency)
    except NoSuchEndpointError as error:
        absent = error
    for path in OPENAI_PATHS:
        try:
            return await _openai_texts(connection, path, choice)
        except NoSuchEndpointError:
            continue
    raise ServerError(
        f"the embedding server {connection.shown} has neither POST {TEXT_PATH} nor POST"
        f" {OPENAI_PATHS[0]}: EMBEDDING_SERVER_URL must be the address of an embedding server"
    ) from absent


async def _openai_texts(connection: ServerConnection, path: str, choice: TextChoice) -> Endpoint:
    """Return the endpoint at a path, with the chosen model or else the first that embeds."""
    if choice.model is not None:
        return await _try(connection, openai_protocol(path, choice.model), choice.concurrency)
    listed = await _listed_models(connection, path)
    for name in listed[:-1][:TRIED_MODELS]:
        with suppress(CannotEmbedError):
            found = await _try(connection, openai_protocol(path, name), choice.concurrency)
            choice.say(_chosen(name, listed))
            return found
    last = listed[-1] if listed else None
    found = await _try(connection, openai_protocol(path, last), choice.concurrency)
    if len(listed) > 1:
        choice.say(_chosen(listed[-1], listed))
    return found


def _chosen(name: str, listed: Sequence[str]) -> str:
    return (
        f"the embedding server lists {len(listed)} models; texts are embedded by {name}, the first"
        " that can: EMBEDDING_SERVER_TEXT_MODEL names another"
    )


async def _try(
    connection: ServerConnection, protocol: ServerProtocol, concurrency: int
) -> Endpoint:
    client = ModelClient(connection, protocol, concurrency)
    return Endpoint(client, await client.probe())


async def _listed_models(connection: ServerConnection, path: str) -> list[str]:
    """Return the names in the server's list of models; none if there is no list.

    The path of the list is that of the embeddings, with `/models` at its end.
    """
    try:
        listed = ModelList.model_validate(
            await connection.get(path.replace("/embeddings", "/models"))
        )
    except (NoSuchEndpointError, ValidationError):
        return []
    return [model.id for model in listed.data]


def _agreed(probed: ModelInfo, stated: ModelInfo, connection: ServerConnection) -> ModelInfo:
    """Return a model as `/health` describes it, if the vectors have the dimension stated there."""
    if probed.dimension == stated.dimension:
        return stated
    raise ServerError(
        f"the embedding server {connection.shown} says that vectors of {stated.name} have"
        f" {stated.dimension} numbers, and gives {probed.dimension}: see what it runs"
    )
