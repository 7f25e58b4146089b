"""The official `openai` client against the embedding server, for texts and for pictures."""

from collections.abc import Iterator
from urllib.request import Request, urlopen

import numpy as np
import openai
import pytest

from shelfsight.serving.access import ServerKey
from tests.integration.embedding_server import ask, cosine, in_base64, in_process, picture, serving

TEXT = "wordllama-l2-supercat-256"
IMAGE = "efficientnet-lite1-lite2-int8"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(key=ServerKey("secret")) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="secret", max_retries=0) as client:
        yield client


def uri(pixels: np.ndarray) -> str:
    return f"data:image/png;base64,{in_base64(pixels)}"


def test_a_text_gets_the_vector_of_the_model_in_process(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=TEXT, input="a blue mug")
    assert answer.model == f"{TEXT}@0.4.0.post1"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    assert len(answer.data[0].embedding) == 1024
    assert cosine(answer.data[0].embedding, in_process().embed_texts(["a blue mug"])[0]) > 0.9999


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_several_texts_come_back_in_their_order(client: openai.OpenAI, encoding: str) -> None:
    texts = ["a mug", "a much longer text about a pair of shoes", "socks"]
    answer = client.embeddings.create(
        model=f"{TEXT}@0.4.0.post1", input=texts, encoding_format=encoding
    )
    assert [item.index for item in answer.data] == [0, 1, 2]
    if encoding == "float":
        for item, vector in zip(answer.data, in_process().embed_texts(texts), strict=True):
            assert cosine(item.embedding, vector) > 0.9999


def test_fewer_dimensions_are_the_first_ones_at_unit_length(client: openai.OpenAI) -> None:
    full = client.embeddings.create(model=TEXT, input="a mug").data[0].embedding
    short = client.embeddings.create(model=TEXT, input="a mug", dimensions=64).data[0].embedding
    assert len(short) == 64
    assert np.linalg.norm(short) == pytest.approx(1, abs=1e-5)
    assert cosine(short, full[:64]) > 0.9999


def test_a_picture_is_a_data_uri(client: openai.OpenAI) -> None:
    pictures = [picture(1), picture(2)]
    answer = client.embeddings.create(
        model=IMAGE, input=[uri(p) for p in pictures], extra_body={"modality": "image"}
    )
    for item, vector in zip(answer.data, in_process().embed_images(pictures), strict=True):
        assert cosine(item.embedding, vector) > 0.9999


def test_a_picture_that_is_none_is_named_and_the_request_refused(client: openai.OpenAI) -> None:
    inputs = [uri(picture()), "https://example.org/a.jpg", "data:image/png;base64,aGk="]
    with pytest.raises(openai.BadRequestError, match=r"input\.1: .* 1 more of the inputs failed"):
        client.embeddings.create(model=IMAGE, input=inputs, extra_body={"modality": "image"})


@pytest.mark.parametrize("texts", [["a", ""], ["", "a"], [" "], "", ["a", "\t", "b"]])
def test_an_empty_text_is_one_error_of_openais_form(
    client: openai.OpenAI, texts: list[str] | str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=TEXT, input=texts)
    assert (refused.value.type, refused.value.param) == ("empty_text", None)


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [TEXT, IMAGE]


def test_what_clients_send_besides_has_no_effect(client: openai.OpenAI, url: str) -> None:
    plain = client.embeddings.create(model=TEXT, input="a mug").data[0].embedding
    named = client.embeddings.create(model=TEXT, input="a mug", user="u1", dimensions=1024)
    assert named.data[0].embedding == plain
    sent = {"input": "a mug", "model": TEXT, "encoding_format": None, "user": None}
    answer = ask(url, "/v1/embeddings", sent, key="secret").json
    assert cosine(answer["data"][0]["embedding"], plain) > 0.9999


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_probe_may_ask_for_the_head_alone(url: str, path: str) -> None:
    with urlopen(Request(f"{url}{path}", method="HEAD")) as answer:
        assert (answer.status, answer.read()) == (200, b"")


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]])
def test_tokens_are_refused_in_words(client: openai.OpenAI, tokens: list) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="lists of tokens are not taken"):
        client.embeddings.create(model=TEXT, input=tokens)


def test_an_object_with_an_address_is_refused_in_words(client: openai.OpenAI) -> None:
    item = {"type": "image_url", "image_url": {"url": "https://example.org/a.jpg"}}
    with pytest.raises(openai.UnprocessableEntityError, match="nothing is fetched"):
        client.embeddings.create(model=IMAGE, input=[item])


@pytest.mark.parametrize("asked", ["text-embedding-3-small", IMAGE])
def test_another_model_than_is_served_is_refused(client: openai.OpenAI, asked: str) -> None:
    with pytest.raises(openai.NotFoundError, match=TEXT):
        client.embeddings.create(model=asked, input="a mug")


@pytest.mark.parametrize(
    ("dimensions", "image"), [(63, False), (1025, False), (64, True), (767, True)]
)
def test_dimensions_the_model_was_not_trained_for_are_refused(
    client: openai.OpenAI, dimensions: int, image: bool
) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="dimensions"):
        client.embeddings.create(
            model=IMAGE if image else TEXT,
            input=uri(picture()) if image else "a mug",
            dimensions=dimensions,
            extra_body={"modality": "image" if image else "text"},
        )


def test_a_wrong_key_is_refused(url: str) -> None:
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.embeddings.create(model=TEXT, input="a mug")
