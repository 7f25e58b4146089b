"""From the bytes of a request to one of the wire's shapes, within limits."""

import asyncio
import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from shelfsight.serving.limits import Limits
from shelfsight.serving.refusals import (
    NotJsonError,
    RequestRefusedError,
    TooMuchError,
    TooSlowError,
)

Shape = TypeVar("Shape", bound=BaseModel)

# Half of a surrogate pair is no character; Python and JavaScript send it all the same.
_ESCAPE = re.compile(
    rb"""\\(?: u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}
             | (?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})
             | . )""",
    re.VERBOSE | re.DOTALL,
)


def declared_size(request: Request, limits: Limits) -> int:
    """How many bytes the body says it has, or may have.

    Raises:
        TooMuchError: more than one request may.
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else limits.body_bytes
    if size > limits.body_bytes:
        raise _too_large(limits)
    return size


async def read(request: Request, limits: Limits, shape: type[Shape]) -> Shape:
    """Read the body to its end.

    Raises:
        RequestRefusedError: it is too large, too slow, not JSON, or of another shape.
    """
    return parse(await read_bytes(request, limits), shape)


async def read_bytes(request: Request, limits: Limits) -> bytes:
    """Read the body to its end.

    Raises:
        RequestRefusedError: it is too large or too slow.
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
        raise TooSlowError(
            "body_timeout", f"the body did not arrive within {limits.body_seconds:g} s"
        ) from None
    except ClientDisconnect:
        raise TooSlowError("disconnected", "the client went away") from None
    return b"".join(chunks)


def parse(body: bytes, shape: type[Shape]) -> Shape:
    """Read JSON of a shape; half a surrogate pair is read as a question mark.

    Raises:
        RequestRefusedError: it is not JSON, or of another shape.
    """
    try:
        return _parse(body, shape)
    except NotJsonError:
        if b"\\u" not in body:
            raise
        whole = _ESCAPE.sub(lambda found: b"?" if found["lone"] else found[0], body)
        return _parse(whole, shape)


def _parse(body: bytes, shape: type[Shape]) -> Shape:
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "json_invalid":
            raise NotJsonError("bad_json", message) from None
        where = ".".join(str(part) for part in detail["loc"])
        raise RequestRefusedError(
            "bad_request", f"{where}: {message}" if where else message
        ) from None


def _too_large(limits: Limits) -> TooMuchError:
    return TooMuchError(
        "body_too_large", f"the body is larger than {limits.body_bytes:,} bytes: send fewer items"
    )
