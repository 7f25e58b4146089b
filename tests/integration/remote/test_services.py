"""Embedding services by their own APIs, whose servers here follow the public references."""

import base64
from abc import ABC, abstractmethod
from io import BytesIO
from urllib.parse import unquote

import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from shelfsight.embedding.remote.server_protocol import RequestOptions
from shelfsight.embedding.remote.services.table import SERVICES, service_of
from shelfsight.embedding.width import fit_width
from shelfsight.errors import ServerError
from shelfsight.records import ModelPair
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import open_embedder
from tests.cases.picture_files import saved, scene
from tests.integration.embedding_server import in_process
from tests.integration.remote.scripted_server import (
    Clock,
    failures,
    good,
    image_vector,
    pictures,
    serving,
    text_vector,
    unit,
)

KEY = "secret-key"
PATIENT = {"cold_start_timeout": 600, "down_timeout": 600}
TEXTS = [f"mug number {n}" for n in range(40)]


class ServiceServer(ABC):
    """The part that services share: the key, limits, and vectors that depend on what is asked.

    A vector of a query is that of the text with a `?` at its end.
    """

    model = ""
    picture_model: str | None = None
    most = 100
    width = 1024
    error_key = "message"

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict]] = []
        self.refusals: list[web.Response] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        self.requests.append((unquote(request.path), body))
        if not self.knows(request):
            return web.json_response({"detail": "Invalid API key"}, status=401)
        if request.method != "POST" or not self.has(unquote(request.path)):
            return web.json_response({"detail": "Not Found"}, status=404)
        if self.refusals:
            return self.refusals.pop()
        try:
            return web.json_response(self.embed(body))
        except (KeyError, ValueError, TypeError) as error:
            return web.json_response({self.error_key: str(error)}, status=400)

    def knows(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {KEY}"

    @abstractmethod
    def has(self, path: str) -> bool:
        """Whether the API has this path."""

    @abstractmethod
    def embed(self, body: dict) -> dict:
        """Answer a request."""

    def text(self, text: str, width: int | None = None, *, query: bool) -> list[float]:
        if not text.strip() or "refused" in text:
            raise ValueError("the input is not valid")
        return text_vector(text + "?" * query, self.width)[:width].tolist()

    def check(self, count: int, model: str, *known: str | None) -> None:
        if not 0 < count <= self.most:
            raise ValueError(f"at most {self.most} inputs, not {count}")
        if model not in known:
            raise ValueError(f"Model '{model}' not found")


def picture(file: str, width: int | None = None) -> list[float]:
    image = Image.open(BytesIO(base64.b64decode(file, validate=True)))
    return image_vector(np.asarray(image), 1024)[:width].tolist()


def listed(vectors: list[list[float]], model: str) -> dict:
    data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
    return {"object": "list", "data": data, "model": model, "usage": {"total_tokens": 9}}


def only(body: dict, *fields: str) -> None:
    if set(body) - set(fields):
        raise ValueError(f"unknown fields {set(body) - set(fields)}")


class Jina(ServiceServer):
    model = "jina-embeddings-v3"
    picture_model = "jina-clip-v2"
    error_key = "detail"

    def has(self, path: str) -> bool:
        return path == "/v1/embeddings"

    def embed(self, body: dict) -> dict:
        only(body, "model", "input", "task", "dimensions", "embedding_type")
        self.check(len(body["input"]), body["model"], self.model, self.picture_model)
        if body["model"] == self.picture_model:
            files = [item["image"] for item in body["input"]]
            return listed([picture(file, body["dimensions"]) for file in files], body["model"])
        query = {"retrieval.query": True, "retrieval.passage": False}[body["task"]]
        texts = [self.text(text, body["dimensions"], query=query) for text in body["input"]]
        return listed(texts, "jina-v3@9")


class Cohere(ServiceServer):
    model = "embed-v4.0"
    most = 96
    width = 1536

    def has(self, path: str) -> bool:
        return path == "/v2/embed"

    def embed(self, body: dict) -> dict:
        only(body, "model", "texts", "input_type", "embedding_types", "output_dimension")
        self.check(len(body["texts"]), body["model"], self.model)
        query = {"search_query": True, "search_document": False}[body["input_type"]]
        width = body["output_dimension"]
        vectors = [self.text(text, width, query=query) for text in body["texts"]]
        sent = {kind: vectors for kind in body["embedding_types"]}
        return {"id": "9", "embeddings": sent, "texts": body["texts"], "meta": {}}


class Voyage(ServiceServer):
    model = "voyage-3.5"
    picture_model = "voyage-multimodal-3.5"
    most = 1000
    error_key = "detail"

    def has(self, path: str) -> bool:
        return path in {"/v1/embeddings", "/v1/multimodalembeddings"}

    def embed(self, body: dict) -> dict:
        only(body, "model", "input", "inputs", "input_type", "truncation", "output_dimension")
        query = {"query": True, "document": False}[body["input_type"]]
        items = body["input"] if "input" in body else body["inputs"]
        known = self.model if "input" in body else self.picture_model
        self.check(len(items), body["model"], known)
        return listed([self.item(item, query=query) for item in items], body["model"])

    def item(self, item: str | dict, *, query: bool) -> list[float]:
        if isinstance(item, str):
            return self.text(item, query=query)
        (part,) = item["content"]
        if part["type"] == "text":
            return self.text(part["text"], query=query)
        kind, file = part["image_base64"].split(";base64,")
        assert Image.open(BytesIO(base64.b64decode(file))).get_format_mimetype() == kind[5:]
        return picture(file)


class Gemini(ServiceServer):
    model = "gemini-embedding-001"
    width = 3072

    def knows(self, request: web.Request) -> bool:
        return request.headers.get("x-goog-api-key") == KEY and "Authorization" not in (
            request.headers
        )

    def has(self, path: str) -> bool:
        return path == f"/v1beta/models/{self.model}:batchEmbedContents"

    def embed(self, body: dict) -> dict:
        only(body, "requests")
        return {"embeddings": [{"values": self.item(item)} for item in body["requests"]]}

    def item(self, item: dict) -> list[float]:
        only(item, "model", "content", "taskType", "outputDimensionality")
        self.check(1, item["model"], f"models/{self.model}")
        query = {"RETRIEVAL_QUERY": True, "RETRIEVAL_DOCUMENT": False}[item["taskType"]]
        (part,) = item["content"]["parts"]
        return self.text(part["text"], item["outputDimensionality"], query=query)


ALL = {"jina": Jina, "cohere": Cohere, "voyage": Voyage, "gemini": Gemini}
WITH_PICTURES = ["jina", "voyage"]


@pytest.fixture(params=ALL)
def name(request) -> str:
    return request.param


@pytest.fixture
def open_service(connect):
    """Connects to the server of a service, as `name`, with a key and the models that it has."""

    def open_service(name: str, url: str, **config: object):
        server = ALL[name]
        models = {"text_model": server.model, "image_model": server.picture_model}
        config = {"api_key": KEY, "service": SERVICES[name], **models, **config}
        return connect(url, load_image_model=lambda: in_process().image, **config)

    return open_service


@pytest.mark.parametrize("with_version", [False, True])
def test_a_service_embeds_texts_and_queries(name, open_service, with_version) -> None:
    server = ALL[name]()
    with serving(server.handle) as url:
        address = url + SERVICES[name].prefix * with_version
        model = open_service(name, address)
        assert model.models.text == server.model
        found = good(model.embed_texts(TEXTS))
        queries = good(model.embed_texts(TEXTS[:2], query=True))
    sent = [unit(text_vector(text, server.width)[:1024]) for text in TEXTS]
    assert np.allclose(found, sent, atol=1e-6)
    asked = [unit(text_vector(f"{text}?", server.width)[:1024]) for text in TEXTS[:2]]
    assert np.allclose(queries, asked, atol=1e-6)


@pytest.mark.parametrize("name", WITH_PICTURES)
def test_a_service_with_a_model_for_pictures_embeds_them(name, open_service) -> None:
    server, sent = ALL[name](), pictures(20)
    with serving(server.handle) as url:
        model = open_service(name, url, pictures="model")
        assert model.models.image == server.picture_model
        found = good(model.embed_images(sent))
    vectors = np.array([image_vector(pixels, 1024) for pixels in sent])
    width = 1024 if name == "voyage" else 768  # Voyage cannot shorten to 768
    assert np.allclose(found, fit_width(vectors[:, :width], 768), atol=1e-5)


@pytest.mark.parametrize("name", WITH_PICTURES)
def test_a_service_is_sent_the_original_files(name, open_service) -> None:
    server, scenes = ALL[name](), [scene(seed) for seed in range(3)]
    files = [saved(*made) for made in zip(scenes, ("JPEG", "PNG", "WEBP"), strict=True)]
    with serving(server.handle) as url:
        model = open_service(name, url)
        assert model.models.image == f"{server.picture_model}+original"
        found = good(model.embed_images(files))
    vectors = np.array([picture(base64.b64encode(file).decode()) for file in files], np.float32)
    width = 1024 if name == "voyage" else 768
    assert np.allclose(found, fit_width(vectors[:, :width], 768), atol=1e-5)


def test_a_multimodal_model_of_voyage_embeds_texts_too(open_service) -> None:
    with serving(Voyage().handle) as url:
        model = open_service("voyage", url, text_model=Voyage.picture_model)
        (query,) = good(model.embed_texts(["mug"], query=True))
    assert np.allclose(query, unit(text_vector("mug?")), atol=1e-6)


def test_models_of_jina_get_the_tasks_that_they_know() -> None:
    def tasks(model: str) -> list[str | None]:
        write = SERVICES["jina"].texts(model).write
        return [write(["a"], RequestOptions(query=query)).task for query in (False, True)]

    assert tasks("jina-embeddings-v4") == ["retrieval.passage", "retrieval.query"]
    assert tasks("jina-clip-v2") == [None, "retrieval.query"]
    assert tasks("jina-embeddings-v2-base-en") == [None, None]


def test_without_a_model_for_pictures_they_are_embedded_here(name, open_service) -> None:
    server = ALL[name]()
    with serving(server.handle) as url:
        model = open_service(name, url, image_model=None)
        assert model.models.image == in_process().models.image
        assert model.models.text == server.model


def test_a_text_that_a_service_refuses_fails_alone(name, open_service) -> None:
    texts = [*TEXTS[:7], "this is refused", *TEXTS[7:12]]
    with serving(ALL[name]().handle) as url:
        results = open_service(name, url).embed_texts(texts)
    assert {n: (f.kind, f.message) for n, f in failures(results).items()} == {
        7: ("server_400", "the input is not valid")
    }


def test_a_rate_limit_is_waited_out_for_as_long_as_the_service_says(name, open_service) -> None:
    server, clock = ALL[name](), Clock()
    with serving(server.handle) as url:
        model = open_service(name, url, retry_policy=clock.retry_policy(), **PATIENT)
        server.refusals = [web.Response(status=429, headers={"Retry-After": "21"})]
        good(model.embed_texts(["mug"]))
    assert clock.pauses.count(21) == 1


def test_the_pause_may_be_in_the_details_of_the_error_as_gemini_says_it(open_service) -> None:
    server, clock = Gemini(), Clock()
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"reason": "x"}, *details]}
    with serving(server.handle) as url:
        model = open_service("gemini", url, retry_policy=clock.retry_policy(), **PATIENT)
        server.refusals = [web.json_response({"error": error}, status=429)]
        good(model.embed_texts(["mug"]))
    assert clock.pauses.count(34.5) == 1


def test_a_wrong_key_and_unknown_models_are_said(name, open_service) -> None:
    with serving(ALL[name]().handle) as url:
        with pytest.raises(ServerError, match="EMBEDDING_SERVER_API_KEY"):
            open_service(name, url, api_key="wrong")
        with pytest.raises(ServerError, match=r"EMBEDDING_SERVER_TEXT_MODEL|'none' not found"):
            open_service(name, url, text_model="none")
        with pytest.raises(ServerError, match="set EMBEDDING_SERVER_TEXT_MODEL") as refused:
            open_service(name, url, text_model=None)
        assert SERVICES[name].example in str(refused.value)
        if name not in WITH_PICTURES:
            with pytest.raises(ServerError, match="leave EMBEDDING_SERVER_IMAGE_MODEL out"):
                open_service(name, url, image_model="any")


def test_a_service_is_told_by_its_host_or_by_its_name() -> None:
    for name, service in SERVICES.items():
        for host in service.hosts:
            assert service_of("auto", f"https://{host}{service.prefix}") is service
            assert service_of("openai", f"https://{host}") is None
        assert service_of(name, "http://proxy.internal:9000/embed") is service
        assert Settings(embedding_server_api=name).embedding_server_api == name
    assert service_of("auto", "https://api.openai.com/v1") is None
    assert service_of("auto", "https://api.jina.ai.example") is None


def test_settings_open_a_service() -> None:
    server = Jina()
    with serving(server.handle) as url:
        settings = Settings(
            embedding_server_url=f"{url}/v1",
            embedding_server_api="jina",
            embedding_server_api_key=KEY,
            embedding_server_text_model=Jina.model,
            embedding_server_image_model=Jina.picture_model,
            embedding_server_pictures="model",
        )
        with open_embedder(settings, print) as embedder:
            assert embedder.models == ModelPair(image=Jina.picture_model, text=Jina.model)
            good(embedder.embed_texts(["mug"]))
