"""Voyage AI: texts, and pictures by its multimodal models (`voyage-multimodal-3.5`)."""

from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import BaseModel

from shelfsight.embedding.remote.server_protocol import RequestOptions, ServerProtocol
from shelfsight.embedding.remote.services.service import (
    Service,
    Write,
    mime_type,
    openai_reader,
    pictures_at,
    texts_at,
)

PATH = "/v1/embeddings"
MULTIMODAL_PATH = "/v1/multimodalembeddings"

InputType = Literal["document", "query"]


class VoyageRequest(BaseModel):
    """The body of a request to the models for texts."""

    model: str
    input: list[str]
    input_type: InputType


class VoyageText(BaseModel):
    """A text, for a multimodal model."""

    type: Literal["text"]
    text: str


class VoyagePicture(BaseModel):
    """A picture file as a data URL, for a multimodal model."""

    type: Literal["image_base64"]
    image_base64: str


class VoyageInput(BaseModel):
    """One item for a multimodal model."""

    content: list[VoyageText | VoyagePicture]


class VoyageMultimodalRequest(BaseModel):
    """The body of a request to the multimodal models."""

    model: str
    inputs: list[VoyageInput]
    input_type: InputType


ContentOf = Callable[[str], VoyageText | VoyagePicture]


def _texts(model: str) -> ServerProtocol:
    def write(texts: Sequence[str], asking: RequestOptions) -> VoyageRequest:
        return VoyageRequest(model=model, input=list(texts), input_type=_input_type(asking))

    if "multimodal" in model:
        return texts_at(MULTIMODAL_PATH, _multimodal_writer(model, _text), openai_reader(model))
    return texts_at(PATH, write, openai_reader(model))


def _pictures(model: str, probe_item: str) -> ServerProtocol:
    write = _multimodal_writer(model, _picture)
    return pictures_at(MULTIMODAL_PATH, probe_item, write, openai_reader(model))


def _multimodal_writer(model: str, content_of: ContentOf) -> Write:
    def write(items: Sequence[str], asking: RequestOptions) -> VoyageMultimodalRequest:
        inputs = [VoyageInput(content=[content_of(item)]) for item in items]
        input_type = _input_type(asking)
        return VoyageMultimodalRequest(model=model, inputs=inputs, input_type=input_type)

    return write


def _text(text: str) -> VoyageText:
    return VoyageText(type="text", text=text)


def _picture(file: str) -> VoyagePicture:
    return VoyagePicture(type="image_base64", image_base64=f"data:{mime_type(file)};base64,{file}")


def _input_type(asking: RequestOptions) -> InputType:
    return "query" if asking.query else "document"


VOYAGE = Service(
    name="Voyage AI",
    hosts=("api.voyageai.com",),
    prefix="/v1",
    example="voyage-3.5",
    texts=_texts,
    pictures=_pictures,
)
