"""The client against real servers on loopback, each scripted by its test."""

import asyncio
import base64
import json
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from io import BytesIO
from time import monotonic

import numpy as np
import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from PIL import Image

from shelfsight.embedding.remote_model import Pace, RemoteEmbedder, ServerConfig
from shelfsight.embedding.wire import decode_vector, encode_vector
from shelfsight.errors import ServerError
from shelfsight.records import Failure, ModelPair, PictureFormat, Stage, Vector

QUICK = Pace(connect=2, answer=2, first_pause=0.01, longest_pause=0.02, quiet=0.02)
HEALTH = {
    "status": "healthy",
    "models": {
        "image": {
            "name": "pixels",
            "revision": "1",
            "dimension": 768,
            "picture": {"side": 32, "resample": "bilinear"},
        },
        "text": {"name": "letters", "revision": "2", "dimension": 1024},
    },
    "device": "cpu",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def image_vector(pixels: np.ndarray, width: int = 768) -> Vector:
    """The pixels of a small copy, as many as wanted."""
    small = Image.fromarray(pixels).resize((16, 32))
    return np.asarray(small, np.float32).ravel()[:width] + 1


def text_vector(text: str, width: int = 1024) -> Vector:
    counts = Counter(ord(letter) % width for letter in text)
    return np.array([counts[i] + 0.1 for i in range(width)], np.float32)


def unit(vector: np.ndarray) -> Vector:
    return vector / np.linalg.norm(vector)


class Server:
    """A server of both models that a test changes: `before` may answer in its place."""

    def __init__(self) -> None:
        self.health: dict | None = HEALTH
        self.widths = (768, 1024)
        self.takes_batches = True
        self.encodings: tuple[str, ...] = ("float", "base64")
        self.before: Callable[[web.Request, dict], Awaitable[web.StreamResponse | None]] | None
        self.before = None
        self.requests: list[tuple[str, dict]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def bodies(self, path: str) -> list[dict]:
        return [body for called, body in self.requests if called == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        self.requests.append((request.path, body))
        self.headers.append(dict(request.headers))
        if self.before is not None and (answer := await self.before(request, body)) is not None:
            return answer
        if request.path == "/health" and self.health is not None:
            return web.json_response(self.health)
        if request.path == "/embed/image":
            return self.embed_image(body)
        if request.path == "/embed/text":
            return self.embed_text(body)
        return web.json_response({"detail": "Not Found"}, status=404)

    def embed_image(self, body: dict) -> web.Response:
        if "image_data" not in body and not self.takes_batches:
            return missing("image_data")
        files = body.get("images") or [body["image_data"]]
        vectors = [
            image_vector(np.asarray(Image.open(BytesIO(base64.b64decode(file)))), self.widths[0])
            for file in files
        ]
        return self.answer("pixels", vectors, body)

    def embed_text(self, body: dict) -> web.Response:
        vectors = [text_vector(text, self.widths[1]) for text in body["texts"]]
        return self.answer("letters", vectors, body)

    def answer(self, model: str, vectors: list[Vector], body: dict) -> web.Response:
        encoding = body.get("encoding_format", "float")
        if encoding not in self.encodings:
            return missing("encoding_format")
        sent = [encode_vector(v) if encoding == "base64" else v.tolist() for v in vectors]
        return web.json_response({"embeddings": sent, "model": model})


def missing(field: str) -> web.Response:
    detail = [{"type": "missing", "loc": ["body", field], "msg": "Field required"}]
    return web.json_response({"detail": detail}, status=422)


def refused(kind: str, message: str) -> web.Response:
    errors = [{"index": 0, "kind": kind, "message": message}]
    return web.json_response({"embeddings": [None], "errors": errors}, status=422)


@contextmanager
def serving(handler: Handler, port: int = 0) -> Iterator[str]:
    """Serve on loopback from a thread; gives the address."""

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application(client_max_size=2**27)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        return runner, runner.addresses[0][1]

    with start_blocking_portal(name="test server") as portal:
        runner, bound = portal.call(start)
        try:
            yield f"http://127.0.0.1:{bound}"
        finally:
            portal.call(runner.cleanup)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with serving(server.handle) as server.url:
        yield server


@pytest.fixture
def connect() -> Iterator[Callable[..., RemoteEmbedder]]:
    with ExitStack() as opened:

        def connect(url: str, **config: object) -> RemoteEmbedder:
            config = {"cold_start_timeout": 20, "pace": QUICK, **config}
            return opened.enter_context(closing(RemoteEmbedder(ServerConfig(url=url, **config))))

        yield connect


@pytest.fixture
def model(server: Server, connect) -> RemoteEmbedder:
    model = connect(server.url)
    server.requests.clear()
    return model


def pictures(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(count)
    return [random.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(count)]


def good(results: list[Vector | Failure]) -> list[Vector]:
    for result in results:
        assert not isinstance(result, Failure), result
        assert result.dtype == np.float32
        assert np.linalg.norm(result) == pytest.approx(1, abs=1e-5)
    return results


def failures(results: list[Vector | Failure]) -> dict[int, Failure]:
    return {i: result for i, result in enumerate(results) if isinstance(result, Failure)}


def test_the_vectors_are_those_the_server_makes_of_the_very_pixels_and_texts(model):
    pixels = pictures(40)
    texts = [f"mug number {n}" for n in range(40)]

    by_image, by_text = good(model.embed_images(pixels)), good(model.embed_texts(texts))

    np.testing.assert_allclose(by_image, [unit(image_vector(p)) for p in pixels], atol=1e-6)
    np.testing.assert_allclose(by_text, [unit(text_vector(t)) for t in texts], atol=1e-6)
    assert model.embed_images([]) == model.embed_texts([]) == []


def test_the_server_says_what_its_models_are(model):
    assert model.models == ModelPair(image="pixels@1", text="letters@2")
    assert model.picture_format == PictureFormat(side=32, resample="bilinear")


def test_compact_vectors_are_asked_for(server, model):
    model.embed_texts(["mug"])

    assert server.bodies("/embed/text") == [{"texts": ["mug"], "encoding_format": "base64"}]


def test_a_query_says_that_it_asks(server, model):
    model.embed_texts(["mug"], query=True)

    assert server.bodies("/embed/text")[0]["instruction"]


def test_a_text_with_broken_characters_gets_a_vector(model):
    good(model.embed_texts(["mug \udce9\ud800", ""]))


@pytest.mark.parametrize("widths", [(256, 384), (1000, 384)])
def test_vectors_of_other_widths_are_brought_to_the_columns(server, connect, widths):
    server.widths = widths
    server.health = json.loads(json.dumps(HEALTH))
    server.health["models"]["image"]["dimension"] = widths[0]
    server.health["models"]["text"]["dimension"] = widths[1]
    model = connect(server.url)

    (by_image,) = good(model.embed_images(pictures(1)))
    (by_text,) = good(model.embed_texts(["mug"]))

    assert (by_image.shape, by_text.shape) == ((768,), (1024,))


def test_several_requests_of_both_kinds_are_under_way_at_once(server, model):
    together = asyncio.Barrier(8)

    async def meet(_request, _body):
        await asyncio.wait_for(together.wait(), 10)

    server.before = meet
    with ThreadPoolExecutor(1) as other:
        texts = other.submit(model.embed_texts, ["mug"] * 64)
        good(model.embed_images(pictures(64)))
        good(texts.result())


# Servers that know less


def test_a_server_that_only_has_the_single_form_works_and_that_is_remembered(server, connect):
    server.health, server.takes_batches, server.encodings = None, False, ("float",)
    model = connect(server.url)
    assert model.models == ModelPair(image="pixels", text="letters")
    assert model.picture_format == PictureFormat(side=224, resample="bicubic")
    server.requests.clear()

    by_image = good(model.embed_images(pictures(20)))
    by_text = good(model.embed_texts(["mug", "cup"]))

    np.testing.assert_allclose(by_image[7], unit(image_vector(pictures(20)[7])), atol=1e-6)
    np.testing.assert_allclose(by_text[1], unit(text_vector("cup")), atol=1e-6)
    assert all(list(body) == ["image_data"] for body in server.bodies("/embed/image"))
    assert server.bodies("/embed/text") == [{"texts": ["mug", "cup"]}]


def test_a_server_with_health_that_takes_no_batch_is_found_out(server, model):
    server.takes_batches = False

    good(model.embed_images(pictures(40)))
    server.requests.clear()
    good(model.embed_images(pictures(40)))

    assert len(server.bodies("/embed/image")) == 40


def test_health_of_another_shape_is_made_up_for(server, connect):
    server.health = {"status": "ok"}

    assert connect(server.url).models == ModelPair(image="pixels", text="letters")


def test_vectors_as_lists_of_numbers_are_understood(server, model):
    async def lists(_request, body):
        body["encoding_format"] = "float"

    server.before = lists

    (vector,) = good(model.embed_texts(["mug"]))
    np.testing.assert_allclose(vector, unit(text_vector("mug")), atol=1e-6)


# Waiting


def test_a_cold_start_is_waited_for_and_said(server, connect):
    heard: list[str] = []
    enough = threading.Event()

    async def cold(_request, _body):
        if not enough.is_set():
            return web.Response(status=503, text="<html>starting</html>")

    def waiting(line: str) -> None:
        heard.append(line)
        if len(heard) == 2:
            enough.set()

    server.before = cold
    connect(server.url, waiting=waiting)

    assert heard[:2] == ["the embedding server is waking up (0 s)…"] * 2


def test_a_server_that_does_not_listen_yet_is_waited_for(connect):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server, started = Server(), ExitStack()

    def start(_line: str) -> None:
        if not server.url:
            server.url = "starting"
            threading.Thread(
                target=lambda: started.enter_context(serving(server.handle, port))
            ).start()

    with started:
        model = connect(f"http://127.0.0.1:{port}", waiting=start)
        assert model.models.text == "letters@2"
        model.close()


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


def test_retry_after_is_honoured(server, model):
    asked: list[float] = []

    async def busy(_request, _body):
        asked.append(monotonic())
        if len(asked) == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})

    server.before = busy

    good(model.embed_texts(["mug"]))
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 1


async def reset(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"embeddings": [')
    request.transport.abort()
    return response


async def status(code: int, **headers: str) -> web.StreamResponse:
    return web.Response(status=code, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def silence() -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


STUMBLES = {
    "500": lambda _: status(500),
    "502": lambda _: status(502),
    "503": lambda _: status(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "504": lambda _: status(504, Retry_After="soon"),
    "429": lambda _: status(429),
    "reset": reset,
    "silence": lambda _: silence(),
}


@pytest.mark.parametrize("stumble", STUMBLES)
def test_a_server_that_stumbles_and_recovers_costs_nothing(server, connect, stumble):
    pace = Pace(connect=2, answer=0.3, first_pause=0.01, longest_pause=0.02, quiet=5)
    model = connect(server.url, pace=pace)
    left = [1, 2, 3]

    async def stumbling(request, _body):
        return await STUMBLES[stumble](request) if left and left.pop() else None

    server.before = stumbling

    good(model.embed_texts(["mug", "cup"]))
    assert not left


def test_truncated_json_is_asked_for_again(server, model):
    left = [1, 2]

    async def truncated(_request, _body):
        return web.Response(text='{"embeddings": [[0.1, ') if left and left.pop() else None

    server.before = truncated

    good(model.embed_texts(["mug"]))


# Asked again at once, the last try may be cut off by the end of patience itself.
@pytest.mark.parametrize(
    ("retry_after", "last"), [("0", "status 503|.*[Tt]imeout.*"), ("3600", "status 503")]
)
def test_patience_ends_with_what_to_do(server, connect, retry_after, last):
    async def away(_request, _body):
        return web.Response(status=503, headers={"Retry-After": retry_after})

    server.before = away
    said = rf"within 0.1 s \(last: ({last})\).*COLD_START_TIMEOUT"
    with pytest.raises(ServerError, match=said):
        connect(server.url, cold_start_timeout=0.1)


# Items that fail alone


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_batch_that_is_refused_costs_only_the_guilty_its_vector(server, model, kind):
    guilty = pictures(40)[11]

    async def refuse(_request, body):
        files = [decoded(file) for file in body.get("images", [])]
        if "bad" in body.get("texts", []) or any(np.array_equal(f, guilty) for f in files):
            return web.json_response({"detail": "cannot do\n this"}, status=422)

    server.before = refuse
    if kind == "image":
        good(model.embed_images(pictures(1)))
        results = model.embed_images(pictures(40))
    else:
        good(model.embed_texts(["good"]))
        results = model.embed_texts(["bad" if n == 11 else f"good {n}" for n in range(40)])

    stage = Stage.IMAGE if kind == "image" else Stage.TEXT
    message = '{"detail": "cannot do\\n this"}'
    assert failures(results) == {11: Failure(stage=stage, kind="server_422", message=message)}
    good(results[:11] + results[12:])


def decoded(file: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(base64.b64decode(file))))


def test_what_the_server_says_of_an_item_is_passed_on(server, model):
    async def some(_request, body):
        if body["texts"] == ["alone"]:
            return refused("too_long", "too long")
        vectors = [text_vector("a").tolist(), None, text_vector("b").tolist()]
        errors = [{"index": 1, "kind": "too_long", "message": "too long"}]
        return web.json_response({"embeddings": vectors, "errors": errors})

    server.before = some
    failure = Failure(stage=Stage.TEXT, kind="too_long", message="too long")

    assert failures(model.embed_texts(["a", "x", "b"])) == {1: failure}
    assert failures(model.embed_texts(["alone"])) == {0: failure}


def test_an_item_at_which_the_server_breaks_fails_alone(server, model):
    async def breaks(_request, body):
        return web.Response(status=500, text="oh") if "poison" in body["texts"] else None

    server.before = breaks
    results = model.embed_texts(["poison" if n == 3 else f"good {n}" for n in range(16)])

    ((index, failure),) = failures(results).items()
    assert index == 3
    assert (failure.kind, failure.retryable) == ("server_500", True)
    good(results[:3] + results[4:])


@pytest.mark.parametrize(
    "sent",
    [
        text_vector("x")[:1000].tolist(),
        [float("nan")] * 1024,
        [1e300] * 1024,
        [0.0] * 1024,
        [],
        None,
        "not base64!",
        base64.b64encode(b"odd").decode(),
        encode_vector(np.full(1024, np.inf, np.float32)),
    ],
)
def test_a_vector_that_is_none_never_gets_through(server, model, sent):
    async def bad(_request, _body):
        embeddings = [text_vector("a").tolist(), sent]
        return web.Response(
            text=json.dumps({"embeddings": embeddings}), content_type="application/json"
        )

    server.before = bad
    results = model.embed_texts(["a", "b"])

    good(results[:1])
    assert {i: failure.kind for i, failure in failures(results).items()} == {1: "bad_vector"}


def test_an_answer_of_another_length_than_the_question_is_no_answer(server, model):
    async def short(_request, body):
        if len(body["texts"]) > 1:
            return server.embed_text({"texts": body["texts"][1:]})

    server.before = short

    by_text = good(model.embed_texts(["mug", "cup", "cap"]))
    np.testing.assert_allclose(by_text[2], unit(text_vector("cap")), atol=1e-6)


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


def test_a_server_without_the_endpoints_is_named_at_once(server, connect):
    async def nothing(_request, _body):
        return web.json_response({"detail": "Not Found"}, status=404)

    server.before = nothing
    with pytest.raises(ServerError, match=r"POST /embed/text with status 404: EMBEDDING_SERVER_U"):
        connect(server.url)


def test_json_without_embeddings_is_named_at_once(server, connect):
    async def other(_request, _body):
        return web.json_response({"hello": "world"})

    server.before = other
    with pytest.raises(ServerError, match="JSON that holds no embeddings"):
        connect(server.url)


def test_a_server_that_cannot_embed_a_test_item_is_refused_at_opening(server, connect):
    async def refuse(request, _body):
        return web.Response(status=404 if request.path == "/health" else 422, text="no")

    server.before = refuse
    with pytest.raises(ServerError, match=r"cannot embed a test item by POST /embed/text \(no\)"):
        connect(server.url)


def test_a_server_that_breaks_at_everything_ends_the_run(server, model):
    async def broken(_request, _body):
        return web.Response(status=500, text="CUDA error")

    server.before = broken
    with pytest.raises(ServerError, match=r"fails at every request .*CUDA error"):
        model.embed_texts([f"mug {n}" for n in range(64)])


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


def test_closing_breaks_off_what_is_under_way(server, model):
    reached = threading.Event()

    async def hang(_request, _body):
        reached.set()
        await asyncio.sleep(60)

    server.before = hang
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(model.embed_texts, ["mug"])
        assert reached.wait(10)
        model.close()
        with pytest.raises(CancelledError):
            waiting.result(10)
    model.close()


def test_a_vector_survives_the_wire_unchanged():
    vector = text_vector("mug")

    assert np.array_equal(decode_vector(encode_vector(vector)), vector)
    assert decode_vector(encode_vector(vector)).dtype == np.float32
