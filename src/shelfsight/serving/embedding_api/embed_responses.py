"""Turns the results of the models into responses: a vector or an error for each item."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel
from starlette.responses import Response

from shelfsight.embedding.openai_wire import OpenAIResponse, OpenAIVector
from shelfsight.embedding.wire import EmbedResponse, Encoding, ItemError, encode_vector
from shelfsight.records import Failure, Stage, Vector
from shelfsight.serving.embedding_api.dynamic_batching import Result
from shelfsight.serving.refusals import InputRefusedError

EncodedVector = list[float] | str | None


def item_errors(results: Sequence[Result]) -> list[ItemError]:
    """Return the failures among the results, with the indexes of their items."""
    return [
        ItemError(index=index, kind=result.kind, message=result.message)
        for index, result in enumerate(results)
        if isinstance(result, Failure)
    ]


def status_of(results: Sequence[Result]) -> int:
    """Return 422 if the only item failed, else 200: a failed item among several is no failure."""
    return 422 if len(results) == 1 and isinstance(results[0], Failure) else 200


def encode(results: Sequence[Result], encoding: Encoding) -> list[EncodedVector]:
    """Return the vectors in the requested encoding, with None for each failure."""
    return [None if isinstance(r, Failure) else _encode(r, encoding) for r in results]


def require_vectors(results: Sequence[Result]) -> list[Vector]:
    """Return the vectors.

    Raises:
        InputRefusedError: an item failed; the message names the first that did, and how many.
    """
    errors = item_errors(results)
    if errors:
        first, more = errors[0], len(errors) - 1
        others = f"; {more} more of the inputs failed" if more else ""
        raise InputRefusedError(first.kind, f"input.{first.index}: {first.message}{others}")
    return [result for result in results if not isinstance(result, Failure)]


def truncate(results: Sequence[Result], width: int) -> list[Result]:
    """Cut vectors to their first `width` numbers, and scale them to length 1 again."""
    return [
        r if isinstance(r, Failure) or len(r) == width else _truncate(r, width) for r in results
    ]


def embed_response(
    results: Sequence[Result], encoding: Encoding, *, dimension: int, model: str
) -> EmbedResponse:
    """Return a response without usage and time; for speed, pydantic does not validate it again."""
    return EmbedResponse.model_construct(
        embeddings=encode(results, encoding),
        dimension=dimension,
        model=model,
        errors=item_errors(results),
    )


def openai_response(
    results: Sequence[Vector], encoding: Encoding, *, model: str, tokens: int
) -> OpenAIResponse:
    """Return a response in OpenAI's format; for speed, pydantic does not validate it again.

    This format has no place for an item that failed: see `require_vectors`.
    """
    return OpenAIResponse.model_construct(
        data=[
            OpenAIVector.model_construct(index=index, embedding=vector)
            for index, vector in enumerate(encode(results, encoding))
        ],
        model=model,
        usage={"prompt_tokens": tokens, "total_tokens": tokens},
    )


def json_response(value: BaseModel, status: int = 200) -> Response:
    """Return a JSON response of a pydantic model."""
    return Response(value.model_dump_json(), status, media_type="application/json")


def _encode(vector: Vector, encoding: Encoding) -> list[float] | str:
    if encoding == "base64":
        return encode_vector(vector)
    values: list[float] = vector.tolist()
    return values


def _truncate(vector: Vector, width: int) -> Result:
    truncated = vector[:width]
    length = np.linalg.norm(truncated)
    if not length:
        return Failure(stage=Stage.TEXT, kind="non_finite", message="nothing is left once cut")
    unit: Vector = truncated / length
    return unit
