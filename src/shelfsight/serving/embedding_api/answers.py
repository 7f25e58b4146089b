"""From results to answers: a vector for each item, or why it has none."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel
from starlette.responses import Response

from shelfsight.embedding.openai_wire import OpenAIResponse, OpenAIVector
from shelfsight.embedding.wire import EmbedResponse, Encoding, ItemError, encode_vector
from shelfsight.records import Failure, Stage, Vector
from shelfsight.serving.embedding_api.dynamic_batching import Result

Sent = list[float] | str | None


def item_errors(results: Sequence[Result]) -> list[ItemError]:
    """Give the failures with the places of their items."""
    return [
        ItemError(index=index, kind=result.kind, message=result.message)
        for index, result in enumerate(results)
        if isinstance(result, Failure)
    ]


def status_of(results: Sequence[Result]) -> int:
    """422 for a lone item that failed; a batch is answered with 200 whatever its items did."""
    return 422 if len(results) == 1 and isinstance(results[0], Failure) else 200


def encode(results: Sequence[Result], encoding: Encoding) -> list[Sent]:
    """Give vectors as they travel, None for failures."""
    return [None if isinstance(r, Failure) else _encode(r, encoding) for r in results]


def shorten(results: Sequence[Result], width: int) -> list[Result]:
    """Cut vectors to their first `width` numbers, and bring them back to unit length."""
    return [r if isinstance(r, Failure) or len(r) == width else _cut(r, width) for r in results]


def embed_response(
    results: Sequence[Result], encoding: Encoding, *, dimension: int, model: str
) -> EmbedResponse:
    """Fill in all but usage and time; nothing is validated again, for speed."""
    return EmbedResponse.model_construct(
        embeddings=encode(results, encoding),
        dimension=dimension,
        model=model,
        errors=item_errors(results),
    )


def openai_response(
    results: Sequence[Result], encoding: Encoding, *, model: str, tokens: int
) -> OpenAIResponse:
    """Fill in the shape that OpenAI's clients read."""
    return OpenAIResponse.model_construct(
        data=[
            OpenAIVector.model_construct(index=index, embedding=sent)
            for index, sent in enumerate(encode(results, encoding))
        ],
        model=model,
        usage={"prompt_tokens": tokens, "total_tokens": tokens},
        errors=item_errors(results),
    )


def json_answer(value: BaseModel, status: int = 200) -> Response:
    """Write one of the wire's shapes."""
    return Response(value.model_dump_json(), status, media_type="application/json")


def _encode(vector: Vector, encoding: Encoding) -> list[float] | str:
    if encoding == "base64":
        return encode_vector(vector)
    numbers: list[float] = vector.tolist()
    return numbers


def _cut(vector: Vector, width: int) -> Result:
    short = vector[:width]
    length = np.linalg.norm(short)
    if not length:
        return Failure(stage=Stage.TEXT, kind="non_finite", message="nothing is left once cut")
    cut: Vector = short / length
    return cut
