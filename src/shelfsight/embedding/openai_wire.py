"""The JSON of `POST /v1/embeddings` as OpenAI defined it, with an extension for pictures."""

from typing import Literal

from pydantic import BaseModel, Field, PositiveInt

from shelfsight.embedding.wire import Encoding, SentVector

OPENAI_PATH = "/v1/embeddings"

MODELS_PATH = "/v1/models"

OPENAI_PATHS = (OPENAI_PATH, "/embeddings")
"""The paths at which servers may have this endpoint. Infinity has no prefix by default."""


class OpenAIRequest(BaseModel):
    """A request to embed a text or several texts.

    With the `modality` "image" the inputs are pictures, as `data:image/...;base64,...`. `model` is
    optional. `dimensions` shortens text vectors, if the model was trained for that. `user` has no
    effect.
    """

    input: str | list[str] = Field(
        description="lists of tokens are not taken, for they are one tokenizer's (in LangChain:"
        " check_embedding_ctx_length=False), and nothing is fetched: send text, or pictures as data"
        ' URIs (strings) with "modality": "image"'
    )
    model: str | None = None
    modality: Literal["text", "image"] = "text"
    dimensions: PositiveInt | None = None
    encoding_format: Encoding | None = "float"
    user: str | None = None


class OpenAIVector(BaseModel):
    """The vector of an input, as numbers or in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str | None


class OpenAIResponse(BaseModel):
    """The response to an `OpenAIRequest`: a vector for each input, in order."""

    object: Literal["list"] = "list"
    data: list[OpenAIVector]
    model: str
    usage: dict[str, int]


class OpenAIItem(BaseModel):
    """The part of an item that is read of a server's response.

    `index` says which input it is for; some servers leave it out, and keep the order. `embedding`
    is None if the input failed.
    """

    index: int | None = None
    embedding: SentVector = None


class OpenAIResponseBody(BaseModel):
    """The part of a server's response that is read."""

    data: list[OpenAIItem | None]
    model: str | None = None


class ListedModel(BaseModel):
    """A model in the list of a server's models; servers say other things of it, too."""

    id: str


class ModelList(BaseModel):
    """The response of `GET /v1/models`. Some servers do not have this endpoint."""

    data: list[ListedModel]
