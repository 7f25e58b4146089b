"""The lite pair: its vectors for known pictures and texts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.onnx_model import load_image, load_text
from shelfsight.models.table import EFFICIENTNET_LITE0, WORDLLAMA
from shelfsight.records import Failure, ModelPair, PictureFormat
from tests.integration.embedding_server import in_process


@pytest.fixture(scope="module")
def lite() -> LocalEmbedder:
    return in_process()


def picture(seed: int) -> np.ndarray:
    """Draw coloured squares, the same on every machine."""
    squares = np.random.RandomState(seed).randint(0, 256, (7, 7, 3)).astype(np.uint8)
    return squares.repeat(32, axis=0).repeat(32, axis=1)


def test_it_says_which_models_it_is_and_what_pictures_it_takes(lite: LocalEmbedder):
    assert lite.models == ModelPair(
        image="efficientnet-lite1-lite2-int8@0.1.0.r1",
        text="wordllama-l2-supercat-256@0.4.0.post1",
    )
    assert lite.picture_format == PictureFormat(side=224, resample="bicubic")


def test_a_picture_has_the_vector_it_always_had(lite: LocalEmbedder):
    (vector,) = lite.embed_images([picture(0)])
    of_lite1, of_lite2 = [0.0465, 0.0123, -0.0017], [0.0307, -0.1667, -0.0272]
    # Processors may round a value in eight bits to its other neighbour.
    np.testing.assert_allclose(vector[:3], of_lite1, atol=3e-3)
    np.testing.assert_allclose(vector[384:387], of_lite2, atol=3e-3)


def test_a_picture_has_the_vector_it_always_had_by_lite0():
    (vector,) = load_image(EFFICIENTNET_LITE0, None).embed([picture(0)])
    expected = [0.0518, 0.0417, -0.0398, 0.0255, -0.0389, 0.1643]
    np.testing.assert_allclose(vector[:6], expected, atol=2e-4)


def test_a_text_has_the_vector_it_always_had(lite: LocalEmbedder):
    (vector,) = lite.embed_texts(["Blue ceramic mug, 330 ml"])
    expected = [0.0372, 0.1144, 0.1013, 0.1091, 0.2248, 0.0761]
    np.testing.assert_allclose(vector[:6], expected, atol=2e-4)


def test_vectors_are_float32_of_unit_length_as_wide_as_their_column(lite: LocalEmbedder):
    (image,) = lite.embed_images([picture(1)])
    (text,) = lite.embed_texts(["a mug"])
    for vector, width in ((image, 768), (text, 1024)):
        assert vector.shape == (width,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_pictures_together_have_the_vectors_they_have_alone(lite: LocalEmbedder):
    pictures = [picture(seed) for seed in range(19)]
    together = np.stack(lite.embed_images(pictures))
    alone = np.stack([lite.embed_images([one])[0] for one in pictures])
    assert (together * alone).sum(axis=1).min() >= 0.9995
    assert not np.allclose(together[0], together[1], atol=1e-3)


def test_texts_together_have_the_vectors_they_have_alone_in_their_order(lite: LocalEmbedder):
    texts = ["mug " * count + str(count) for count in (300, 1, 900, 40, 2, 2000, 7)]
    together = np.stack(lite.embed_texts(texts))
    alone = np.stack([lite.embed_texts([one])[0] for one in texts])
    assert (together * alone).sum(axis=1).min() >= 0.9995


def test_nothing_gives_nothing(lite: LocalEmbedder):
    assert lite.embed_images([]) == []
    assert lite.embed_texts([]) == []


@pytest.mark.parametrize("empty", ["", " ", "\n\t "])
def test_an_empty_text_fails_alone(lite: LocalEmbedder, empty: str):
    before, failed, after = lite.embed_texts(["mug", empty, "cup"])
    assert isinstance(failed, Failure)
    assert failed.kind == "empty_text"
    np.testing.assert_allclose(before, lite.embed_texts(["mug"])[0], atol=1e-6)
    np.testing.assert_allclose(after, lite.embed_texts(["cup"])[0], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=()), max_size=40))
def test_no_character_is_an_error(lite: LocalEmbedder, text: str):
    for query in (False, True):
        (result,) = lite.embed_texts([text], query=query)
        if text.strip():
            assert np.linalg.norm(result) == pytest.approx(1, abs=1e-5)
        else:
            assert isinstance(result, Failure)


@pytest.mark.parametrize("odd", ["a\x00b", "\x00", "\ud800", "x\udfffy", "\u202e\ufeff", "{text}"])
def test_odd_characters_are_embedded(lite: LocalEmbedder, odd: str):
    (vector,) = lite.embed_texts([odd], query=True)
    assert np.isfinite(vector).all()


def test_no_length_is_an_error(lite: LocalEmbedder):
    vectors = lite.embed_texts(["mug " * 500_000, "x" * 1_000_000])
    assert all(vector.shape == (1024,) for vector in vectors)


def test_a_long_text_is_cut_and_keeps_its_start():
    model = load_text(replace(WORDLLAMA, max_tokens=8), None)
    cut, whole, longer = model.embed(["red" + " red" * 7 + " blue" * 9, "red", "red" + " blue" * 9])
    assert cut @ whole >= 0.9999
    assert longer @ whole < 0.99


def test_only_a_query_is_put_into_the_template():
    model = load_text(replace(WORDLLAMA, query="find: {text}"), None)
    asked, told, spelled_out = (
        *model.embed(["mug"], query=True),
        *model.embed(["mug", "find: mug"]),
    )
    assert asked @ spelled_out >= 0.9999
    assert asked @ told < 0.99


def test_pictures_and_texts_are_embedded_at_the_same_time(lite: LocalEmbedder):
    pictures, texts = [picture(seed) for seed in range(10)], [f"mug {n}" for n in range(400)]
    work: list[Callable[[], list]] = [
        lambda: lite.embed_images(pictures),
        lambda: lite.embed_texts(texts),
    ]
    expected = [np.stack(run()) for run in work]
    with ThreadPoolExecutor(4) as pool:
        running = [(number % 2, pool.submit(work[number % 2])) for number in range(8)]
        for kind, result in running:
            np.testing.assert_allclose(np.stack(result.result()), expected[kind], atol=1e-5)
