"""The handshake with an embedding service: tries the models that were named for it."""

from shelfsight.embedding.remote.connection import ServerConnection
from shelfsight.embedding.remote.handshake import Endpoint, Handshake
from shelfsight.embedding.remote.model_client import ModelClient
from shelfsight.embedding.remote.server_protocol import ServerProtocol
from shelfsight.embedding.remote.server_response import NoSuchEndpointError
from shelfsight.embedding.remote.services.service import Service
from shelfsight.errors import ServerError


class ServiceHandshake:
    """Opens the endpoints of a service, with `concurrency` requests at a time for each."""

    def __init__(self, service: Service, connection: ServerConnection, concurrency: int) -> None:
        self._service = service
        self._connection = connection
        self._concurrency = concurrency

    async def open(self, text_model: str | None, image_model: str | None, probe: str) -> Handshake:
        """Embed a text, and `probe` (a PNG file in base64) if a model for pictures is named.

        Raises:
            ServerError: the service cannot be used, or no model for texts is named.
        """
        service = self._service
        if text_model is None:
            raise ServerError(
                f"{service.name} has several models for texts: set EMBEDDING_SERVER_TEXT_MODEL to"
                f" the name of one, as {service.example}"
            )
        if image_model is not None and service.pictures is None:
            raise ServerError(
                f"no pictures are sent to {service.name}: leave EMBEDDING_SERVER_IMAGE_MODEL out,"
                " and the model of MODELS embeds them here"
            )
        texts = await self._try(service.texts(text_model), "EMBEDDING_SERVER_TEXT_MODEL")
        if image_model is None or service.pictures is None:
            return Handshake(None, texts)
        pictures = service.pictures(image_model, probe)
        return Handshake(await self._try(pictures, "EMBEDDING_SERVER_IMAGE_MODEL"), texts)

    async def _try(self, protocol: ServerProtocol, setting: str) -> Endpoint:
        client = ModelClient(self._connection, protocol, self._concurrency)
        try:
            return Endpoint(client, await client.probe())
        except NoSuchEndpointError as error:
            raise ServerError(
                f"{self._service.name} at {self._connection.shown} has no POST {protocol.path}:"
                f" correct {setting} or EMBEDDING_SERVER_URL"
            ) from error
