"""What an embedding service is: its hosts, its key, and how it takes texts and pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from shelfsight.embedding.remote.server_protocol import (
    RequestOptions,
    ServerProtocol,
    read_openai,
)
from shelfsight.embedding.wire import EmbedResponse
from shelfsight.records import IMAGE_WIDTH, TEXT_WIDTH, Stage

Write = Callable[[Sequence[str], RequestOptions], BaseModel]
Read = Callable[[object], EmbedResponse]
TextProtocol = Callable[[str], ServerProtocol]
PictureProtocol = Callable[[str, str], ServerProtocol]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An embedding service.

    Attributes:
        name: the name for people.
        hosts: the hosts by which the service is recognised.
        prefix: the version of the API that every path starts with; an address may end in it.
        example: the name of a model for texts, for messages.
        texts: returns the protocol for texts, by the name of a model.
        pictures: returns the protocol for pictures, by the name of a model and a PNG file in base64
            to try it with; None if pictures are not sent to this service.
        key_header: the header that has the key; `Authorization` has it as a bearer token.
    """

    name: str
    hosts: tuple[str, ...]
    prefix: str
    example: str
    texts: TextProtocol
    pictures: PictureProtocol | None = None
    key_header: str = "Authorization"

    def key_headers(self, key: str) -> dict[str, str]:
        """Return the headers that have the key."""
        value = f"Bearer {key}" if self.key_header == "Authorization" else key
        return {self.key_header: value}


def texts_at(path: str, write: Write, read: Read) -> ServerProtocol:
    """Return the protocol for texts at a path."""
    return ServerProtocol(
        path=path, stage=Stage.TEXT, width=TEXT_WIDTH, probe_item="a mug", write=write, read=read
    )


def pictures_at(path: str, probe_item: str, write: Write, read: Read) -> ServerProtocol:
    """Return the protocol for pictures at a path."""
    return ServerProtocol(
        path=path,
        stage=Stage.IMAGE,
        width=IMAGE_WIDTH,
        probe_item=probe_item,
        write=write,
        read=read,
    )


def openai_reader(model: str) -> Read:
    """Return the reader of responses that have the shape of OpenAI's, for a model.

    The model goes by the name that it was asked for, which the service may say in another way.
    """
    return lambda value: read_openai(value).model_copy(update={"model": model})
