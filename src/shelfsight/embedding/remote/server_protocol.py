"""The protocols of embedding servers: shelfsight's own, and OpenAI's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from shelfsight.embedding.openai_wire import OpenAIRequest, OpenAIResponseBody
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
"""The largest number of pictures or texts in a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """The options for writing a request.

    `plain` requests are for servers that support neither vectors in base64 nor several pictures in
    a request. With `query` the texts are search queries. `model` is the name of the server's model,
    once it is known.
    """

    plain: bool = False
    query: bool = False
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProtocol:
    """How requests to an endpoint are written, and how its responses are read.

    `width` is the width of the database column. `probe_item` is an item that every server can
    embed. `plain_batch` is the number of items in a plain request.
    """

    path: str
    stage: Stage
    width: int
    probe_item: str
    write: Callable[[Sequence[str], RequestOptions], BaseModel]
    read: Callable[[object], EmbedResponse] = EmbedResponse.model_validate
    plain_batch: int = BATCH


def image_protocol(probe_item: str) -> ServerProtocol:
    """Return the protocol of `/embed/image`, which takes picture files in base64."""
    return ServerProtocol(
        path=IMAGE_PATH,
        stage=Stage.IMAGE,
        width=IMAGE_WIDTH,
        probe_item=probe_item,
        write=_write_pictures,
        plain_batch=1,
    )


def text_protocol() -> ServerProtocol:
    """Return the protocol of `/embed/text`."""
    return ServerProtocol(
        path=TEXT_PATH, stage=Stage.TEXT, width=TEXT_WIDTH, probe_item="a mug", write=_write_texts
    )


def openai_protocol(path: str, model: str | None) -> ServerProtocol:
    """Return OpenAI's protocol for texts, at `path`. `model` is sent if it is not None."""

    def write(texts: Sequence[str], asking: RequestOptions) -> OpenAIRequest:
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
        probe_item="a mug",
        write=write,
        read=read_openai,
    )


def _write_pictures(pictures: Sequence[str], asking: RequestOptions) -> ImageRequest:
    if asking.plain:
        return ImageRequest(image_data=pictures[0])
    return ImageRequest(images=list(pictures), encoding_format="base64")


def _write_texts(texts: Sequence[str], asking: RequestOptions) -> TextRequest:
    return TextRequest(
        texts=list(texts),
        instruction=QUERY_INSTRUCTION if asking.query else None,
        encoding_format="float" if asking.plain else "base64",
    )


def _query_template(model: str | None) -> str:
    """Return the template of a search query for this model.

    OpenAI's protocol has no field for an instruction, so the text includes the instruction.
    """
    return QWEN3.query if "qwen3-embedding" in (model or "").lower() else "{text}"


def read_openai(value: object) -> EmbedResponse:
    """Convert a response of OpenAI's protocol to ours.

    Its vectors come in any order, each with the `index` of its input; without any index, they come
    in the order of the inputs.
    """
    answer = OpenAIResponseBody.model_validate(value)
    items = [(place, item) for place, item in enumerate(answer.data) if item is not None]
    is_in_order = all(item.index is None for _, item in items)
    vectors = {place if is_in_order else item.index: item.embedding for place, item in items}
    return EmbedResponse(
        embeddings=[vectors.get(index) for index in range(len(answer.data))],
        model=answer.model,
    )
