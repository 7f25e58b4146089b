"""Local models: one that does not match its row is refused, and a bad item fails alone."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import get_ident

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from shelfsight.doctor import _memory_of_models
from shelfsight.embedding.local import lite_graphs, weights_memory
from shelfsight.embedding.local.available_memory import available_memory
from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.embedding.local.session import Execution, Session
from shelfsight.embedding.local.text_model import TextModel
from shelfsight.embedding.local.weights_memory import has_room_for, weights_of
from shelfsight.errors import ModelError
from shelfsight.models.choice import pair_of
from shelfsight.models.specs import Device, ModelSpec, Pair, for_torch
from shelfsight.models.table import (
    EFFICIENTNET_LITE0,
    PAIRS,
    QWEN3,
    SIGLIP,
    SIGLIP2,
    SIGLIP2_SO400M,
    SIGLIP_TEXT,
    WORDLLAMA,
)
from shelfsight.records import BRANCH, Failure, ModelPair
from shelfsight.scan import mean_centering
from shelfsight.scan.confidence import built_in
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import (
    files_to_download,
    has_large_models,
    weights_in_memory,
)
from shelfsight.wiring.embedding_server import embedding_app
from tests.integration.embedding_server import in_process, lite

WORDS = {"a": 0, "red": 1, "mug": 2, "broken": 3, "unknown": 4}
TABLE = np.eye(4, 3, dtype=np.float32) + 0.1
TABLE[3] = np.nan
WITH_TORCH = [SIGLIP, SIGLIP2, SIGLIP2_SO400M, SIGLIP_TEXT, QWEN3]


def words_model(**changes) -> TextModel:
    """Make a model of four words; the fifth, `unknown`, has no row, which its graph refuses."""
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="unknown"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    spec = replace(WORDLLAMA, width=3, **changes)
    return TextModel(spec, means(), tokenizer)


def means(**options) -> Session:
    return Session(lite_graphs.token_means(TABLE), name="words", **{"output": None, **options})


def test_a_text_the_model_refuses_fails_alone():
    texts = ["red mug", "mug", "unknown mug", "a mug", "red", "mug unknown", "a red mug"]
    results = words_model().embed(texts)
    kinds = [result.kind if isinstance(result, Failure) else "" for result in results]
    assert kinds == ["", "", "model_error", "", "", "model_error", ""]
    alone = [words_model().embed([text])[0] for text in texts]
    np.testing.assert_allclose(results[6], alone[6], atol=1e-6)


def test_a_vector_that_is_not_finite_fails_alone():
    good, bad = words_model().embed(["red mug", "broken mug"])
    assert isinstance(bad, Failure)
    assert bad.kind == "non_finite"
    assert bad.stage == "embed_text"
    assert np.isfinite(good).all()


@pytest.mark.parametrize(
    ("changes", "told"), [({"width": 4}, "(1, 4)"), ({"pooling": "last"}, "shape")]
)
def test_a_graph_that_is_not_what_the_row_says_is_refused(changes: dict, told: str):
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="unknown"))
    with pytest.raises(ModelError, match="words") as caught:
        TextModel(replace(WORDLLAMA, **{"width": 3, **changes}), means(), tokenizer)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_output_the_graph_does_not_have_is_refused():
    with pytest.raises(ModelError, match="words: the graph gives means, but not states"):
        means(output="states")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelError, match="words cannot be loaded"):
        Session(path, name="words", output=None)


def test_a_text_model_for_an_image_row_is_refused():
    with pytest.raises(ModelError, match="efficientnet-lite0"):
        ImageModel(EFFICIENTNET_LITE0, means())


def test_cuda_without_a_build_for_it_is_an_error_that_says_what_to_install():
    with pytest.raises(ModelError, match=r"DEVICE=cuda: .* pip install onnxruntime-gpu"):
        open_pair("lite", model_dir=None, device="cuda")


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_graph_that_ends_up_on_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch):
    """This happens to a CUDA build without CUDA's libraries or without a GPU."""
    claimed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: claimed)
    with pytest.raises(ModelError, match="DEVICE=cuda: ONNX Runtime has put words on the CPU"):
        means(execution=Execution(device="cuda"))


def test_onnx_runtime_tells_nobody_of_the_models_it_opens(tmp_path: Path):
    """When loaded, it would create a machine id and a file with what it is about to send."""
    code = """
from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.embedding.local.onnx_model import open_pair
open_pair("lite", model_dir=None)
"""
    # Without what the tests' environment has: ONNX Runtime is silent by itself where it sees CI.
    clean = {"HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], env=clean, check=True)
    assert list(tmp_path.rglob("*onnxruntime*")) == []


def test_a_model_says_where_it_runs_and_how_much_at_once():
    lite = in_process()
    assert (lite.image.device, lite.text.device) == ("cpu", "cpu")
    assert lite.image.batch == 8
    assert [len(batch) for batch in lite.text.batches([[0] * 512] * 9)] == [4, 4, 1]


def test_texts_are_not_filled_up_with_padding_for_the_sake_of_a_long_one():
    lite = in_process()
    texts = [[0] * length for length in (500, 3, 8, 4, 490, 3)]
    assert list(lite.text.batches(texts)) == [[1, 5, 3, 2], [4, 0]]


def test_the_pairs_and_the_devices_are_those_that_can_be_set():
    fields = Settings.model_fields
    for name, pair in PAIRS.items():
        assert pair_of(Settings(models=name).models) == pair
    assert fields["device"].annotation == Device


def test_one_row_of_the_table_is_all_that_a_new_pair_takes(monkeypatch: pytest.MonkeyPatch):
    image = replace(EFFICIENTNET_LITE0, name="third-image", revision="2")
    text = replace(WORDLLAMA, name="third-text", revision=BRANCH)
    row = Pair(image=image, text=text)
    calibration = row.calibration
    assert calibration is not None
    assert set(calibration.evidence) == {"image", "text", "color"}
    monkeypatch.setitem(PAIRS, "third", row)
    models = open_pair("third", model_dir=None).models
    assert models == row.identities
    assert built_in(models) == calibration
    downloaded = ModelPair(image=models.image, text="third-text@0123abcd")
    assert built_in(downloaded) == calibration
    assert mean_centering.helps(models)
    monkeypatch.setitem(PAIRS, "third", replace(row, image=replace(image, is_centred=False)))
    assert not mean_centering.helps(models)


def test_torch_that_is_not_installed_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delitem(sys.modules, "shelfsight.embedding.local.torch_model", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    settings = Settings.model_construct(backend="torch")
    with pytest.raises(
        ModelError, match=r"torch is not installed; in the clone .*pip install '\.\[torch\]'"
    ):
        embedding_app(settings)


def test_lite_with_torch_is_refused():
    settings = Settings.model_construct(models="lite", backend="torch", device="cpu")
    with pytest.raises(ModelError, match="efficientnet-lite1-lite2-int8 has no form for torch"):
        files_to_download(settings)


@pytest.mark.parametrize("spec", WITH_TORCH, ids=lambda spec: spec.torch.architecture)
def test_the_backends_vectors_count_as_of_different_models(spec: ModelSpec):
    row = for_torch(spec)
    assert row.name == spec.name
    assert row.revision != spec.revision


def test_a_model_that_saves_memory_gives_the_same_vectors(tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(lite_graphs.token_means(TABLE))
    ids = {"input_ids": np.array([[0, 1, 2, 3], [3, 2, 0, 0]])}
    ids["attention_mask"] = np.ones_like(ids["input_ids"])
    saving, fast = (
        Session(path, name="words", output=None, execution=Execution(low_memory=low_memory))
        for low_memory in (True, False)
    )
    feeds = {name: ids[name] for name in fast.inputs}
    for _ in range(3):  # each run gives back its memory
        np.testing.assert_allclose(saving.run(feeds), fast.run(feeds), atol=1e-6)


def test_the_text_model_is_loaded_once_when_a_text_comes():
    image, text = lite()
    loads: list[int] = []

    def load() -> TextModel:
        loads.append(get_ident())
        return text

    embedder = LocalEmbedder(image, text.spec.identity, load)
    embedder.embed_images([np.zeros((224, 224, 3), np.uint8)])
    assert embedder.models == ModelPair(image=image.spec.identity, text=text.spec.identity)
    assert loads == []
    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(embedder.embed_texts, [["a red mug"]] * 8))
    assert len(loads) == 1
    assert all(len(vector) == 1024 for (vector,) in vectors)


def test_a_large_model_has_no_room_on_a_small_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    graph, weights = tmp_path / "model.onnx", tmp_path / "model.onnx_data"
    graph.write_bytes(b"graph")
    with weights.open("wb") as file:
        file.truncate(2_400_000_000)
    assert weights_of(graph) == 2_400_000_005
    monkeypatch.setattr(weights_memory, "available_memory", lambda: 4_000_000_000)
    assert not has_room_for(graph)
    monkeypatch.setattr(weights_memory, "available_memory", lambda: 5_000_000_000)
    assert has_room_for(graph)


@pytest.mark.parametrize(
    ("available", "said"),
    [
        (3_100_000_000, "weights stay in their files, which is slower: 3.1 GB available, "),
        (9_000_000_000, "weights are held in memory: 9.0 GB available, "),
        (None, "weights are held in memory: "),
    ],
)
def test_doctor_says_whether_the_weights_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, available: int | None, said: str
):
    pair = PAIRS["siglip-qwen3"]
    for spec, size in ((pair.image, 400_000_000), (pair.text, 2_000_000_000)):
        for name in (spec.source.graph, *spec.source.others):
            path = tmp_path / spec.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        os.truncate(tmp_path / spec.name / spec.source.graph, size)
    monkeypatch.setattr(weights_memory, "available_memory", lambda: available)
    weights = weights_in_memory(Settings(models="siglip-qwen3", model_dir=tmp_path))
    assert _memory_of_models(weights).what == f"{said}models need 4.4 GB"
    assert weights_in_memory(Settings(models="lite")) is None
    assert weights_in_memory(Settings(embedding_server_url="http://127.0.0.1:1")) is None
    assert weights_in_memory(Settings(model_dir=tmp_path / "none")) is None


def test_only_large_models_in_this_process_may_exhaust_the_memory():
    assert has_large_models(Settings(models="siglip-qwen3"))
    assert not has_large_models(Settings(models="lite"))
    served = Settings(models="siglip-qwen3", embedding_server_url="http://127.0.0.1:1")
    assert not has_large_models(served)


def test_the_available_memory_is_some():
    available = available_memory()
    assert available is None or 10_000_000 < available < 1e14
