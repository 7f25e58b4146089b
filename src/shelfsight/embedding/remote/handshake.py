"""What an embedding server has: its models, and in which words it is asked."""

from dataclasses import dataclass

from pydantic import ValidationError

from shelfsight.embedding.openai_wire import OPENAI_PATHS, ModelList
from shelfsight.embedding.remote.answer import NotThereError
from shelfsight.embedding.remote.connection import ServerConnection
from shelfsight.embedding.remote.model_client import ModelClient
from shelfsight.embedding.remote.server_protocol import (
    ServerProtocol,
    openai_protocol,
    text_protocol,
)
from shelfsight.embedding.wire import HEALTH_PATH, TEXT_PATH, Health, ModelInfo
from shelfsight.errors import ServerError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A way to one of the server's models, that has been tried."""

    client: ModelClient
    model: ModelInfo


@dataclass(frozen=True, slots=True)
class Handshake:
    """`images` is None where the server only embeds texts."""

    images: Endpoint | None
    texts: Endpoint


async def handshake(
    connection: ServerConnection, images: ServerProtocol, concurrency: int
) -> Handshake:
    """Learn the models from the server's health, if it is ours, and from what it makes of items.

    Raises:
        ServerError: it cannot be used.
    """
    health = await _health(connection)
    texts = await _texts(connection, concurrency)
    try:
        pictures = await _try(connection, images, concurrency)
    except NotThereError:
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
    except (NotThereError, ValidationError):
        return None


async def _texts(connection: ServerConnection, concurrency: int) -> Endpoint:
    """Ask in our words first, then in those of OpenAI."""
    try:
        return await _try(connection, text_protocol(), concurrency)
    except NotThereError as error:
        absent = error
    for path in OPENAI_PATHS:
        model = await _listed_model(connection, path)
        try:
            return await _try(connection, openai_protocol(path, model), concurrency)
        except NotThereError:
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
    """Give the first model that is listed beside `path`; None where none is."""
    try:
        listed = ModelList.model_validate(
            await connection.get(path.replace("/embeddings", "/models"))
        )
    except (NotThereError, ValidationError):
        return None
    return listed.data[0].id if listed.data else None


def _agreed(tried: ModelInfo, told: ModelInfo, connection: ServerConnection) -> ModelInfo:
    if tried.dimension == told.dimension:
        return told
    raise ServerError(
        f"the embedding server {connection.shown} says that vectors of {told.name} have"
        f" {told.dimension} numbers, and gives {tried.dimension}: see what it runs"
    )
