"""The JSON of `POST /v1/embeddings` as OpenAI defined it, extended to pictures."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, PositiveInt

from shelfsight.embedding.wire import Encoding, ItemError

OPENAI_PATH = "/v1/embeddings"

OPENAI_PATHS = (OPENAI_PATH, "/embeddings")
"""The paths under which servers offer it; Infinity has no prefix by default."""


def _strings_only(sent: object) -> object:
    """Refuse other forms of input that OpenAI takes, and say what to send instead."""
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
    """One text or several; with `modality` "image" pictures as `data:image/...;base64,...`.

    `model` is optional. `dimensions` shortens text vectors, if the model was trained for that.
    """

    input: Annotated[str | list[str], BeforeValidator(_strings_only)]
    model: str | None = None
    modality: Literal["text", "image"] = "text"
    dimensions: PositiveInt | None = None
    encoding_format: Encoding = "float"


class OpenAIVector(BaseModel):
    """One vector; None if the response's `errors` explain why."""

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


class OpenAIResponseBody(BaseModel):
    """The part of any server's response that is read; `index` is that of the input."""

    data: list[OpenAIVector]
    model: str | None = None


class ListedModel(BaseModel):
    """One model that a server lists."""

    id: str


class ModelList(BaseModel):
    """The response of `GET /v1/models`, which not every server has."""

    data: list[ListedModel]
