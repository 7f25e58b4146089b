"""The JSON of `POST /v1/embeddings` as OpenAI defined it, with an extension for pictures."""

from typing import Literal

from pydantic import BaseModel, Field, PositiveInt

from shelfsight.embedding.wire import Encoding, ItemError

OPENAI_PATH = "/v1/embeddings"

OPENAI_PATHS = (OPENAI_PATH, "/embeddings")
"""The paths at which servers may have this endpoint. Infinity has no prefix by default."""


class OpenAIRequest(BaseModel):
    """A request to embed a text or several texts.

    With the `modality` "image" the inputs are pictures, as `data:image/...;base64,...`. `model` is
    optional. `dimensions` shortens text vectors, if the model was trained for that.
    """

    input: str | list[str] = Field(
        description="lists of tokens are not taken, for they are one tokenizer's, and nothing is"
        ' fetched: send text, or pictures as data URIs (strings) with "modality": "image"'
    )
    model: str | None = None
    modality: Literal["text", "image"] = "text"
    dimensions: PositiveInt | None = None
    encoding_format: Encoding = "float"


class OpenAIVector(BaseModel):
    """The vector of an input; `embedding` is None if `errors` of the response explain why."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str | None


class OpenAIResponse(BaseModel):
    """The response to an `OpenAIRequest`: a vector for each input, in order."""

    object: Literal["list"] = "list"
    data: list[OpenAIVector]
    model: str
    usage: dict[str, int]
    errors: list[ItemError] = []


class OpenAIResponseBody(BaseModel):
    """The part of a server's response that is read. `index` says which input a vector is for."""

    data: list[OpenAIVector]
    model: str | None = None


class ListedModel(BaseModel):
    """A model in the list of a server's models."""

    id: str


class ModelList(BaseModel):
    """The response of `GET /v1/models`. Some servers do not have this endpoint."""

    data: list[ListedModel]
