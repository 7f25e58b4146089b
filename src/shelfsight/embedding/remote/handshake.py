"""The handshake: finds out which models a server has and which protocol the server uses."""

from dataclasses import dataclass

from pydantic import ValidationError

from shelfsight.embedding.openai_wire import OPENAI_PATHS, ModelList
from shelfsight.embedding.remote.connection import ServerConnection
from shelfsight.embedding.remote.model_client import ModelClient
from shelfsight.embedding.remote.server_protocol import (
    ServerProtocol,
    openai_protocol,
    text_protocol,
)
from shelfsight.embedding.remote.server_response import NoSuchEndpointError
from shelfsight.embedding.wire import HEALTH_PATH, TEXT_PATH, Health, ModelInfo
from shelfsight.errors import ServerError


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


async def handshake(
    connection: ServerConnection, images: ServerProtocol, concurrency: int
) -> Handshake:
    """Find the endpoints by embedding probe items; read the models from `/health` if it exists.

    Raises:
        ServerError: the server cannot be used.
    """
    health = await _health(connection)
    texts = await _texts(connection, concurrency)
    try:
        pictures = await _try(connection, images, concurrency)
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


async def _texts(connection: ServerConnection, concurrency: int) -> Endpoint:
    """Find the endpoint for texts: try shelfsight's own protocol first, then OpenAI's."""
    try:
        return await _try(connection, text_protocol(), concurrency)
    except NoSuchEndpointError as error:
        absent = error
    for path in OPENAI_PATHS:
        model = await _listed_model(connection, path)
        try:
            return await _try(connection, openai_protocol(path, model), concurrency)
        except NoSuchEndpointError:
            continue
    raise ServerError(
        f"the embedding server {connection.shown} has neither POST {TEXT_PATH} nor POST"
        f" {OPENAI_PATHS[0]}: EMBEDDING_SERVER_URL must be the address of an embedding server"
    ) from absent


async def _try(
    connection: ServerConnection, protocol: ServerProtocol, concurrency: int
) -> Endpoint:
    client = ModelClient(connection, protocol, concurrency)
    return Endpoint(client, await client.probe())


async def _listed_model(connection: ServerConnection, path: str) -> str | None:
    """Return the first model in the server's list of models; None if there is no list.

    The path of the list is that of the embeddings, with `/models` at its end.
    """
    try:
        listed = ModelList.model_validate(
            await connection.get(path.replace("/embeddings", "/models"))
        )
    except (NoSuchEndpointError, ValidationError):
        return None
    return listed.data[0].id if listed.data else None


def _agreed(probed: ModelInfo, stated: ModelInfo, connection: ServerConnection) -> ModelInfo:
    """Return a model as `/health` describes it, if the vectors have the dimension stated there."""
    if probed.dimension == stated.dimension:
        return stated
    raise ServerError(
        f"the embedding server {connection.shown} says that vectors of {stated.name} have"
        f" {stated.dimension} numbers, and gives {probed.dimension}: see what it runs"
    )
