"""The torch backend: equal to ONNX Runtime; bfloat16, memory, and wrong files."""

import json
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3ForCausalLM

from shelfsight.embedding.local import onnx_model, torch_model
from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.text_model import TextModel, read_tokenizer
from shelfsight.embedding.local.torch_model import TorchGraph
from shelfsight.embedding.wire import decode_vector
from shelfsight.errors import ModelError
from shelfsight.models import table
from shelfsight.models.specs import Pair, for_torch
from shelfsight.models.table import QWEN3, SIGLIP, SIGLIP_TEXT
from shelfsight.records import Failure
from shelfsight.settings import Settings
from shelfsight.wiring.embedding_server import embedding_app
from tests.integration.embedding_server import ask, in_base64, picture, running
from tests.parity.conftest import Reference
from tests.parity.test_models_qwen3 import TEXTS

TINY_IMAGE, TINY_TEXT = replace(SIGLIP, width=48), replace(QWEN3, width=64)
PICTURES = [picture(seed) for seed in range(5)]


@pytest.fixture
def embedder(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> LocalEmbedder:
    monkeypatch.setitem(table.PAIRS, "tiny", Pair(image=TINY_IMAGE, text=TINY_TEXT))
    return torch_model.open_pair("tiny", model_dir=reference.model_dir)


@pytest.fixture
def copied(reference: Reference, tmp_path: Path) -> Iterator[Path]:
    """A copy of Qwen3's folder for torch, which a test may change."""
    folder = tmp_path / QWEN3.name
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(reference.model_dir / QWEN3.name / name, folder)
    return folder


def cosines(ours: list, theirs: list) -> np.ndarray:
    return (np.stack(ours) * np.stack(theirs)).sum(axis=1)


def test_both_backends_give_the_same_vectors(reference: Reference, embedder: LocalEmbedder):
    onnx = onnx_model.open_pair("tiny", model_dir=reference.model_dir)
    for query in (False, True):
        ours, theirs = (one.embed_texts(TEXTS, query=query) for one in (embedder, onnx))
        assert cosines(ours, theirs).min() >= 0.9999
    assert cosines(embedder.embed_images(PICTURES), onnx.embed_images(PICTURES)).min() >= 0.9999
    words, their_words = (
        module.load_text(replace(SIGLIP_TEXT, width=48), reference.model_dir)
        for module in (torch_model, onnx_model)
    )
    assert cosines(words.embed(TEXTS), their_words.embed(TEXTS)).min() >= 0.9999


def test_a_batch_gives_the_vectors_of_one_at_a_time(embedder: LocalEmbedder):
    alone = [embedder.embed_texts([text])[0] for text in TEXTS]
    assert cosines(embedder.embed_texts(TEXTS), alone).min() >= 0.9995
    alone = [embedder.embed_images([one])[0] for one in PICTURES]
    assert cosines(embedder.embed_images(PICTURES), alone).min() >= 0.9995


def test_bfloat16_as_on_a_gpu_stays_close(reference: Reference, embedder: LocalEmbedder):
    """On these tiny models 0.9997; a model of many layers may lose more."""
    row, folder = for_torch(TINY_TEXT), reference.model_dir / QWEN3.name
    graph = TorchGraph(row, folder, device="cpu", dtype=torch.bfloat16)
    model = TextModel(row, graph, read_tokenizer(row, folder))
    vectors = model.embed(TEXTS)
    assert cosines(vectors, embedder.embed_texts(TEXTS)).min() >= 0.9995
    assert cosines(vectors, [model.embed([text])[0] for text in TEXTS]).min() >= 0.9995

    row, folder = for_torch(TINY_IMAGE), reference.model_dir / SIGLIP.name
    pictures = ImageModel(row, TorchGraph(row, folder, device="cpu", dtype=torch.bfloat16))
    vectors = pictures.embed(PICTURES)
    assert cosines(vectors, embedder.embed_images(PICTURES)).min() >= 0.9995
    assert cosines(vectors, [pictures.embed([one])[0] for one in PICTURES]).min() >= 0.9995


def test_a_checkpoint_for_generating_text_gives_the_same_vectors(
    reference: Reference, embedder: LocalEmbedder, copied: Path
):
    causal = Qwen3ForCausalLM(reference.qwen3.config)
    causal.model = reference.qwen3
    causal.save_pretrained(copied)
    assert any(name.startswith("model.") for name in load_file(copied / "model.safetensors"))
    vectors = torch_model.load_text(TINY_TEXT, copied.parent).embed(TEXTS)
    assert cosines(vectors, embedder.embed_texts(TEXTS)).min() >= 0.9999


def test_a_server_answers_the_same_vectors(reference: Reference, embedder: LocalEmbedder):
    settings = Settings.model_construct(
        models="tiny", backend="torch", device="cpu", model_dir=reference.model_dir
    )
    texts = {"texts": TEXTS, "encoding_format": "base64"}
    images = {"images": [in_base64(one) for one in PICTURES]}
    with running(embedding_app(settings)) as url:
        health = ask(url, "/health").json
        by_text = ask(url, "/embed/text", texts).json["embeddings"]
        by_image = ask(url, "/embed/image", images).json["embeddings"]
    assert health["device"] == "cpu"
    commit, _, of_files = health["models"]["text"]["revision"].partition("-")
    assert commit == for_torch(QWEN3).revision
    assert of_files
    assert cosines(list(map(decode_vector, by_text)), embedder.embed_texts(TEXTS)).min() >= 0.9999
    assert cosines(by_image, embedder.embed_images(PICTURES)).min() >= 0.9999


def test_a_vector_that_is_not_finite_fails_alone(copied: Path):
    weights = load_file(copied / "model.safetensors")
    token = torch_model.load_text(TINY_TEXT, copied.parent).tokens(["mug"])[0][0]
    weights["embed_tokens.weight"][token] = torch.nan
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    good, bad, also_good = torch_model.load_text(TINY_TEXT, copied.parent).embed(
        ["cup", "mug", "glass"]
    )
    assert isinstance(bad, Failure)
    assert bad.kind == "non_finite"
    assert np.isfinite(good).all()
    assert np.isfinite(also_good).all()


def test_a_token_the_network_does_not_know_fails_alone(embedder: LocalEmbedder):
    good, bad, also_good = embedder.text.embed_tokens([[1, 2], [1, 151_669], [3]])
    assert isinstance(bad, Failure)
    assert bad.kind == "model_error"
    assert "151669" in bad.message
    assert cosines([good, also_good], embedder.text.embed_tokens([[1, 2], [3]])).min() >= 0.9995


def test_a_batch_too_large_for_the_memory_is_halved_once_its_memory_is_free(
    reference: Reference, embedder: LocalEmbedder
):
    row, folder = for_torch(TINY_IMAGE), reference.model_dir / SIGLIP.name
    graph = TorchGraph(row, folder, device="cpu", dtype=torch.float32)
    model = ImageModel(row, graph)
    held: list[weakref.ref] = []

    def room_for_two(_network, _args, feeds) -> None:
        assert not [one for one in held if one() is not None]
        held.append(weakref.ref(feeds["pixel_values"]))
        if len(feeds["pixel_values"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB")

    graph._network.register_forward_pre_hook(room_for_two, with_kwargs=True)
    assert cosines(model.embed(PICTURES), embedder.embed_images(PICTURES)).min() >= 0.9995
    assert len(held) > 3


def test_cuda_without_a_gpu_is_an_error(reference: Reference):
    with pytest.raises(ModelError, match="DEVICE=cuda: torch sees no GPU"):
        torch_model.load_image(TINY_IMAGE, reference.model_dir, "cuda")


def test_lite_has_no_form_for_torch():
    with pytest.raises(ModelError, match="efficientnet-lite1-lite2-int8 has no form for torch"):
        torch_model.open_pair("lite", model_dir=None)


def without_a_layer(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["layers.1.self_attn.q_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def of_other_shapes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))


def cut_short(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def a_web_page(folder: Path) -> None:
    (folder / "model.safetensors").write_text("<html>not found</html>")


def no_configuration(folder: Path) -> None:
    (folder / "config.json").write_text("<html>not found</html>")


def configured_by_nothing(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def configured_by_code(folder: Path) -> None:
    config = {"model_type": "new", "auto_map": {"AutoConfig": "code.New"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('executed')")


@pytest.mark.parametrize(
    "spoil",
    [
        without_a_layer,
        of_other_shapes,
        cut_short,
        a_web_page,
        no_configuration,
        configured_by_nothing,
        configured_by_code,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_files_that_are_not_right_are_refused(copied: Path, spoil):
    spoil(copied)
    with pytest.raises(ModelError, match=r"qwen3-embedding-0\.6b cannot be loaded") as caught:
        torch_model.load_text(TINY_TEXT, copied.parent)
    assert "\n" not in str(caught.value)


def test_files_of_another_model_are_refused(reference: Reference, copied: Path):
    shutil.copy(reference.model_dir / SIGLIP.name / "config.json", copied)
    with pytest.raises(ModelError, match="describes siglip, not qwen3"):
        torch_model.load_text(TINY_TEXT, copied.parent)


def test_a_network_of_another_width_is_refused(reference: Reference):
    with pytest.raises(ModelError, match=r"\(1, 64\), but \(1, 1024\) is expected"):
        torch_model.load_text(QWEN3, reference.model_dir)


def test_a_file_missing_from_your_folder_is_named(copied: Path):
    (copied / "config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks config\.json of Qwen/Qwen3-Embedding-0\.6B"):
        torch_model.load_text(TINY_TEXT, copied.parent)
