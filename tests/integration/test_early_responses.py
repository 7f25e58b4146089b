"""A request that is refused before its body was read gets its response, however slow it is."""

import json
import socket
from collections.abc import Iterator
from time import sleep
from urllib.parse import urlsplit

import pytest

from shelfsight.serving.limits import ServerLimits
from tests.integration.scan_server import SCAN, prepared, scan_server

LARGE = 400_000


@pytest.fixture(scope="module")
def url(server: str) -> Iterator[str]:
    limits = ServerLimits(body_bytes=100_000)
    with (
        prepared(server, "early") as database,
        scan_server(database, config={"limits": limits}) as url,
    ):
        yield url


def answer_to(url: str, *headers: str, size: int, parts: int = 20) -> tuple[int, str]:
    """Send a request in parts, and read its response to the end of the connection."""
    place = urlsplit(url)
    with socket.create_connection((str(place.hostname), int(place.port or 0)), 30) as line:
        first = [f"POST {SCAN} HTTP/1.1", f"Host: {place.netloc}", f"Content-Length: {size}"]
        line.sendall("\r\n".join([*first, *headers, "Connection: close", "", ""]).encode())
        for _ in range(parts):
            sleep(0.02)  # the response is there before most of the body is
            line.sendall(b"x" * (size // parts))
        received = b""
        while chunk := line.recv(65_536):
            received += chunk
    head, _, body = received.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [
        (["Authorization: Bearer nobody"], 60_000, 401),
        (["Content-Type: text/plain"], 60_000, 415),
        (["Content-Type: application/json"], LARGE, 413),
    ],
)
def test_the_refusal_reaches_a_client_that_is_still_sending(
    url: str, headers: list[str], size: int, status: int
) -> None:
    found, body = answer_to(url, *headers, size=size)
    assert (found, json.loads(body)["status"]) == (status, status)


def test_a_client_that_never_sends_the_rest_is_let_go(url: str) -> None:
    place = urlsplit(url)
    with socket.create_connection((str(place.hostname), int(place.port or 0)), 30) as line:
        line.sendall(
            f"POST {SCAN} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer nobody\r\n"
            "Content-Length: 1000\r\nConnection: close\r\n\r\nhalf".encode()
        )
        received = b""
        while chunk := line.recv(65_536):
            received += chunk
    assert received.startswith(b"HTTP/1.1 401")


def test_headers_that_are_too_large_get_their_response_while_they_are_sent(url: str) -> None:
    place = urlsplit(url)
    with socket.create_connection((str(place.hostname), int(place.port or 0)), 30) as line:
        line.sendall(f"GET /health HTTP/1.1\r\nHost: {place.netloc}\r\n".encode())
        for number in range(200):
            sleep(0.005)
            line.sendall(f"X-{number}: {'x' * 2_000}\r\n".encode())
        received = b""
        while chunk := line.recv(65_536):
            received += chunk
    assert received.startswith(b"HTTP/1.1 431")
