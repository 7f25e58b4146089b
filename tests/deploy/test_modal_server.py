"""The code of a Modal container, run locally by `modal`'s own `local`, with the lite models."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI

from deploy import modal_app
from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.embedding.remote.remote_embedder import RemoteEmbedder
from shelfsight.errors import SettingsError
from shelfsight.models.specs import Pair
from shelfsight.models.table import PAIRS, QWEN3, SIGLIP
from tests.integration.embedding_server import (
    ask,
    cosine,
    in_base64,
    in_process,
    picture,
    running,
)
from tests.parity import exported
from tests.parity.conftest import qwen_vocabulary

LITE = {"MODELS": "lite", "BACKEND": "onnx", "DEVICE": "cpu"}
KEY = "a key of the test"


def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **environ: str) -> FastAPI:
    """Start a container with these environment variables; return its app."""
    monkeypatch.chdir(tmp_path)
    for name, value in (LITE | environ).items():
        monkeypatch.setenv(name, value)
    server: Any = modal_app.EmbeddingServer()
    with pytest.warns(UserWarning, match="executing locally"):
        return server.web.local()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        app = started(patch, tmp_path_factory.mktemp("home"), EMBEDDING_SERVER_API_KEY=KEY)
        with running(app) as url:
            yield url


def test_a_container_embeds_for_whoever_has_the_key(url: str) -> None:
    client = RemoteEmbedder(ServerConfig(url=url, api_key=KEY))
    try:
        assert client.models == in_process().models
        (vector,) = client.embed_texts(["a blue mug"])
    finally:
        client.close()
    assert cosine(vector, in_process().embed_texts(["a blue mug"])[0]) > 0.9999


def test_whoever_has_no_key_gets_nothing(url: str) -> None:
    assert ask(url, "/embed/text", {"texts": ["a blue mug"]}).status == 401
    assert ask(url, "/embed/text", {"texts": ["a blue mug"]}, key="another").status == 401


def test_health_is_told_without_a_key(url: str) -> None:
    health = ask(url, "/health")
    assert health.status == 200
    assert (health.json["status"], health.json["device"]) == ("healthy", "cpu")


def test_the_backend_of_the_container_serves_the_models_of_the_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With torch, as on Modal, but on the CPU and with small random weights of the same models."""
    vision, words = exported.siglip_vision(), exported.siglip_text()
    exported.siglip(vision, words).save_pretrained(tmp_path / SIGLIP.name)
    exported.qwen3().save_pretrained(tmp_path / QWEN3.name)
    qwen_vocabulary().save(str(tmp_path / QWEN3.name / "tokenizer.json"))
    small = Pair(image=replace(SIGLIP, width=48), text=replace(QWEN3, width=64))
    monkeypatch.setitem(PAIRS, "siglip-qwen3", small)
    environ = {"MODELS": "siglip-qwen3", "BACKEND": "torch", "MODEL_DIR": str(tmp_path)}
    app = started(monkeypatch, tmp_path, **environ, EMBEDDING_SERVER_API_KEY=KEY)
    with running(app) as url:
        health = ask(url, "/health").json
        answer = ask(url, "/embed/image", {"image_data": in_base64(picture())}, key=KEY)
    assert health["models"]["image"]["name"] == SIGLIP.name
    assert health["models"]["text"]["name"] == QWEN3.name
    (vector,) = answer.json["embeddings"]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("environ", [{}, {"EMBEDDING_SERVER_API_KEY": ""}])
def test_a_container_without_a_key_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environ: dict[str, str]
) -> None:
    monkeypatch.delenv("EMBEDDING_SERVER_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="modal secret create") as refused:
        started(monkeypatch, tmp_path, **environ)
    assert len(str(refused.value).splitlines()) == 1


def test_the_file_is_read_in_a_container_too_where_there_is_no_checkout(tmp_path: Path) -> None:
    container = tmp_path / "root"
    container.mkdir()
    shutil.copy(modal_app.__file__, container)
    subprocess.run([sys.executable, "-c", "import modal_app"], cwd=container, check=True)
