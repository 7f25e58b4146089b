"""Google's Gemini API: texts by `batchEmbedContents`."""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from shelfsight.embedding.remote.server_protocol import RequestOptions, ServerProtocol
from shelfsight.embedding.remote.services.service import Service, texts_at
from shelfsight.embedding.wire import EmbedResponse, SentVector
from shelfsight.records import TEXT_WIDTH

_SHORTENED = "gemini-embedding"
"""How the names of the models start that give shorter vectors than their 3,072 numbers."""


class GeminiPart(BaseModel):
    """A text."""

    text: str


class GeminiContent(BaseModel):
    """The content of one item."""

    parts: list[GeminiPart]


class GeminiItem(BaseModel):
    """One item to embed. The model is the same in all items of a request."""

    model: str
    content: GeminiContent
    task_type: Literal["RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"] = Field(
        serialization_alias="taskType"
    )
    output_dimensionality: int | None = Field(None, serialization_alias="outputDimensionality")


class GeminiRequest(BaseModel):
    """The body of a request."""

    requests: list[GeminiItem]


class GeminiVector(BaseModel):
    """The vector of one item."""

    values: SentVector = None


class GeminiResponse(BaseModel):
    """The body of a response, in the order of the items."""

    embeddings: list[GeminiVector | None]


def _texts(model: str) -> ServerProtocol:
    name = model.removeprefix("models/")
    dimension = TEXT_WIDTH if name.startswith(_SHORTENED) else None

    def write(texts: Sequence[str], asking: RequestOptions) -> GeminiRequest:
        return GeminiRequest(
            requests=[
                GeminiItem(
                    model=f"models/{name}",
                    content=GeminiContent(parts=[GeminiPart(text=text)]),
                    task_type="RETRIEVAL_QUERY" if asking.query else "RETRIEVAL_DOCUMENT",
                    output_dimensionality=dimension,
                )
                for text in texts
            ]
        )

    def read(value: object) -> EmbedResponse:
        answer = GeminiResponse.model_validate(value)
        vectors = [None if vector is None else vector.values for vector in answer.embeddings]
        return EmbedResponse(embeddings=vectors, model=name)

    return texts_at(f"/v1beta/models/{quote(name)}:batchEmbedContents", write, read)


GEMINI = Service(
    name="Gemini",
    hosts=("generativelanguage.googleapis.com",),
    prefix="/v1beta",
    example="gemini-embedding-001",
    texts=_texts,
    key_header="x-goog-api-key",
)
