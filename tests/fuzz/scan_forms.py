"""Fuzzes the multipart forms that a scan takes."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from hypothesis import strategies as st

from shelfsight.serving.fair_capacity import FairCapacity
from shelfsight.serving.limits import ServerLimits
from shelfsight.serving.refusals import RequestRefusedError
from shelfsight.serving.scan_api import scan_body
from shelfsight.serving.scan_api.requests import MAX_PHOTOS, ScanBody
from tests.fuzz.mutations import mutated

_LIMITS = ServerLimits(body_bytes=100_000, body_seconds=600)
_FORM = "multipart/form-data; boundary=xyz"
_PARTS = (
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\xff\r\n",
    b'--xyz\r\nContent-Disposition: form-data; name="limit"\r\n\r\n3\r\n',
    b'--xyz\r\nContent-Disposition: form-data; name="textQuery"\r\n\r\na mug\r\n',
    b'--xyz\r\nContent-Disposition: form-data; name="weights"\r\n\r\n{"image": 0.5}\r\n',
    b'--xyz\r\nContent-Disposition: form-data; name="filters"\r\n\r\n[[[[{}]]]]\r\n',
    b"--xyz\r\nContent-Disposition: form-data; name*=utf-8''f; filename*=latin9''%ff\r\n\r\n\r\n",
    b"--xyz\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: form-data; name="a"\r\n\r\nAA',
)
_SEEDS = [
    *(part + b"--xyz--\r\n" for part in _PARTS),
    b"".join(_PARTS) + b"--xyz--",
    _PARTS[0] * 12 + b"--xyz--",
    b"",
    b"--xyz--",
]
_TOKENS = (
    *(b"\r\n--xyz", b"\r\n--xyz--", b"\r\n\r\n", b"\n", b"\r", b"--", b"\0", b": ", b'"', b"\\"),
    *(b"charset=utf-7", b"charset=", b"; name=", b'filename="', b"form-data", b"\xff", b"%"),
)
_TYPES = st.one_of(
    st.just(_FORM),
    st.sampled_from(
        [
            *(f"{_FORM}; charset={name}" for name in ("utf-16", "idna", "zip", "rot13", '"')),
            *("multipart/form-data", 'multipart/form-data; boundary=""', "multipart/form-data; a"),
            *('multipart/form-data; boundary="x yz"', "multipart/form-data; boundary*=utf-8''xyz"),
            *(
                "multipart/form-data; boundary*0=x; boundary*1=yz",
                "MULTIPART/FORM-DATA;BOUNDARY=xyz",
            ),
            *("multipart/mixed; boundary=xyz", "application/json", "", "\xff", ";;;"),
        ]
    ),
    st.binary(max_size=20).map(lambda raw: f"{_FORM}{raw.decode('latin-1')}"),
    st.binary(max_size=30).map(lambda raw: raw.decode("latin-1")),
)
INPUTS = st.tuples(_TYPES, mutated(_SEEDS, _TOKENS), st.integers(1, 5_000))


@contextmanager
def checker() -> Iterator[Callable[[tuple[str, bytes, int]], None]]:
    """Yield a function that reads a form: fields and a few files, or a refusal in words."""
    with asyncio.Runner() as runner:

        def check(case: tuple[str, bytes, int]) -> None:
            content_type, content, step = case
            try:
                body, files = runner.run(read_form(content_type, content, step))
            except RequestRefusedError as error:
                assert 400 <= error.status < 500
                assert error.kind
                return
            assert isinstance(body, ScanBody)
            assert len(files) <= MAX_PHOTOS
            assert all(file in content for file in files)

        yield check


async def read_form(
    content_type: str, content: bytes, step: int
) -> tuple[ScanBody, tuple[bytes, ...]]:
    """Read a form that comes in pieces of `step` bytes."""
    chunks = [content[start : start + step] for start in range(0, len(content), step)] or [b""]
    messages = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, 1)
    ]
    left = iter(messages)

    async def receive() -> dict[str, object]:
        return next(left)

    headers = [(b"content-type", content_type.encode("latin-1"))]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    async with FairCapacity(1_000_000).reserve("fuzzer") as room:
        return await scan_body.read(request, _LIMITS, room)
