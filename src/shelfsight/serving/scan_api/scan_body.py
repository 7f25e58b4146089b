"""From the bytes of a scan's request, JSON or a form with files, to what is asked."""

import json
import re
from collections.abc import AsyncGenerator
from email.message import Message

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from shelfsight.serving import request_body
from shelfsight.serving.limits import Limits
from shelfsight.serving.refusals import NotJsonError, RequestRefusedError
from shelfsight.serving.scan_api.problems import ContentTypeError
from shelfsight.serving.scan_api.requests import MAX_PHOTOS, ScanBody

MAX_FIELDS = 20
_NESTED = ("filters", "weights", "images")
_CHUNK = 65536

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
"""RFC 2046, 5.1.1."""


async def read(request: Request, limits: Limits) -> tuple[ScanBody, tuple[bytes, ...]]:
    """Read a request to its end: what is asked, and the files of a form.

    Raises:
        RequestRefusedError: it is too large, too slow, or of another shape.
    """
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    kind = header.get_content_type()
    if kind == "multipart/form-data":
        return await _form(header.get_boundary(), await request_body.read_bytes(request, limits))
    if kind == "application/json":
        return await request_body.read(request, limits, ScanBody), ()
    raise ContentTypeError(
        "content_type", "send application/json, or multipart/form-data with a file"
    )


async def _form(boundary: str | None, content: bytes) -> tuple[ScanBody, tuple[bytes, ...]]:
    """Read the parts of a form; those of `_NESTED` are JSON, and any part may be a file."""
    if not _BOUNDARY.fullmatch(boundary or ""):
        raise NotJsonError("bad_form", "the form has no boundary that makes sense")
    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    parser = MultiPartParser(headers, _chunks(content), max_files=MAX_PHOTOS, max_fields=MAX_FIELDS)
    parser.spool_max_size = len(content) + 1  # it is in memory anyhow
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise NotJsonError("bad_form", error.message) from None
    try:
        files = [
            await part.read() for _, part in form.multi_items() if isinstance(part, UploadFile)
        ]
    finally:
        await form.close()
    fields = {
        name: _field(name, value) for name, value in form.multi_items() if isinstance(value, str)
    }
    return request_body.parse(json.dumps(fields).encode(), ScanBody), tuple(files)


def _field(name: str, value: str) -> object:
    if name not in _NESTED:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise RequestRefusedError("bad_request", f"{name}: this field holds JSON") from None


async def _chunks(content: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]
