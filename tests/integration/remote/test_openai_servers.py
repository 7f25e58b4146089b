"""Texts embedded by servers that speak OpenAI's `/v1/embeddings`, each in its own way."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import pytest
from aiohttp import web

from shelfsight.embedding.remote.remote_embedder import RemoteEmbedder
from shelfsight.embedding.wire import encode_vector
from shelfsight.errors import ServerError
from shelfsight.models.table import QWEN3
from shelfsight.records import ModelPair, PictureFormat
from tests.integration.embedding_server import in_process
from tests.integration.remote.scripted_server import (
    Server,
    failures,
    good,
    pictures,
    serving,
    text_vector,
    unit,
)

NAME = "Qwen/Qwen3-Embedding-0.6B"


class OpenAIServer(Server, ABC):
    """The common part of three servers. `words` is the longest text that is accepted."""

    prefix = "/v1"
    lists_models = True
    most = 1000
    words = 100

    def __init__(self, model: str = NAME, width: int = 1024) -> None:
        super().__init__()
        self.model, self.width = model, width

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        self.requests.append((request.path, body))
        if request.path == "/health":
            return self.answer_health()
        if request.path == f"{self.prefix}/models" and self.lists_models:
            return web.json_response({"object": "list", "data": [{"id": self.model}, {"id": "b"}]})
        if request.path == f"{self.prefix}/embeddings" and request.method == "POST":
            return self.embed(body)
        return self.not_found()

    def embed(self, body: dict) -> web.Response:
        texts = body["input"]
        if len(texts) > self.most:
            return self.too_many(len(texts))
        if any(len(text.split()) > self.words for text in texts):
            return self.too_long()
        vectors = [text_vector(text, self.width) for text in texts]
        if body.get("encoding_format") == "base64":
            sent = [encode_vector(vector) for vector in vectors]
        else:
            sent = [vector.tolist() for vector in vectors]
        data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(sent)]
        usage = {"prompt_tokens": 9, "total_tokens": 9}
        return web.json_response(
            {"object": "list", "data": self.order(data), "model": self.model, "usage": usage}
        )

    def order(self, data: list[dict]) -> list[dict]:
        return data

    def answer_health(self) -> web.Response:
        return web.Response()

    def not_found(self) -> web.Response:
        return web.json_response({"detail": "Not Found"}, status=404)

    def too_many(self, count: int) -> web.Response:
        return web.json_response({"detail": [{"msg": f"List of {count}"}]}, status=422)

    @abstractmethod
    def too_long(self) -> web.Response:
        """Refuse a text that is too long."""


class TextEmbeddingsInference(OpenAIServer):
    lists_models = False
    most = 8

    def not_found(self) -> web.Response:
        return web.Response(status=404)

    def refuse(self, message: str) -> web.Response:
        error = {"message": message, "code": 413, "type": "Validation"}
        return web.json_response(error, status=413)

    def too_many(self, count: int) -> web.Response:
        return self.refuse(f"batch size {count} > maximum allowed batch size {self.most}")

    def too_long(self) -> web.Response:
        return self.refuse("`inputs` must have less than 100 tokens. Given: 101")


class Infinity(OpenAIServer):
    prefix = ""

    def answer_health(self) -> web.Response:
        return web.json_response({"unix": 1700000000.5})

    def too_long(self) -> web.Response:
        said = "InternalServerError: too long"
        error = {"message": said, "type": None, "param": None, "code": 500}
        return web.json_response({"error": error}, status=500)


class VLLM(OpenAIServer):
    def order(self, data: list[dict]) -> list[dict]:
        return data[::-1]

    def too_long(self) -> web.Response:
        said = "This model's maximum context length is 100 tokens."
        error = {"message": said, "type": "BadRequestError", "param": None, "code": 400}
        return web.json_response({"error": error}, status=400)


FLAVOURS = {
    TextEmbeddingsInference: ("server_413", "`inputs` must have less than 100 tokens. Given: 101"),
    Infinity: ("server_500", "status 500: InternalServerError: too long"),
    VLLM: ("server_400", "This model's maximum context length is 100 tokens."),
}


@pytest.fixture(params=FLAVOURS, ids=lambda flavour: flavour.__name__)
def openai_server(request) -> Iterator[OpenAIServer]:
    server = request.param()
    with serving(server.handle) as server.url:
        yield server


@pytest.fixture
def texts_only(openai_server, connect) -> RemoteEmbedder:
    model = connect(openai_server.url, load_image_model=lambda: in_process().image)
    openai_server.requests.clear()
    return model


def test_texts_get_their_vectors_whatever_the_order_and_batches_of_the_answer(texts_only):
    texts = [f"mug number {n}" for n in range(80)]

    by_text = good(texts_only.embed_texts(texts))

    np.testing.assert_allclose(by_text, [unit(text_vector(t)) for t in texts], atol=1e-6)


def test_pictures_are_embedded_in_this_process(texts_only):
    lite = in_process()
    assert texts_only.models == ModelPair(image="efficientnet-lite0@0.1.0", text=NAME)
    assert texts_only.picture_format == PictureFormat(side=224, resample="bicubic")
    pixels = [np.full((224, 224, 3), shade, np.uint8) for shade in (0, 90)]
    np.testing.assert_allclose(texts_only.embed_images(pixels), lite.embed_images(pixels))


def test_without_a_model_for_pictures_the_server_is_refused(openai_server, connect):
    with pytest.raises(ServerError, match="has no POST /embed/image"):
        connect(openai_server.url)


def test_the_server_may_embed_pictures_in_our_words_beside(openai_server, connect):
    asked = openai_server.handle

    async def both(request):
        if request.path == "/embed/image":
            return openai_server.embed_image(await request.json())
        return await asked(request)

    with serving(both) as url:
        model = connect(url)
        good(model.embed_images(pictures(20)))
        good(model.embed_texts(["mug"]))
        assert model.models == ModelPair(image="pixels+original", text=NAME)


def test_the_model_is_named_in_each_request_where_the_server_lists_it(openai_server, texts_only):
    good(texts_only.embed_texts(["mug"]))
    ((_, body),) = openai_server.requests
    expected = {"input": ["mug"], "encoding_format": "base64"}
    assert body == (expected | {"model": NAME} if openai_server.lists_models else expected)


@pytest.mark.parametrize("suffix", ["/v1", "/v1/", "/"])
def test_the_address_may_end_as_that_of_openai_clients_does(openai_server, connect, suffix):
    model = connect(openai_server.url + suffix, load_image_model=lambda: in_process().image)
    good(model.embed_texts(["mug"]))


def test_a_query_to_qwen3_gets_its_instruction_within_the_text(openai_server, texts_only):
    good(texts_only.embed_texts(["a {mug}"], query=True))
    ((_, body),) = openai_server.requests
    assert body["input"] == [QWEN3.query.format(text="a {mug}")]


def test_a_query_to_another_model_is_sent_as_it_is(connect):
    server = TextEmbeddingsInference("BAAI/bge-m3")
    with serving(server.handle) as url:
        model = connect(url, load_image_model=lambda: in_process().image)
        good(model.embed_texts(["mug"], query=True))
        assert server.requests[-1][1]["input"] == ["mug"]


def test_one_text_that_is_too_long_fails_alone_in_the_servers_words(openai_server, texts_only):
    texts = ["word " * 101 if n == 11 else f"mug {n}" for n in range(64)]

    results = texts_only.embed_texts(texts)

    ((index, failure),) = failures(results).items()
    assert index == 11
    assert (failure.kind, failure.message) == FLAVOURS[type(openai_server)]
    good(results[:11] + results[12:])


@pytest.mark.parametrize("width", [384, 1100])
def test_vectors_of_any_width_are_brought_to_the_column(connect, width):
    server = VLLM(width=width)
    with serving(server.handle) as url:
        model = connect(url, load_image_model=lambda: in_process().image)
        (vector,) = good(model.embed_texts(["mug"]))
        assert vector.shape == (1024,)


def test_a_server_that_knows_no_base64_sends_numbers(connect):
    class NumbersOnly(VLLM):
        def embed(self, body: dict) -> web.Response:
            if body.get("encoding_format") == "base64":
                return web.json_response({"detail": "encoding_format"}, status=422)
            return super().embed(body)

    server = NumbersOnly()
    with serving(server.handle) as url:
        model = connect(url, load_image_model=lambda: in_process().image)
        good(model.embed_texts([f"mug {n}" for n in range(20)]))
    assert all("encoding_format" not in body for _, body in server.requests[-2:])


@pytest.mark.parametrize("indexes", [[0, 0], [0, 7], [5, 6]])
def test_a_vector_that_belongs_to_no_text_is_not_taken(connect, indexes):
    class Confused(VLLM):
        def order(self, data: list[dict]) -> list[dict]:
            if len(data) == len(indexes):
                for item, index in zip(data, indexes, strict=True):
                    item["index"] = index
            return data

    server = Confused()
    with serving(server.handle) as url:
        model = connect(url, load_image_model=lambda: in_process().image)
        results = model.embed_texts(["mug", "cup"])
    missing = {0, 1} - set(indexes)
    assert {n: failure.kind for n, failure in failures(results).items()} == dict.fromkeys(
        missing, "bad_vector"
    )


class Odd(VLLM):
    """Answers as the servers of public bug reports do, by the way that is named."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def order(self, data: list[dict]) -> list[dict]:
        for item in data:
            if self.way == "no index":
                del item["index"]
            elif self.way == "no object":
                del item["object"]
            elif self.way == "another object":
                item["object"] = "list"
            elif self.way.startswith("null") and len(data) > 1 and item["index"] == 3:
                item["embedding"] = [None] * 1024 if self.way == "null numbers" else None
            elif self.way == "one null" and len(data) > 1 and item["index"] == 3:
                item["embedding"] = [0.5, None] * 512
            elif self.way == "empty" and len(data) > 1 and item["index"] == 3:
                item["embedding"] = []
        return data


@pytest.mark.parametrize("way", ["no index", "no object", "another object"])
def test_vectors_without_an_index_are_taken_in_order(connect, way: str) -> None:
    server = Odd(way)
    with serving(server.handle) as url:
        model = connect(url, load_image_model=lambda: in_process().image)
        texts = [f"mug number {n}" for n in range(6)]
        by_text = good(model.embed_texts(texts))
    np.testing.assert_allclose(by_text, [unit(text_vector(t)) for t in texts], atol=1e-6)


@pytest.mark.parametrize("way", ["null", "null numbers", "one null", "empty"])
def test_an_item_without_a_vector_fails_alone(connect, way: str) -> None:
    server = Odd(way)
    with serving(server.handle) as url:
        model = connect(url, load_image_model=lambda: in_process().image)
        results = model.embed_texts([f"mug number {n}" for n in range(6)])
    assert {n: failure.kind for n, failure in failures(results).items()} == {3: "bad_vector"}


class Several(VLLM):
    """Lists several models, of which `embedding` ones embed."""

    listed = ("chat", "vision", "bge-m3", "other-embedder")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/models":
            return web.json_response({"data": [{"id": name} for name in self.listed]})
        return await super().handle(request)

    def embed(self, body: dict) -> web.Response:
        if body["model"] not in self.listed[2:]:
            error = {"message": f"model {body['model']} does not support embeddings"}
            return web.json_response({"error": error}, status=400)
        self.model = body["model"]
        return super().embed(body)


def test_of_several_models_the_first_that_embeds_is_taken_and_named(connect) -> None:
    said: list[str] = []
    with serving(Several().handle) as url:
        model = connect(url, load_image_model=lambda: in_process().image, waiting=said.append)
    assert model.models.text == "bge-m3"
    (line,) = said
    assert "lists 4 models" in line
    assert "bge-m3" in line
    assert "EMBEDDING_SERVER_TEXT_MODEL" in line


def test_a_model_that_is_named_is_taken(connect) -> None:
    said: list[str] = []
    with serving(Several().handle) as url:
        model = connect(
            url,
            load_image_model=lambda: in_process().image,
            waiting=said.append,
            text_model="other-embedder",
        )
        assert model.models.text == "other-embedder"
        with pytest.raises(ServerError, match="does not support embeddings"):
            connect(url, load_image_model=lambda: in_process().image, text_model="chat")
    assert said == []
