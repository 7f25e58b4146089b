"""Parses the body of a scan request: JSON, or a multipart form with files."""

import asyncio
import re
from collections.abc import AsyncGenerator
from email.message import Message

import msgspec
from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from shelfsight.serving import json_shape, request_body
from shelfsight.serving.fair_capacity import Reservation
from shelfsight.serving.limits import ServerLimits
from shelfsight.serving.refusals import MalformedBodyError, RequestRefusedError
from shelfsight.serving.scan_api.problems import ContentTypeError
from shelfsight.serving.scan_api.requests import MAX_PHOTOS, ScanBody

MAX_FIELDS = 20
_JSON_FIELDS = ("filters", "weights", "images", "box")
"""Fields of a form that contain JSON."""

_CHUNK = 65536

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
"""A boundary of a form: the characters that RFC 2046, section 5.1.1, allows."""


async def read(
    request: Request, limits: ServerLimits, room: Reservation
) -> tuple[ScanBody, tuple[bytes, ...]]:
    """Read and validate the body of a request; return its fields, and the files of a form.

    Raises:
        RequestRefusedError: the body is too large, too slow, or not valid.
        FullError: the bodies of other requests use the memory for bodies now.
    """
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    kind = header.get_content_type()
    if kind == "multipart/form-data":
        content = await request_body.read_bytes(request, limits, room)
        return await _form(header.get_boundary(), content)
    if kind == "application/json":
        return await request_body.read(request, limits, room, ScanBody), ()
    raise ContentTypeError(
        "content_type", "send application/json, or multipart/form-data with a file"
    )


async def _form(boundary: str | None, content: bytes) -> tuple[ScanBody, tuple[bytes, ...]]:
    """Parse a form; a large one in a thread, so that the event loop goes on meanwhile."""
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise MalformedBodyError("bad_form", "the form has no boundary that makes sense")
    delimiter = b"\r\n--" + boundary.encode()
    if delimiter + b"--" not in b"\r\n" + content:
        raise MalformedBodyError("bad_form", "the form breaks off before its end")
    if content.count(delimiter) > MAX_PHOTOS + MAX_FIELDS + 1:
        raise MalformedBodyError("bad_form", "the form has too many parts")
    if len(content) < request_body.LARGE_BODY:
        return await _parse_form(boundary, content)
    return await asyncio.to_thread(lambda: asyncio.run(_parse_form(boundary, content)))


async def _parse_form(boundary: str, content: bytes) -> tuple[ScanBody, tuple[bytes, ...]]:
    """Parse a form; any part of the form may be a file, whatever the part's name."""
    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    parser = MultiPartParser(headers, _chunks(content), max_files=MAX_PHOTOS, max_fields=MAX_FIELDS)
    parser.spool_max_size = len(content) + 1  # the body is in memory already
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise MalformedBodyError("bad_form", error.message) from None
    try:
        files = [
            await part.read() for _, part in form.multi_items() if isinstance(part, UploadFile)
        ]
    finally:
        await form.close()
    fields = {
        name: _field(name, value) for name, value in form.multi_items() if isinstance(value, str)
    }
    return request_body.parse(msgspec.json.encode(fields), ScanBody), tuple(files)


def _field(name: str, value: str) -> object:
    if name not in _JSON_FIELDS:
        return value
    try:
        return json_shape.embed(value)
    except ValueError as error:
        raise RequestRefusedError("bad_request", f"{name}: {error}") from None


async def _chunks(content: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]
