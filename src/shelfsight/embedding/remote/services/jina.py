"""Jina AI: texts, and pictures by its multimodal models (`jina-clip-v2`, `jina-embeddings-v4`)."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from shelfsight.embedding.remote.server_protocol import RequestOptions, ServerProtocol
from shelfsight.embedding.remote.services.service import (
    Service,
    openai_reader,
    pictures_at,
    texts_at,
)
from shelfsight.records import IMAGE_WIDTH, TEXT_WIDTH

PATH = "/v1/embeddings"

_WITHOUT_TASKS = "jina-embeddings-v2"
"""How the names of the models start that were trained before there were tasks."""

_CLIP = "jina-clip"
"""How the names of the models start that know a task for queries, and none for documents."""

_SHORTENED = ("jina-clip-v2", "jina-embeddings-v3", "jina-embeddings-v4")
"""How the names of the models start that give shorter vectors than their 1,024 or more numbers."""

Task = Literal["retrieval.query", "retrieval.passage"]


class JinaPicture(BaseModel):
    """A picture file in base64."""

    image: str


class JinaRequest(BaseModel):
    """The body of a request."""

    model: str
    input: list[str] | list[JinaPicture]
    task: Task | None = None
    dimensions: int | None = None


def _texts(model: str) -> ServerProtocol:
    def write(texts: Sequence[str], asking: RequestOptions) -> JinaRequest:
        return JinaRequest(
            model=model,
            input=list(texts),
            task=_task(model, query=asking.query),
            dimensions=_dimensions(model, TEXT_WIDTH),
        )

    return texts_at(PATH, write, openai_reader(model))


def _pictures(model: str, probe_item: str) -> ServerProtocol:
    def write(files: Sequence[str], _asking: RequestOptions) -> JinaRequest:
        pictures = [JinaPicture(image=file) for file in files]
        return JinaRequest(
            model=model,
            input=pictures,
            task=_task(model, query=False),
            dimensions=_dimensions(model, IMAGE_WIDTH),
        )

    return pictures_at(PATH, probe_item, write, openai_reader(model))


def _task(model: str, *, query: bool) -> Task | None:
    if model.startswith(_WITHOUT_TASKS):
        return None
    if query:
        return "retrieval.query"
    return None if model.startswith(_CLIP) else "retrieval.passage"


def _dimensions(model: str, width: int) -> int | None:
    return width if model.startswith(_SHORTENED) else None


JINA = Service(
    name="Jina AI",
    hosts=("api.jina.ai",),
    prefix="/v1",
    example="jina-embeddings-v3",
    texts=_texts,
    pictures=_pictures,
)
