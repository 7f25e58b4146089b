"""In which words an embedding server is asked: our own, or those of OpenAI."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from shelfsight.embedding.openai_wire import OpenAIAnswer, OpenAIRequest
from shelfsight.embedding.wire import (
    IMAGE_PATH,
    TEXT_PATH,
    EmbedResponse,
    ImageRequest,
    TextRequest,
)
from shelfsight.models.table import QUERY_INSTRUCTION, QWEN3
from shelfsight.records import IMAGE_WIDTH, TEXT_WIDTH, Stage

BATCH = 16
"""Pictures or texts a request, at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """`plain` is for servers that know no base64 of vectors, nor batches of pictures.

    `query` says that the texts ask; `model` is the name of the server's model, once known.
    """

    plain: bool = False
    query: bool = False
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProtocol:
    """What is asked of which path, and how the answer reads.

    `width` is that of the column, `harmless` an item that every server can embed, `plain_batch`
    how many items a plain request holds.
    """

    path: str
    stage: Stage
    width: int
    harmless: str
    write: Callable[[Sequence[str], Asking], BaseModel]
    read: Callable[[object], EmbedResponse] = EmbedResponse.model_validate
    plain_batch: int = BATCH


def image_protocol(harmless: str) -> ServerProtocol:
    """Pictures, as files in base64, for `/embed/image`."""
    return ServerProtocol(
        path=IMAGE_PATH,
        stage=Stage.IMAGE,
        width=IMAGE_WIDTH,
        harmless=harmless,
        write=_write_pictures,
        plain_batch=1,
    )


def text_protocol() -> ServerProtocol:
    """Texts for `/embed/text`."""
    return ServerProtocol(
        path=TEXT_PATH, stage=Stage.TEXT, width=TEXT_WIDTH, harmless="a mug", write=_write_texts
    )


def openai_protocol(path: str, model: str | None) -> ServerProtocol:
    """Texts for `/v1/embeddings` of a server whose `model` has this name, where it says so."""

    def write(texts: Sequence[str], asking: Asking) -> OpenAIRequest:
        template = _query_template(asking.model or model) if asking.query else "{text}"
        return OpenAIRequest(
            input=[template.format(text=text) for text in texts],
            model=model,
            encoding_format="float" if asking.plain else "base64",
        )

    return ServerProtocol(
        path=path,
        stage=Stage.TEXT,
        width=TEXT_WIDTH,
        harmless="a mug",
        write=write,
        read=_read_openai,
    )


def _write_pictures(pictures: Sequence[str], asking: Asking) -> ImageRequest:
    if asking.plain:
        return ImageRequest(image_data=pictures[0])
    return ImageRequest(images=list(pictures), encoding_format="base64")


def _write_texts(texts: Sequence[str], asking: Asking) -> TextRequest:
    return TextRequest(
        texts=list(texts),
        instruction=QUERY_INSTRUCTION if asking.query else None,
        encoding_format="float" if asking.plain else "base64",
    )


def _query_template(model: str | None) -> str:
    """OpenAI's form has no instruction: a model that was trained with one gets it in the text."""
    return QWEN3.query if "qwen3-embedding" in (model or "").lower() else "{text}"


def _read_openai(value: object) -> EmbedResponse:
    """Bring an answer to our shape; its vectors may come in any order, each with its `index`."""
    answer = OpenAIAnswer.model_validate(value)
    vectors = {vector.index: vector.embedding for vector in answer.data}
    return EmbedResponse(
        embeddings=[vectors.get(index) for index in range(len(answer.data))],
        model=answer.model,
    )
