"""Reads the body of a request within limits, and validates its JSON."""

import asyncio
import re
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from shelfsight.serving import json_shape
from shelfsight.serving.fair_capacity import Reservation
from shelfsight.serving.limits import ServerLimits
from shelfsight.serving.refusals import (
    MalformedBodyError,
    RequestRefusedError,
    RequestTimeoutError,
    RequestTooLargeError,
)

LARGE_BODY = 1_000_000
"""Bytes of a body that is parsed in a thread, so that the event loop goes on meanwhile."""

Body = TypeVar("Body", bound=BaseModel)

# An unpaired surrogate is not a character, but Python and JavaScript can send one. This matches all
# that comes before the next one; possessive quantifiers keep the time linear.
_BEFORE_SURROGATE = re.compile(
    rb"""(?: [^\\]++ | \\[^u]
           | \\u(?! [dD][89a-fA-F][0-9a-fA-F]{2} )
           | \\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2} )*+""",
    re.VERBOSE | re.DOTALL,
)
_SURROGATE_LENGTH = 6
_MAX_SURROGATES = 10_000
"""Unpaired surrogates that are repaired in a body; with more it is refused."""


def announced_size(request: Request) -> int:
    """Return the `Content-Length` of a request, which may be a lie; 0 if unknown."""
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isdecimal() else 0


async def read(
    request: Request, limits: ServerLimits, room: Reservation, model: type[Body]
) -> Body:
    """Read the body of a request, and parse it as JSON of the given pydantic model.

    Raises:
        RequestRefusedError: the body is too large, too slow, not JSON, or does not fit the model.
        FullError: as in `read_bytes`.
    """
    body = await read_bytes(request, limits, room)
    if len(body) < LARGE_BODY:
        return parse(body, model)
    return await asyncio.to_thread(partial(parse, body, model))


async def read_bytes(request: Request, limits: ServerLimits, room: Reservation) -> bytes:
    """Read the body of a request; `room` grows by the bytes that arrive.

    A `Content-Length` above the limit is refused at once.

    Raises:
        RequestRefusedError: the body is too large or too slow.
        FullError: the bodies of other requests use the memory for bodies now.
    """
    if announced_size(request) > limits.body_bytes:
        raise _too_large(limits)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.body_bytes:
                    raise _too_large(limits)
                room.grow(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        raise RequestTimeoutError(
            "body_timeout", f"the body did not arrive within {limits.body_seconds:g} s"
        ) from None
    except ClientDisconnect:
        raise RequestTimeoutError("disconnected", "the client went away") from None
    return b"".join(chunks)


def parse(body: bytes, model: type[Body]) -> Body:
    """Parse JSON of the given pydantic model; an unpaired surrogate becomes a question mark.

    Raises:
        RequestRefusedError: the body is not JSON, or does not fit the model.
    """
    try:
        return _parse(body, model)
    except MalformedBodyError:
        if b"\\u" not in body:
            raise
        return _parse(_without_unpaired_surrogates(body), model)


def _without_unpaired_surrogates(body: bytes) -> bytes:
    parts: list[bytes] = []
    start = 0
    while len(parts) < 2 * _MAX_SURROGATES:
        end = _BEFORE_SURROGATE.match(body, start).end()  # type: ignore[union-attr] # may be empty
        parts.append(body[start:end])
        start = end + _SURROGATE_LENGTH
        if start > len(body):
            return b"".join(parts)
        parts.append(b"?")
    return body


def _parse(body: bytes, model: type[Body]) -> Body:
    try:
        return model.model_validate(json_shape.decode(body, model))
    except json_shape.NotJsonError as error:
        raise MalformedBodyError("bad_json", str(error)) from None
    except json_shape.ShapeError as error:
        raise _unfit(error.path, str(error)) from None
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise _unfit(where, detail["msg"].removeprefix("Value error, ")) from None


def _unfit(where: str, message: str) -> RequestRefusedError:
    return RequestRefusedError("bad_request", f"{where}: {message}" if where else message)


def _too_large(limits: ServerLimits) -> RequestTooLargeError:
    return RequestTooLargeError(
        "body_too_large", f"the body is larger than {limits.body_bytes:,} bytes: send fewer items"
    )
