"""Cohere: texts by its v2 API."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from shelfsight.embedding.remote.server_protocol import RequestOptions, ServerProtocol
from shelfsight.embedding.remote.services.service import Service, texts_at
from shelfsight.embedding.wire import EmbedResponse, SentVector
from shelfsight.records import TEXT_WIDTH

_SHORTENED = "embed-v"
"""How the names of the models start that give shorter vectors; `embed-english-v3.0` does not."""


class CohereRequest(BaseModel):
    """The body of a request."""

    model: str
    texts: list[str]
    input_type: Literal["search_document", "search_query"]
    embedding_types: list[Literal["float"]]
    output_dimension: int | None = None


class CohereVectors(BaseModel):
    """The vectors of a response, in the order of the texts."""

    vectors: list[SentVector] = Field(alias="float")


class CohereResponse(BaseModel):
    """The part of a response that is read."""

    embeddings: CohereVectors


def _texts(model: str) -> ServerProtocol:
    def write(texts: Sequence[str], asking: RequestOptions) -> CohereRequest:
        return CohereRequest(
            model=model,
            texts=list(texts),
            input_type="search_query" if asking.query else "search_document",
            embedding_types=["float"],
            output_dimension=TEXT_WIDTH if model.startswith(_SHORTENED) else None,
        )

    def read(value: object) -> EmbedResponse:
        vectors = CohereResponse.model_validate(value).embeddings.vectors
        return EmbedResponse(embeddings=list(vectors), model=model)

    return texts_at("/v2/embed", write, read)


COHERE = Service(
    name="Cohere",
    hosts=("api.cohere.com", "api.cohere.ai"),
    prefix="/v2",
    example="embed-v4.0",
    texts=_texts,
)
