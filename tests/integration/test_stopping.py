"""A server that is told to stop ends in time, and its exit status says whether anything was cut."""

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import pytest

from tests.integration.scan_server import until

PATIENCE = 120

APP = """
import asyncio, sys, time
from concurrent.futures import ThreadPoolExecutor
import click
from shelfsight.errors import ServerError
from shelfsight.serving.connections import ConnectionTable
from shelfsight.serving.listen import bind, serve, url_of

threads = ThreadPoolExecutor(1, thread_name_prefix="scan")
began = []

class Stuck:
    def work(self):
        began.append(True)
        time.sleep(1000)

Stuck.work.__globals__["__name__"] = "shelfsight.stuck"

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            name = (await receive())["type"]
            await send({"type": name + ".complete"})
            if name.endswith("shutdown"):
                return
    if scope["path"] == "/stuck":
        await asyncio.get_running_loop().run_in_executor(threads, Stuck().work)
    if scope["path"] == "/asleep":
        began.append(True)
        await asyncio.sleep(1000)
    if scope["path"] == "/blocked":
        began.append(True)
        await asyncio.sleep(0.5)
        time.sleep(1000)
    if scope["path"] == "/short":
        began.append(True)
        await asyncio.sleep(1)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(began)).encode()})

bound = bind("127.0.0.1", 0)
print(url_of(bound), flush=True)
try:
    serve(app, bound, ConnectionTable(), float(sys.argv[1]))
except ServerError as error:
    sys.exit(f"shelfsight: {error}")
"""


@contextmanager
def server(seconds: float) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [sys.executable, "-c", APP, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def get(url: str) -> bytes:
    place, _, path = url.removeprefix("http://").partition("/")
    with closing(http.client.HTTPConnection(place, timeout=PATIENCE)) as client:
        client.request("GET", f"/{path}")
        response = client.getresponse()
        content = response.read()
        assert response.status == 200
        return content


def stopped(path: str, seconds: float) -> tuple[int, str, bool]:
    """Stop a server during a request; return its status, what it said, and if it answered."""
    with server(seconds) as (process, url), ThreadPoolExecutor(1) as clients:
        asked = clients.submit(get, url + path)
        until(lambda: get(url) != b"0")
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=PATIENCE)
        with suppress(OSError, http.client.HTTPException, AssertionError):
            return process.returncode, error, bool(asked.result(PATIENCE))
        return process.returncode, error, False


def test_a_request_in_progress_is_answered_and_the_status_is_0() -> None:
    assert stopped("/short", 60) == (0, "", True)


def test_a_request_that_takes_too_long_is_cut_and_the_status_is_1() -> None:
    status, error, answered = stopped("/asleep", 3)
    assert (status, answered) == (1, False)
    assert "shelfsight: 1 requests in progress were cut when the server stopped" in error


@pytest.mark.parametrize("path", ["/stuck", "/blocked"])
def test_a_thread_that_hangs_is_named_and_the_status_is_1(path: str) -> None:
    status, error, answered = stopped(path, 3)
    assert (status, answered) == (1, False)
    assert "did not stop within 3 s" in error
    where = "scan_0 in shelfsight.stuck.work" if path == "/stuck" else "MainThread in "
    assert where in error
