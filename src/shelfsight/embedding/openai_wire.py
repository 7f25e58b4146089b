"""`POST /v1/embeddings` as OpenAI defined it, with pictures beside texts."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, PositiveInt

from shelfsight.embedding.wire import Encoding, ItemError

OPENAI_PATH = "/v1/embeddings"

OPENAI_PATHS = (OPENAI_PATH, "/embeddings")
"""Where servers have it: Infinity serves it without the prefix unless told otherwise."""


def _strings_only(sent: object) -> object:
    """Refuse what OpenAI and others take besides, in words that say what to send instead."""
    kinds = {type(item) for item in (sent if isinstance(sent, list) else [sent])}
    if kinds & {int, list}:
        raise ValueError("lists of tokens are not taken, for they are one tokenizer's: send text")
    if dict in kinds:
        raise ValueError(
            "objects such as image_url are not taken, and nothing is fetched: send pictures as"
            ' data URIs (strings), with "modality": "image"'
        )
    return sent


class OpenAIRequest(BaseModel):
    """A text or several; with `modality` "image" they are pictures as `data:image/...;base64,...`.

    `model` may be left away; `dimensions` cuts text vectors where the model was trained for it.
    """

    input: Annotated[str | list[str], BeforeValidator(_strings_only)]
    model: str | None = None
    modality: Literal["text", "image"] = "text"
    dimensions: PositiveInt | None = None
    encoding_format: Encoding = "float"


class OpenAIVector(BaseModel):
    """One vector; None where `errors` of the answer says why."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str | None


class OpenAIResponse(BaseModel):
    """A vector for each input, in order."""

    object: Literal["list"] = "list"
    data: list[OpenAIVector]
    model: str
    usage: dict[str, int]
    errors: list[ItemError] = []


class OpenAIAnswer(BaseModel):
    """What is read of any server's answer; `index` says to which input a vector belongs."""

    data: list[OpenAIVector]
    model: str | None = None


class ListedModel(BaseModel):
    """One model of a server."""

    id: str


class ModelList(BaseModel):
    """What `GET /v1/models` answers, where a server has it."""

    data: list[ListedModel]
