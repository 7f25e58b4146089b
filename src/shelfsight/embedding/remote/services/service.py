"""What an embedding service is: its hosts, its key, and how it takes texts and pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pybase64
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


_MIME_TYPES = ((b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp"))
"""How the files start that are sent besides PNG files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An embedding service.

    Attributes:
        name: the name for people.
        hosts: the hosts by which the service is recognised.
        prefix: the version of the API that every path starts with; an address may end in it.
        example: the name of a model for texts, for messages.
        texts: returns the protocol for texts, by the name of a model.
        pictures: returns the protocol for pictures, JPEG, PNG and WebP files in base64, by the name
            of a model and a file to try it with; None if this service is sent no pictures.
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


def mime_type(file: str) -> str:
    """Return the MIME type of a JPEG, PNG or WebP file in base64."""
    start = pybase64.b64decode(file[:8])
    types = (name for signature, name in _MIME_TYPES if start.startswith(signature))
    return next(types, "image/png")
