"""Runs `shelfsight serve` on a free port over a real database, and sends requests to it."""

import base64
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from io import BytesIO
from time import monotonic, sleep
from typing import Any

import numpy as np
import psycopg
from PIL import Image

from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.records import Pixels
from shelfsight.serving.connections import ConnectionTable
from shelfsight.serving.limits import ConnectionLimits
from shelfsight.serving.scan_api.app import create
from shelfsight.settings import Settings
from shelfsight.storage import schema
from shelfsight.testing import HashEmbedder
from shelfsight.wiring.scan_service import open_service
from tests.integration.embedding_server import Answer, running
from tests.shop import picture

SCAN = "/products/orchestrate/quick-scan"
BOXES = "/products/orchestrate/boxes"
FEEDBACK = "/products/feedback"


@contextmanager
def prepared(server: str, name: str) -> Iterator[Database]:
    """Create a database with the schema of `shelfsight init`, for all tests of a module."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        with closing(Database(server.replace("/postgres?", f"/{name}?"))) as database:
            schema.create(database)
            yield database
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def scan_server(
    database: Database,
    embedder: Embedder | None = None,
    *,
    open_to_all: bool = False,
    config: dict[str, Any] | None = None,
    connections: ConnectionLimits | None = None,
    **settings: Any,
) -> Iterator[str]:
    """Run a server over this database; yield its URL. `config` changes fields of its ScanConfig."""
    all_settings = Settings.model_construct(**settings)
    with open_service(
        all_settings, database, embedder or HashEmbedder(), open_to_all=open_to_all
    ) as service:
        table = ConnectionTable(connections)
        app = create(replace(service, config=replace(service.config, **config or {})), table)
        with running(app, table) as url:
            yield url


def send(url: str, body: object = None, *, key: str | None = None, **headers: str) -> Answer:
    """Send a POST with a body, as JSON unless it is bytes, or a GET without one."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=280) as response:
            return Answer(response.status, dict(response.headers), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


def scan(url: str, *, key: str | None = None, **body: Any) -> Answer:
    return send(url + SCAN, body, key=key)


def scan_form(url: str, files: list[bytes], *, key: str | None = None, **fields: str) -> Answer:
    boundary = uuid.uuid4().hex
    named = [('name="file"; filename="a.png"', file) for file in files]
    named += [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts = [
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n"
        for name, value in named
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return send(url + SCAN, body, key=key, Content_Type=f"multipart/form-data; boundary={boundary}")


def problem(answer: Answer) -> tuple[int, str]:
    """The status and the kind of an error response; checks its format."""
    assert answer.headers["content-type"] == "application/problem+json", answer
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert answer.json["status"] == answer.status
    return answer.status, answer.json["type"].removeprefix("urn:shelfsight:problem:")


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is true."""
    deadline = monotonic() + seconds
    while not true():
        assert monotonic() < deadline
        sleep(0.05)


def in_png(pixels: Pixels) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def two_things() -> Pixels:
    """A red thing on the left of a light table, and a blue one on the right."""
    pixels = np.full((240, 320, 3), (225, 220, 210), np.uint8)
    pixels[60:180, 40:120] = (180, 40, 40)
    pixels[40:200, 200:280] = (40, 60, 160)
    return pixels


def photo(number: int) -> str:
    """The photo of product `number` of `tests.shop.fill(..., pictures=True)`, in base64."""
    return base64.b64encode(in_png(picture(number))).decode()


def skus(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [match["sku"] for match in answer.json["matches"]]
