"""The embedding server over HTTP."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from urllib.parse import urlsplit

import numpy as np
import pytest

from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.embedding.remote.remote_embedder import RemoteEmbedder
from shelfsight.embedding.wire import decode_vector
from shelfsight.records import Failure
from shelfsight.serving.access import ServerKey
from shelfsight.serving.limits import ServerLimits
from tests.free_port import free_port
from tests.integration.embedding_server import (
    Answer,
    ask,
    cosine,
    in_base64,
    in_process,
    lite,
    picture,
    serving,
    stores,
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    limits = ServerLimits(body_bytes=3_000_000, pictures=20, texts=50, tokens=5000)
    with serving(limits=limits) as url:
        yield url


class Gated:
    """A real image model behind a gate; it raises for pictures that begin with `bad`."""

    def __init__(self) -> None:
        self.spec, self.batch = lite()[0].spec, lite()[0].batch
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.bad: BaseException | None = None

    def embed(self, pictures: Sequence[np.ndarray]) -> list:
        self.entered.set()
        self.gate.wait(30)
        if self.bad is not None and any((pixels[0] == 255).all() for pixels in pictures):
            raise self.bad
        return lite()[0].embed(pictures)


@contextlib.contextmanager
def gated(**limits: float) -> Iterator[tuple[Gated, str]]:
    model = Gated()
    with serving(image=model, limits=ServerLimits(**limits)) as url:
        try:
            yield model, url
        finally:
            model.gate.set()


def marked(seed: int = 0) -> np.ndarray:
    pixels = picture(seed)
    pixels[0] = 255
    return pixels


def until(true, seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not true():
        assert monotonic() < deadline
        sleep(0.01)


# What is answered


def test_our_client_gets_the_vectors_of_the_models_in_process(url: str) -> None:
    pictures = [picture(n) for n in range(20)]
    texts = [f"mug number {n} " * (n + 1) for n in range(40)]
    here = in_process()
    with contextlib.closing(RemoteEmbedder(ServerConfig(url=url))) as there:
        assert there.models == here.models
        assert there.picture_format == here.picture_format
        pairs = [
            *zip(here.embed_images(pictures), there.embed_images(pictures), strict=True),
            *zip(here.embed_texts(texts), there.embed_texts(texts), strict=True),
            *zip(
                here.embed_texts(texts, query=True),
                there.embed_texts(texts, query=True),
                strict=True,
            ),
        ]
    assert all(cosine(a, b) > 0.9999 for a, b in pairs)


def test_our_client_gets_a_failure_for_each_guilty_text_and_vectors_for_the_others(
    url: str,
) -> None:
    with contextlib.closing(RemoteEmbedder(ServerConfig(url=url))) as there:
        results = there.embed_texts(["a mug", " ", "a shoe"])
        alone = there.embed_texts([""])
    assert [getattr(result, "kind", "vector") for result in results] == [
        "vector",
        "empty_text",
        "vector",
    ]
    assert isinstance(alone[0], Failure)
    assert alone[0].kind == "empty_text"


def test_one_picture_alone(url: str) -> None:
    body = {"image_data": in_base64(picture(), "JPEG"), "instruction": "Represent this image."}
    answer = ask(url, "/embed/image", body)
    assert answer.status == 200
    told = answer.json
    assert (told["dimension"], len(told["embeddings"]), len(told["embeddings"][0])) == (768, 1, 768)
    assert told["model"] == "efficientnet-lite1-lite2-int8@0.1.0.r1"
    assert told["usage"] == {"images": 1}
    assert told["processing_time_ms"] > 0
    assert told["errors"] == []


def test_numbers_and_base64_say_the_same_and_base64_is_several_times_smaller(url: str) -> None:
    body = {"texts": ["a mug", "a shoe"], "instruction": None, "normalize": True}
    numbers = ask(url, "/embed/text", body)
    packed = ask(url, "/embed/text", {**body, "encoding_format": "base64"})
    for a, b in zip(numbers.json["embeddings"], packed.json["embeddings"], strict=True):
        assert np.array_equal(np.float32(a), decode_vector(b))
    images = {"images": [in_base64(picture(n)) for n in range(3)]}
    full = ask(url, "/embed/image", images)
    small = ask(url, "/embed/image", {**images, "encoding_format": "base64"})
    assert 3 * len(small.content) < len(full.content)


def test_a_bad_item_leaves_a_gap_and_a_reason_and_alone_it_is_a_422(url: str) -> None:
    images = [in_base64(picture()), "bm90IGEgcGljdHVyZQ==", "%%%", "https://example.org/a.jpg", ""]
    answer = ask(url, "/embed/image", {"images": images})
    assert answer.status == 200
    assert [vector is None for vector in answer.json["embeddings"]] == [False, *[True] * 4]
    kinds = {1: "not_an_image", 2: "bad_base64", 3: "url_not_fetched", 4: "empty"}
    assert answer.kinds == kinds
    for index, kind in kinds.items():
        alone = ask(url, "/embed/image", {"image_data": images[index]})
        assert (alone.status, alone.kinds) == (422, {0: kind})
        assert alone.json["embeddings"] == [None]
        assert alone.json["errors"][0]["message"]


def test_a_data_uri_is_a_picture_too(url: str) -> None:
    sent = in_base64(picture())
    plain = ask(url, "/embed/image", {"image_data": sent}).json
    uri = ask(url, "/embed/image", {"image_data": f"data:image/png;base64,{sent}"}).json
    assert cosine(plain["embeddings"][0], uri["embeddings"][0]) > 0.9999


def test_results_are_the_same_alone_and_among_many(url: str) -> None:
    texts = [f"text {n} " * (1 + n * n % 37) for n in range(40)]
    pictures = [in_base64(picture(n)) for n in range(8)]

    def text(text: str) -> list[float]:
        return ask(url, "/embed/text", {"texts": [text]}).json["embeddings"][0]

    def image(sent: str) -> list[float]:
        return ask(url, "/embed/image", {"image_data": sent}).json["embeddings"][0]

    with ThreadPoolExecutor(16) as clients:
        crowd = [*clients.map(text, texts), *clients.map(image, pictures)]
    alone = [*map(text, texts), *map(image, pictures)]
    assert all(cosine(a, b) >= 0.9995 for a, b in zip(alone, crowd, strict=True))


def test_lone_surrogates_and_nul_are_texts(url: str) -> None:
    answer = ask(url, "/embed/text", b'{"texts": ["mug \\ud800 cup", "a\\u0000b", "\\udc00"]}')
    assert answer.status == 200
    assert answer.json["errors"] == []


def test_the_server_says_what_it_has(url: str) -> None:
    health = ask(url, "/health").json
    assert health["status"] == "healthy"
    assert health["models"]["image"]["dimension"] == 768
    assert health["models"]["text"]["name"] == "wordllama-l2-supercat-256"
    assert health["device"] == "cpu"
    assert health["uptime"] >= 0
    assert health["version"]
    assert ask(url, "/ready").json == {"ready": True, "problems": []}
    endpoints = ask(url, "/").json["endpoints"]
    described = ask(url, "/openapi.json").json["paths"]
    assert {path.split(" ")[1] for path in endpoints} - {"/docs"} <= set(described)


def test_the_documentation_needs_no_other_host(url: str) -> None:
    page = ask(url, "/docs").content.decode()
    assert "//" not in re.sub(r"(?m)^ *//.*$|<!--.*?-->", "", page)
    files = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {name.rpartition(".")[2] for name in files} >= {"js", "css"}
    for name in files:
        assert ask(url, name).status == 200


def test_prometheus_reads_what_was_done(url: str) -> None:
    ask(url, "/embed/text", {"texts": ["a", ""]})
    ask(url, "/embed/text", {"texts": []})
    told = ask(url, "/metrics").content.decode()
    assert stores(told) == {
        *("bodies", "waiting_pictures", "waiting_texts", "decoders", "connections")
    }
    lines = told.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values['shelfsight_requests_total{path="/embed/text",status="200"}']) >= 1
    assert float(values['shelfsight_items_total{lane="text"}']) >= 2
    assert float(values['shelfsight_batch_size_count{lane="text"}']) >= 1
    assert float(values['shelfsight_request_seconds_count{path="/embed/text"}']) >= 2
    assert float(values['shelfsight_errors_total{kind="empty_text"}']) >= 1
    assert float(values['shelfsight_errors_total{kind="no_items"}']) >= 1
    assert values['shelfsight_queue_depth{lane="image"}'] == "0.0"


# What is refused


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/embed/text", b"not json", 400, "bad_json"),
        ("/embed/text", {"texts": "one"}, 422, "bad_request"),
        ("/embed/text", {"texts": []}, 422, "no_items"),
        ("/embed/text", {"texts": ["a"], "normalize": False}, 422, "bad_request"),
        ("/embed/text", {"texts": ["a"] * 51}, 413, "too_many_items"),
        ("/embed/text", {"texts": ["word " * 1000] * 6}, 413, "too_many_tokens"),
        ("/embed/image", {}, 422, "bad_request"),
        ("/embed/image", {"images": ["a"], "image_data": "a"}, 422, "bad_request"),
        ("/embed/image", {"images": []}, 422, "no_items"),
        ("/embed/image", {"images": ["a"] * 21}, 413, "too_many_items"),
        ("/embed/sound", {}, 404, "http_404"),
        ("/embed/text", None, 405, "http_405"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_words(
    url: str, path: str, body: object, status: int, kind: str
) -> None:
    answer = ask(url, path, body)
    assert (answer.status, answer.error) == (status, kind)
    assert answer.json["error"]["message"]


def test_a_body_that_says_it_is_too_large_is_not_waited_for(url: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.putrequest("POST", "/embed/text")
    connection.putheader("Content-Length", "3000001")
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read())["error"]["type"] == "body_too_large"
    connection.close()


def test_a_body_without_a_length_is_not_read_beyond_the_limit(url: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    chunks = (b" " * 100_000 for _ in range(40))
    connection.request("POST", "/embed/text", body=chunks, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read())["error"]["type"] == "body_too_large"
    connection.close()


def test_a_body_that_never_comes_is_given_up() -> None:
    with serving(limits=ServerLimits(body_seconds=0.1)) as url:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        connection.putrequest("POST", "/embed/text")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b"{")
        assert connection.getresponse().status == 408
        connection.close()


def test_only_who_has_the_key_is_served() -> None:
    with serving(key=ServerKey("secret")) as url:
        body = {"texts": ["a mug"]}
        for key in (None, "wrong"):
            answer = ask(url, "/embed/text", body, key=key)
            assert (answer.status, answer.error) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert ask(url, "/metrics", key=key).status == 401
        assert ask(url, "/embed/text", body, key="secret").status == 200
        assert ask(url, "/metrics", key="secret").status == 200
        assert ask(url, "/health").status == 200
        config = ServerConfig(url=url, api_key="secret")
        with contextlib.closing(RemoteEmbedder(config)) as client:
            assert not isinstance(client.embed_texts(["a mug"])[0], Failure)


# When things go wrong


def test_a_full_queue_answers_429_and_when_to_come_again() -> None:
    with gated(waiting_pictures=4) as (model, url), ThreadPoolExecutor(1) as clients:
        model.gate.clear()
        model.entered.clear()
        body = {"images": [in_base64(picture())] * 3}
        first = clients.submit(ask, url, "/embed/image", body)
        assert model.entered.wait(20)
        answer = ask(url, "/embed/image", body)
        assert (answer.status, answer.error) == (429, "busy")
        assert int(answer.headers["retry-after"]) >= 1
        assert ask(url, "/embed/text", {"texts": ["the other lane is free"]}).status == 200
        model.gate.set()
        assert first.result(20).status == 200
        assert ask(url, "/embed/image", body).status == 200


def test_the_picture_that_breaks_the_model_fails_alone() -> None:
    with gated() as (model, url):
        model.bad = ValueError("no such colour")
        pixels = [picture(0), marked(), picture(1), picture(2)]
        answer = ask(url, "/embed/image", {"images": [in_base64(p) for p in pixels]})
        assert (answer.status, answer.kinds) == (200, {1: "model_error"})
        assert sum(vector is not None for vector in answer.json["embeddings"]) == 3
        assert ask(url, "/health").status == 200


def test_a_stuck_worker_makes_health_503_until_it_moves() -> None:
    with gated(stuck_seconds=0.2) as (model, url), ThreadPoolExecutor(1) as clients:
        model.gate.clear()
        waiting = clients.submit(ask, url, "/embed/image", {"image_data": in_base64(picture())})
        until(lambda: ask(url, "/health").status == 503)
        health = ask(url, "/health").json
        assert health["status"] == "unhealthy"
        assert "hung" in health["problems"][0]
        assert ask(url, "/ready").status == 503
        answer = waiting.result(20)
        assert (answer.status, answer.error) == (503, "worker_down")
        model.gate.set()
        until(lambda: ask(url, "/health").status == 200)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_worker_makes_health_503() -> None:
    with gated() as (model, url):
        model.bad = SystemExit()
        answer = ask(url, "/embed/image", {"image_data": in_base64(marked())})
        assert (answer.status, answer.error) == (503, "worker_down")
        until(lambda: ask(url, "/health").status == 503)
        assert ask(url, "/embed/image", {"image_data": in_base64(picture())}).status == 503
        assert ask(url, "/embed/text", {"texts": ["the other lane lives"]}).status == 200


# The command


@contextlib.contextmanager
def command_started(*flags: str, **environment: str) -> Iterator[subprocess.Popen]:
    arguments = [sys.executable, "-m", "shelfsight", "serve-models", "--models=lite", *flags]
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def command(*flags: str, **environment: str) -> Iterator[tuple[subprocess.Popen, str]]:
    with command_started(*flags, **environment) as process:
        line = process.stdout.readline()
        yield process, line.split(" at ")[-1].split(";")[0]


def test_told_to_stop_the_server_finishes_what_was_asked_and_exits_well() -> None:
    with command("--port=0") as (server, url), ThreadPoolExecutor(2) as clients:
        until(lambda: is_ready(url), 60)
        body = {"images": [in_base64(picture(n)) for n in range(40)]}
        asked = [clients.submit(ask, url, "/embed/image", body) for _ in range(2)]
        until(lambda: queued(ask(url, "/metrics")) > 0)
        server.send_signal(signal.SIGTERM)
        for answer in asked:
            assert answer.result(60).status == 200
            assert None not in answer.result().json["embeddings"]
        assert server.wait(60) == 0
        assert server.stderr.read() == ""


def is_ready(url: str) -> bool:
    try:
        return ask(url, "/ready").status == 200
    except OSError:
        return False


def queued(metrics: Answer) -> float:
    line = next(
        line
        for line in metrics.content.decode().splitlines()
        if line.startswith('shelfsight_queue_depth{lane="image"}')
    )
    return float(line.rsplit(" ", 1)[1])


def test_the_server_does_not_serve_other_machines_without_a_key() -> None:
    with command("--host=0.0.0.0", EMBEDDING_SERVER_API_KEY="") as (server, _):
        assert server.wait(60) == 2
        assert "EMBEDDING_SERVER_API_KEY" in server.stderr.read()


def test_an_address_that_is_taken_is_said_in_one_line() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        command(f"--port={taken.getsockname()[1]}") as (server, _),
    ):
        assert server.wait(60) == 1
        assert len(server.stderr.read().splitlines()) == 1


def test_of_two_servers_that_start_together_on_one_port_the_loser_says_so() -> None:
    port = f"--port={free_port()}"
    with command_started(port) as one, command_started(port) as other:
        until(lambda: one.poll() is not None or other.poll() is not None, 60)
        loser, winner = (one, other) if other.poll() is None else (other, one)
        assert loser.returncode == 1
        assert "cannot be listened on" in loser.stderr.read()
        line = winner.stdout.readline()
        until(lambda: is_ready(line.split(" at ")[-1].split(";")[0]), 60)
