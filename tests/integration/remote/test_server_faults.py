"""The client and a server that wakes up, fails, dies, comes back, or is no embedding server."""

import asyncio
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest
from aiohttp import web

from shelfsight.embedding.remote.config import RetryPolicy, ServerConfig
from shelfsight.errors import ServerError
from tests.integration.remote.scripted_server import (
    HEALTH,
    Clock,
    Server,
    good,
    pictures,
    reset,
    serving,
    silence,
    status,
    text_vector,
    truncated,
    unit,
)

# Waiting for the first answer


def test_a_cold_start_of_60_seconds_is_waited_for_and_said(server, connect):
    clock, heard, has_answered = Clock(), [], threading.Event()

    def waiting(line: str) -> None:
        heard.append(line)
        has_answered.set()

    async def cold(_request, _body):
        if clock.now >= 30:
            assert await asyncio.to_thread(has_answered.wait, 10)
        if clock.now < 60:
            return web.Response(status=503, text="<html>starting</html>")

    server.before = cold
    model = connect(
        server.url,
        cold_start_timeout=300,
        retry_policy=clock.retry_policy(quiet=0.01),
        waiting=waiting,
    )

    good(model.embed_texts(["mug"]))
    assert 60 <= clock.now < 60 + 15
    assert heard[0].startswith("the embedding server is waking up (")
    assert max(clock.pauses) <= 15


@pytest.mark.parametrize("retry_after", [None, "0", "1", "3600"])
def test_a_cold_start_that_takes_too_long_ends_with_what_to_do(server, connect, retry_after):
    clock = Clock()

    async def away(_request, _body):
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return web.Response(status=503, headers=headers)

    server.before = away
    said = r"within 50 s \(last: status 503.*see that it runs.*COLD_START_TIMEOUT"
    with pytest.raises(ServerError, match=said):
        connect(server.url, cold_start_timeout=50, retry_policy=clock.retry_policy())
    assert clock.now <= 50


def test_the_last_answer_is_told_even_where_the_last_try_hangs(server, connect):
    async def hang(_request, _body):
        return await (status(503) if len(server.requests) == 1 else silence())

    server.before = hang
    with pytest.raises(ServerError, match=r"\(last: status 503\)"):
        connect(server.url, cold_start_timeout=0.2)


def test_a_server_that_does_not_listen_yet_is_waited_for(connect):
    server, starting = Server(), []

    def start(_line: str) -> None:
        if not starting:
            serve = serving(server.handle, bound)
            starting.append(threading.Thread(target=started.enter_context, args=(serve,)))
            starting[0].start()

    with socket.socket() as bound, ExitStack() as started:
        bound.bind(("127.0.0.1", 0))  # so that nobody else is there meanwhile
        model = connect(f"http://127.0.0.1:{bound.getsockname()[1]}", waiting=start)
        assert model.models.text == "letters@2"
        model.close()
        starting[0].join()


def test_a_303_is_followed_by_get_until_the_answer_is_there(server, model):
    hops = Counter()

    async def later(request, _body):
        if request.path == "/result":
            hops["get"] += request.method == "GET"
            if hops["get"] < 3:
                raise web.HTTPSeeOther("/result")
            return server.embed_text({"texts": ["mug"], "encoding_format": "base64"})
        raise web.HTTPSeeOther("/result")

    server.before = later

    (vector,) = good(model.embed_texts(["mug"]))
    np.testing.assert_allclose(vector, unit(text_vector("mug")), atol=1e-6)


# Stumbling


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("written", ["seconds", "date"])
def test_retry_after_is_honoured(server, connect, code, written):
    clock = Clock()
    model = connect(server.url, retry_policy=clock.retry_policy(), down_timeout=600)
    server.requests.clear()

    async def busy(_request, _body):
        if len(server.requests) == 1:
            date = format_datetime(datetime.now(UTC) + timedelta(seconds=42), usegmt=True)
            after = "40" if written == "seconds" else date
            return web.Response(status=code, headers={"Retry-After": after})

    server.before = busy

    good(model.embed_texts(["mug"]))
    (pause,) = clock.pauses
    assert pause == 40 or (written == "date" and 30 < pause <= 42)


STUMBLES = {
    "500": lambda _: status(500),
    "502": lambda _: status(502),
    "503": lambda _: status(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "504": lambda _: status(504, Retry_After="soon"),
    "429": lambda _: status(429),
    "reset": reset,
    "silence": lambda _: silence(),
    "truncated": lambda _: truncated(),
}
IMPATIENT = RetryPolicy(connect=2, answer=0.15, first_pause=0.01, longest_pause=0.02, quiet=0.02)


@pytest.mark.parametrize("stumble", STUMBLES)
def test_a_server_that_stumbles_and_recovers_costs_nothing(server, connect, stumble):
    model = connect(server.url, retry_policy=IMPATIENT)
    left = [1, 2, 3]

    async def stumbling(request, _body):
        return await STUMBLES[stumble](request) if left and left.pop() else None

    server.before = stumbling

    good(model.embed_texts(["mug", "cup"]))
    assert not left


def embed_both(model) -> list:
    """Embed 64 pictures and 64 texts at the same time."""
    with ThreadPoolExecutor(1) as other:
        texts = other.submit(model.embed_texts, [f"mug {n}" for n in range(64)])
        return model.embed_images(pictures(64)) + texts.result()


@pytest.mark.parametrize("stumble", STUMBLES)
def test_a_server_that_comes_back_is_waited_for_and_no_product_fails(server, connect, stumble):
    heard: list[str] = []
    model = connect(server.url, retry_policy=IMPATIENT, waiting=heard.append)
    heard.clear()
    left = 10 if stumble == "silence" else 40

    async def away(request, _body):
        nonlocal left
        left -= 1
        if left > 0:
            return await STUMBLES[stumble](request)
        if left == 0:
            while not any(line.endswith("; the run pauses…") for line in heard):
                await asyncio.sleep(0.01)
            return await STUMBLES["503"](request)

    server.before = away

    good(embed_both(model))
    assert heard[0].startswith("the embedding server has not answered for ")
    assert "the embedding server answers again; the run goes on" in heard


def test_requests_come_one_at_a_time_while_the_server_is_away(server, connect):
    model = connect(server.url, concurrency=4)
    under_way, most = 0, 0

    async def away(_request, _body):
        nonlocal under_way, most
        under_way += 1
        tries = len(server.requests)
        if 16 < tries <= 40:  # those sent before it was known have come back
            most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return web.Response(status=503) if tries <= 40 else None

    server.requests.clear()
    server.before = away

    good(embed_both(model))
    assert most == 1


# Gone for good


@pytest.mark.parametrize("stumble", STUMBLES)
def test_a_server_that_dies_ends_the_run_with_what_to_do(server, connect, stumble):
    """No product is marked as failed: the run ends without a result."""
    clock = Clock()
    model = connect(server.url, retry_policy=clock.retry_policy(answer=0.05), down_timeout=100)
    good(embed_both(model))
    server.requests.clear()

    async def dead(request, _body):
        clock.now += 1
        return await STUMBLES[stumble](request)

    server.before = dead
    said = r"no usable answer within 100 s \(last: .*run again once it is well.*SERVER_DOWN_TIMEOUT"
    with pytest.raises(ServerError, match=said):
        embed_both(model)
    assert len(server.requests) <= 128


class ClockOfFirst(Clock):
    """Passes for the first request that pauses; another one pauses until it is cancelled.

    It may begin between the failure of the first and the moment in which the run cancels it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._first: asyncio.Task[object] | None = None

    async def sleep(self, seconds: float) -> None:
        task = asyncio.current_task()
        self._first = self._first or task
        if task is not self._first:
            await asyncio.Event().wait()
        await super().sleep(seconds)


def test_a_server_that_listens_no_more_ends_the_run(connect):
    clock, server = ClockOfFirst(), Server()
    with serving(server.handle) as url:
        # one request at a time: on this clock, the pauses of several would add up
        config = {"retry_policy": clock.retry_policy(), "concurrency": 1}
        model = connect(url, down_timeout=100, **config)
        good(model.embed_texts(["mug"]))
    with pytest.raises(ServerError, match=r"within 100 s \(last: Cannot connect"):
        model.embed_texts([f"mug {n}" for n in range(64)])
    assert 85 <= clock.now <= 100


# Servers that are none


async def web_page(code: int) -> web.StreamResponse:
    return web.Response(status=code, text="<!doctype html><h1>Shop</h1>", content_type="text/html")


async def moved(request: web.Request) -> web.StreamResponse:
    if request.path != "/new":
        raise web.HTTPMovedPermanently("/new")
    return web.json_response(HEALTH)


USELESS = {
    "401": (lambda _: status(401), "EMBEDDING_SERVER_API_KEY"),
    "403": (lambda _: web_page(403), "EMBEDDING_SERVER_API_KEY"),
    "a web page": (lambda _: web_page(200), r"web page \(HTML, status 200\)"),
    "a refusing web page": (lambda _: web_page(400), r"web page \(HTML, status 400\)"),
    "teapot": (lambda _: status(418), "status 418"),
    "moved": (moved, r"has moved to http://127.0.0.1:\d+"),
}


@pytest.mark.parametrize("answer", USELESS)
def test_a_server_that_is_of_no_use_is_named_at_once(server, model, connect, answer):
    useless, says = USELESS[answer]

    async def before(request, _body):
        return await useless(request)

    server.before = before
    for use in (lambda: connect(server.url), lambda: model.embed_texts(["mug"])):
        server.requests.clear()
        with pytest.raises(ServerError, match=says) as caught:
            use()
        assert "\n" not in str(caught.value)
        assert len([path for path, _ in server.requests if path != "/new"]) == 1


@pytest.mark.parametrize("page", [False, True])
def test_a_server_without_the_endpoints_is_named_at_once(server, connect, page):
    async def nothing(_request, _body):
        return await web_page(404) if page else web.Response(status=404, text="Not Found")

    server.before = nothing
    said = "neither POST /embed/text nor POST /v1/embeddings: EMBEDDING_SERVER_URL"
    with pytest.raises(ServerError, match=said):
        connect(server.url)


def test_an_endpoint_that_goes_away_in_mid_run_is_named_at_once(server, model):
    async def nothing(_request, _body):
        return web.Response(status=404)

    server.before = nothing
    with pytest.raises(ServerError, match=r"POST /embed/text with status 404: EMBEDDING_SERVER_U"):
        model.embed_texts(["mug"])


def test_json_without_embeddings_is_named_at_once(server, connect):
    async def other(_request, _body):
        return web.json_response({"hello": "world"})

    server.before = other
    with pytest.raises(ServerError, match="JSON that holds no embeddings"):
        connect(server.url)


@pytest.mark.parametrize("code", [422, 500])
def test_a_server_that_cannot_embed_a_test_item_is_refused_at_opening(server, connect, code):
    async def refuse(request, _body):
        if request.path != "/health":
            return web.Response(status=code, text="no")

    server.before = refuse
    with pytest.raises(ServerError, match=r"cannot embed a test item by POST /embed/text \(.*no\)"):
        connect(server.url)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_server_whose_model_gives_no_vectors_is_refused_at_opening(server, connect, value):
    async def nothing(request, body):
        if request.path == "/embed/text":
            vectors = [np.full(1024, value, np.float32) for _ in body["texts"]]
            return server.answer("letters", vectors, body)

    server.before = nothing
    with pytest.raises(ServerError, match="not finite, or all zeros"):
        connect(server.url)


def test_a_health_that_says_another_dimension_is_refused_at_opening(server, connect):
    server.widths = (768, 512)
    with pytest.raises(ServerError, match="letters have 1024 numbers, and gives 512"):
        connect(server.url)


def test_a_model_changed_in_mid_run_ends_the_run(server, model):
    good(model.embed_texts(["mug"]))

    async def other(_request, _body):
        return server.answer("other", [text_vector("mug")], {})

    server.before = other
    with pytest.raises(ServerError, match="changed its model from letters to other"):
        model.embed_texts(["mug"])


def test_the_key_goes_to_the_server_and_to_no_other(server, connect):
    model = connect(server.url, api_key="secret")
    assert server.headers[-1]["Authorization"] == "Bearer secret"
    other = Server()
    with serving(other.handle) as other.url:

        async def elsewhere(_request, _body):
            raise web.HTTPSeeOther(f"{other.url}/health")

        server.before = elsewhere
        with pytest.raises(ServerError):
            model.embed_texts(["mug"])

    assert other.headers
    assert "Authorization" not in other.headers[-1]


def test_no_message_shows_a_password(connect):
    with pytest.raises(ServerError) as caught:
        connect("http://user:hush@127.0.0.1:9", cold_start_timeout=0.05)

    assert "hush" not in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value)
    assert "hush" not in repr(ServerConfig(url="http://x", api_key="hush"))
