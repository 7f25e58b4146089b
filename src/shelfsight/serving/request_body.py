"""Reads the body of a request within limits, and validates its JSON."""

import asyncio
import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from shelfsight.serving.limits import ServerLimits
from shelfsight.serving.refusals import (
    MalformedBodyError,
    RequestRefusedError,
    RequestTimeoutError,
    RequestTooLargeError,
)

Body = TypeVar("Body", bound=BaseModel)

# An unpaired surrogate is not a character, but Python and JavaScript can send one.
_ESCAPE = re.compile(
    rb"""\\(?: u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}
             | (?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})
             | . )""",
    re.VERBOSE | re.DOTALL,
)


def declared_size(request: Request, limits: ServerLimits) -> int:
    """Return the `Content-Length` of a request, or the largest allowed size if it has none.

    Raises:
        RequestTooLargeError: the size is above the limit.
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else limits.body_bytes
    if size > limits.body_bytes:
        raise _too_large(limits)
    return size


async def read(request: Request, limits: ServerLimits, model: type[Body]) -> Body:
    """Read the body of a request, and parse it as JSON of the given pydantic model.

    Raises:
        RequestRefusedError: the body is too large, too slow, not JSON, or does not fit the model.
    """
    return parse(await read_bytes(request, limits), model)


async def read_bytes(request: Request, limits: ServerLimits) -> bytes:
    """Read the body of a request.

    Raises:
        RequestRefusedError: the body is too large or too slow.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                chunks.append(chunk)
                size += len(chunk)
                if size > limits.body_bytes:
                    raise _too_large(limits)
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
        repaired = _ESCAPE.sub(lambda match: b"?" if match["lone"] else match[0], body)
        return _parse(repaired, model)


def _parse(body: bytes, model: type[Body]) -> Body:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "json_invalid":
            raise MalformedBodyError("bad_json", message) from None
        where = ".".join(str(part) for part in detail["loc"])
        raise RequestRefusedError(
            "bad_request", f"{where}: {message}" if where else message
        ) from None


def _too_large(limits: ServerLimits) -> RequestTooLargeError:
    return RequestTooLargeError(
        "body_too_large", f"the body is larger than {limits.body_bytes:,} bytes: send fewer items"
    )
