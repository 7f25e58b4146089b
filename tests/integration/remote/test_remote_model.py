"""The client and a server on loopback: vectors, protocols, items that fail alone."""

import asyncio
import base64
import json
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest
from aiohttp import web

from shelfsight.embedding.wire import decode_vector, encode_vector
from shelfsight.errors import ServerError
from shelfsight.records import Failure, ModelPair, PictureFormat, Stage
from tests.integration.remote.scripted_server import (
    HEALTH,
    decoded,
    failures,
    good,
    image_vector,
    pictures,
    refused,
    reset,
    text_vector,
    unit,
)


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


@pytest.mark.parametrize("concurrency", [1, 4, 12])
def test_so_many_requests_of_each_kind_are_under_way_at_once(server, connect, concurrency):
    model = connect(server.url, concurrency=concurrency)
    together = asyncio.Barrier(2 * concurrency)

    async def meet(_request, _body):
        await asyncio.wait_for(together.wait(), 10)

    server.before = meet
    with ThreadPoolExecutor(1) as other:
        texts = other.submit(model.embed_texts, [f"mug {n}" for n in range(48)])
        good(model.embed_images(pictures(48)))
        good(texts.result())


def test_no_more_requests_than_that_are_under_way(server, connect):
    model = connect(server.url, concurrency=2)
    under_way, most = 0, 0

    async def count(_request, _body):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1

    server.before = count
    good(model.embed_texts([f"mug {n}" for n in range(200)]))
    assert most == 2


# Servers that know less


def test_a_server_that_only_has_the_single_form_works_and_that_is_remembered(server, connect):
    server.health, server.takes_batches, server.encodings = None, False, ("float",)
    model = connect(server.url, pictures="model")
    assert model.models == ModelPair(image="pixels", text="letters")
    assert model.picture_format == PictureFormat(side=224, resample="bicubic")
    server.requests.clear()

    by_image = good(model.embed_images(pictures(20)))
    by_text = good(model.embed_texts(["mug", "cup"]))

    np.testing.assert_allclose(by_image[7], unit(image_vector(pictures(20)[7])), atol=1e-6)
    np.testing.assert_allclose(by_text[1], unit(text_vector("cup")), atol=1e-6)
    assert all(list(body) == ["image_data"] for body in server.bodies("/embed/image"))
    assert server.bodies("/embed/text") == [{"texts": ["mug", "cup"]}]


def test_a_server_with_health_that_takes_no_batch_is_found_out_at_opening(server, connect):
    server.takes_batches = False
    model = connect(server.url)
    server.requests.clear()

    good(model.embed_images(pictures(40)))
    assert len(server.bodies("/embed/image")) == 40
    assert model.models == ModelPair(image="pixels@1", text="letters@2")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_server_that_takes_fewer_items_gets_fewer_and_no_product_fails(server, model, status):
    async def few(_request, body):
        if len(body["texts"]) > 3:
            said = f"batch size {len(body['texts'])} > maximum allowed batch size 3"
            return web.json_response({"error": said, "error_type": "Validation"}, status=status)

    server.before = few
    texts = [f"mug {n}" for n in range(64)]

    by_text = good(model.embed_texts(texts))
    np.testing.assert_allclose(by_text, [unit(text_vector(t)) for t in texts], atol=1e-6)

    server.requests.clear()
    good(model.embed_texts(texts))
    assert {len(body["texts"]) for body in server.bodies("/embed/text")} == {2}


def test_health_of_another_shape_is_made_up_for(server, connect):
    server.health = {"status": "ok"}

    assert connect(server.url).models == ModelPair(image="pixels+original", text="letters")


def test_vectors_as_lists_of_numbers_are_understood(server, model):
    async def lists(_request, body):
        body["encoding_format"] = "float"

    server.before = lists

    (vector,) = good(model.embed_texts(["mug"]))
    np.testing.assert_allclose(vector, unit(text_vector("mug")), atol=1e-6)


# Items that fail alone


@pytest.mark.parametrize("kind", ["image", "text"])
def test_one_of_64_that_is_refused_fails_alone(server, model, kind):
    guilty = pictures(64)[11]

    async def refuse(_request, body):
        files = [decoded(file) for file in body.get("images", [])]
        if "bad" in body.get("texts", []) or any(np.array_equal(f, guilty) for f in files):
            return web.json_response({"detail": "cannot do\n this"}, status=422)

    server.before = refuse
    if kind == "image":
        results = model.embed_images(pictures(64))
    else:
        results = model.embed_texts(["bad" if n == 11 else f"good {n}" for n in range(64)])

    stage = Stage.IMAGE if kind == "image" else Stage.TEXT
    failure = Failure(stage=stage, kind="server_422", message="cannot do this")
    assert failures(results) == {11: failure}
    good(results[:11] + results[12:])


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"error": "`inputs` cannot be empty", "error_type": "Empty"}, "`inputs` cannot be empty"),
        ({"message": "too long", "type": "Validation", "code": 413}, "too long"),
        ({"error": {"message": "too\nlong", "type": None, "code": 400}}, "too long"),
        ({"object": "error", "message": "too long", "code": 400}, "too long"),
        ({"what": "no"}, '{"what": "no"}'),
        (["no"], '["no"]'),
    ],
)
def test_the_words_of_a_refusal_are_those_of_the_server(server, model, sent, message):
    async def refuse(_request, _body):
        return web.json_response(sent, status=400)

    server.before = refuse
    (failure,) = model.embed_texts(["mug"])
    assert (failure.kind, failure.message) == ("server_400", message)


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


BREAKING = {
    "server_500": lambda _: web.Response(status=500, text="CUDA error"),
    "server_502": lambda _: web.Response(status=502, text="<html>Bad Gateway"),
    "server_424": lambda _: web.json_response({"error": "inference failed"}, status=424),
    "bad_answer": lambda _: web.Response(text='{"embeddings": [[0.1, '),
    "no_answer": reset,
}


@pytest.mark.parametrize("kind", BREAKING)
@pytest.mark.parametrize("beside", [0, 15, 40])
def test_an_item_at_which_the_server_breaks_fails_alone(server, model, kind, beside):
    async def breaks(request, body):
        if "poison" not in body["texts"]:
            return None
        answer = BREAKING[kind](request)
        return await answer if asyncio.iscoroutine(answer) else answer

    server.before = breaks
    results = model.embed_texts(["poison", *(f"good {n}" for n in range(beside))])

    ((index, failure),) = failures(results).items()
    assert index == 0
    assert (failure.kind, failure.retryable) == (kind, True)
    good(results[1:])


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


def test_a_server_must_have_the_model_for_pictures_that_is_named(server, connect):
    assert connect(server.url, image_model="pixels").models.image == "pixels@1"
    assert connect(server.url, image_model="pixels@1").models.image == "pixels@1"
    with pytest.raises(ServerError, match=r"pictures by pixels@1: .*IMAGE_MODEL \(clip\)"):
        connect(server.url, image_model="clip")
