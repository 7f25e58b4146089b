"""PRECISION: the same networks with weights of 16 and of 8 bits, from the files of MODEL_DIR."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shelfsight.embedding.local import onnx_model, torch_model
from shelfsight.embedding.local.local_embedder import LocalEmbedder
from shelfsight.errors import ModelError
from shelfsight.models import table
from shelfsight.models.specs import Pair, Precision
from shelfsight.models.table import QWEN3, SIGLIP
from shelfsight.records import Failure, Vector
from tests.integration.embedding_server import picture
from tests.parity.conftest import Reference
from tests.parity.exported import save_smaller
from tests.parity.test_models_qwen3 import TEXTS

TINY = Pair(image=replace(SIGLIP, width=48), text=replace(QWEN3, width=64))
PICTURES = [picture(seed) for seed in range(5)]


@pytest.fixture(autouse=True)
def tiny_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.PAIRS, "tiny", TINY)


@pytest.fixture(scope="module")
def model_dir(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of all formats, under the names that the hub's repositories give them."""
    folder = tmp_path_factory.mktemp("precisions") / "models"
    shutil.copytree(reference.model_dir, folder)
    for spec in (TINY.image, TINY.text):
        save_smaller(folder / spec.name, spec)
    return folder


def vectors(embedder: LocalEmbedder) -> list[Vector | Failure]:
    return [*embedder.embed_images(PICTURES), *embedder.embed_texts(TEXTS)]


def least_cosine(ours: Sequence[Vector | Failure], theirs: Sequence[Vector | Failure]) -> float:
    return min(float(a @ b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("precision", "cosine"), [("fp16", 0.9999), ("int8", 0.99)])
def test_smaller_weights_give_almost_the_same_vectors_under_a_name_of_their_own(
    model_dir: Path, precision: Precision, cosine: float
) -> None:
    original = onnx_model.open_pair("tiny", model_dir=model_dir)
    smaller = onnx_model.open_pair(f"tiny-{precision}", model_dir=model_dir)
    assert least_cosine(vectors(smaller), vectors(original)) >= cosine
    for modality in ("image", "text"):
        ours, theirs = (getattr(one.models, modality) for one in (smaller, original))
        name, _, revision = ours.partition("@")
        assert name == f"{theirs.partition('@')[0]}-{precision}"
        assert revision
    assert not smaller.models.accepts(original.models)


def test_a_batch_gives_the_vectors_of_one_at_a_time(model_dir: Path) -> None:
    """Eight bits are scaled by the values of a whole batch, so its vectors differ a little."""
    embedder = onnx_model.open_pair("tiny-int8", model_dir=model_dir)
    alone = [embedder.embed_texts([text])[0] for text in TEXTS]
    assert least_cosine(embedder.embed_texts(TEXTS), alone) >= 0.99
    alone = [embedder.embed_images([one])[0] for one in PICTURES]
    assert least_cosine(embedder.embed_images(PICTURES), alone) >= 0.99


def test_a_format_that_is_missing_is_named_with_its_file(reference: Reference) -> None:
    with pytest.raises(ModelError, match=r"siglip-base-patch16-224 lacks onnx/vision_model_fp16"):
        onnx_model.open_pair("tiny-fp16", model_dir=reference.model_dir)


def test_torch_reads_the_original_weights_alone(model_dir: Path) -> None:
    with pytest.raises(ModelError, match="siglip-base-patch16-224-int8 has no form for torch"):
        torch_model.open_pair("tiny-int8", model_dir=model_dir)


def test_vectors_of_all_formats_are_finite_and_of_unit_length(model_dir: Path) -> None:
    for name in ("tiny", "tiny-fp16", "tiny-int8"):
        found = np.stack(vectors_of_texts(onnx_model.open_pair(name, model_dir=model_dir)))
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)


def vectors_of_texts(embedder: LocalEmbedder) -> list[Vector]:
    return [vector for vector in embedder.embed_texts(TEXTS) if not isinstance(vector, Failure)]
