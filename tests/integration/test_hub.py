"""Finding a model's files: MODEL_DIR, cache, download, identity, and clear errors."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer, models

from shelfsight.embedding.local import lite_graphs
from shelfsight.embedding.local.hub import check_files, identity_without_download, model_folder
from shelfsight.embedding.local.onnx_model import load_text, open_pair
from shelfsight.errors import ModelError
from shelfsight.models.specs import HubFiles, TextSpec
from shelfsight.records import BRANCH, stored_identities

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATER_COMMIT = "fedcba9876543210fedcba9876543210fedcba98"
HUB = HubFiles(
    repository="someone/words",
    graph="onnx/model.onnx",
    others=("onnx/model.onnx_data", "tokenizer.json"),
)
SPEC = TextSpec(
    name="words", revision=COMMIT, source=HUB, width=30, max_tokens=8, pad_token=0, pooling="graph"
)
OF_BRANCH = replace(SPEC, revision=BRANCH)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as on the hub: weights outside the graph, and a file that is not needed."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "onnx").mkdir()
    graph = onnx.load_from_string(lite_graphs.token_means(np.eye(30, dtype=np.float32)))
    onnx.save_model(
        graph,
        folder / "onnx" / "model.onnx",
        save_as_external_data=True,
        location="model.onnx_data",
        size_threshold=1024,
    )
    Tokenizer(models.WordLevel({"a": 0, "mug": 1, "?": 2}, unk_token="?")).save(
        str(folder / "tokenizer.json")
    )
    (folder / "pytorch_model.bin").write_bytes(b"not wanted")
    return folder


class Hub(ThreadingHTTPServer):
    """A fake hub that answers the three requests of a download from a folder.

    `sizes` has what it says of the size of files, and `lies` what it sends instead of them. It
    answers everything with `status`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.folder = folder
        self.commit = COMMIT
        self.asked: list[str] = []
        self.sizes: dict[str, int] = {}
        self.lies: dict[str, bytes] = {}
        self.status = 200


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.path.partition("?")[0].replace(f"/revision/{BRANCH}", f"/revision/{COMMIT}")
        commit = self.server.commit
        path = path.replace(COMMIT, commit)
        files = [file for file in self.server.folder.rglob("*") if file.is_file()]
        names = {str(file.relative_to(self.server.folder)): file for file in files}
        sizes = {name: file.stat().st_size for name, file in names.items()} | self.server.sizes
        if self.server.status != 200:
            self.answer(b"{}", status=self.server.status)
        elif path == f"/api/models/{HUB.repository}/revision/{commit}":
            siblings = [{"rfilename": name, "size": size} for name, size in sizes.items()]
            told = {"id": HUB.repository, "sha": commit, "siblings": siblings}
            self.answer(json.dumps(told).encode())
        elif path == f"/api/models/{HUB.repository}/tree/{commit}":
            listed = [
                {
                    "type": "file",
                    "path": str(file.relative_to(self.server.folder)),
                    "size": file.stat().st_size,
                    "oid": hashlib.sha1(file.read_bytes()).hexdigest(),
                }
                for file in files
            ]
            self.answer(json.dumps(listed).encode())
        elif path.startswith(f"/{HUB.repository}/resolve/{commit}/"):
            name = path.split(f"{commit}/")[1]
            content = (self.server.folder / name).read_bytes()
            is_large = name.endswith("_data")  # the hub names large files by their SHA-256
            tag = hashlib.sha256(content).hexdigest() if is_large else None
            self.answer(self.server.lies.get(name, content), tag=tag)
        else:
            self.answer(b"{}", status=404)

    def answer(self, body: bytes, status: int = 200, tag: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{tag or hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.server.commit)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_parts: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def hub(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(repository) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        use_hub(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}", tmp_path / "cache")
        yield server
        server.shutdown()


def use_hub(monkeypatch: pytest.MonkeyPatch, address: str, cache: Path) -> None:
    constants = huggingface_hub.constants
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


def test_a_model_is_fetched_once_and_then_works_without_the_hub(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture
):
    (vector,) = load_text(SPEC, None).embed(["mug"])
    np.testing.assert_allclose(vector[:4], [0, 1, 0, 0], atol=1e-6)
    assert not [path for path in hub.asked if "pytorch_model.bin" in path]
    assert "100%" in capfd.readouterr().err

    asked = len(hub.asked)
    load_text(SPEC, None)
    assert len(hub.asked) == asked
    use_hub(monkeypatch, "http://127.0.0.1:1", tmp_path / "cache")
    (again,) = load_text(SPEC, None).embed(["mug"])
    np.testing.assert_array_equal(again, vector)


@pytest.mark.usefixtures("hub")
def test_a_download_that_was_broken_off_is_completed():
    folder = model_folder(SPEC, HUB, None)
    (folder / "tokenizer.json").unlink()
    assert (model_folder(SPEC, HUB, None) / "tokenizer.json").is_file()


def test_a_hub_that_is_not_reached_is_told_at_once_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use_hub(monkeypatch, "http://127.0.0.1:1", tmp_path / "cache")
    with pytest.raises(ModelError) as caught:
        open_pair("siglip-qwen3", model_dir=None)
    message = str(caught.value)
    for word in ("siglip-base-patch16-224", "--models lite", "MODEL_DIR", "EMBEDDING_SERVER_URL"):
        assert word in message
    assert "\n" not in message


@pytest.mark.usefixtures("hub")
def test_a_repository_the_hub_does_not_have_is_told():
    with pytest.raises(ModelError, match="siglip-base-patch16-224 cannot be fetched"):
        open_pair("siglip-qwen3", model_dir=None)


def test_a_file_the_repository_does_not_have_is_named(hub: Hub, repository: Path, tmp_path: Path):
    hub.folder = tmp_path / "less"
    shutil.copytree(repository, hub.folder)
    (hub.folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"it has no tokenizer\.json"):
        model_folder(SPEC, HUB, None)


def test_machines_that_downloaded_a_branch_on_different_days_store_different_identities(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    address = huggingface_hub.constants.ENDPOINT
    assert identity_without_download(OF_BRANCH, None) == "words"
    assert load_text(OF_BRANCH, None).spec.identity == f"words@{COMMIT}"
    hub.commit = LATER_COMMIT
    assert load_text(OF_BRANCH, None).spec.identity == f"words@{COMMIT}"  # the snapshot it has
    asked = len(hub.asked)
    assert identity_without_download(OF_BRANCH, None) == f"words@{COMMIT}"
    assert len(hub.asked) == asked
    use_hub(monkeypatch, address, tmp_path / "cache of another machine")
    assert load_text(OF_BRANCH, None).spec.identity == f"words@{LATER_COMMIT}"


def test_files_of_a_branch_in_your_folder_are_told_by_their_hash(repository: Path, tmp_path: Path):
    assert identity_without_download(OF_BRANCH, tmp_path) == "words"
    shutil.copytree(repository, tmp_path / "words")
    identity = load_text(OF_BRANCH, tmp_path).spec.identity
    assert re.fullmatch("words@sha256:[0-9a-f]{40}", identity)
    assert identity_without_download(OF_BRANCH, tmp_path) == identity
    (tmp_path / "words" / "pytorch_model.bin").write_bytes(b"not wanted either")
    assert identity_without_download(OF_BRANCH, tmp_path) == identity
    weights = tmp_path / "words" / "onnx" / "model.onnx_data"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert load_text(OF_BRANCH, tmp_path).spec.identity != identity


def test_your_files_in_the_place_of_a_commit_do_not_mix_with_others(
    repository: Path, tmp_path: Path
):
    """Such as a graph in 8 bits under the name of the one in full precision."""
    shutil.copytree(repository, tmp_path / "words")
    yours = load_text(SPEC, tmp_path).spec.identity
    assert re.fullmatch(f"words@{COMMIT}-[0-9a-f]{{16}}", yours)
    assert identity_without_download(SPEC, tmp_path) == yours
    weights = tmp_path / "words" / "onnx" / "model.onnx_data"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    others = load_text(SPEC, tmp_path).spec.identity
    assert others not in stored_identities(yours)
    assert yours not in stored_identities(others)
    # Older releases stored the commit alone, whatever the files were.
    assert f"words@{COMMIT}" in stored_identities(yours)
    assert identity_without_download(SPEC, None) == f"words@{COMMIT}"


def test_a_folder_of_yours_is_used_without_asking(repository: Path, tmp_path: Path):
    shutil.copytree(repository, tmp_path / "words")
    (vector,) = load_text(SPEC, tmp_path).embed(["mug"])
    np.testing.assert_allclose(vector[:4], [0, 1, 0, 0], atol=1e-6)


def test_a_file_missing_from_your_folder_is_named(repository: Path, tmp_path: Path):
    shutil.copytree(repository, tmp_path / "words")
    (tmp_path / "words" / "onnx" / "model.onnx_data").unlink()
    with pytest.raises(ModelError, match=r"words lacks onnx/model.onnx_data of someone/words"):
        load_text(SPEC, tmp_path)


def test_a_broken_tokenizer_is_named(repository: Path, tmp_path: Path):
    shutil.copytree(repository, tmp_path / "words")
    (tmp_path / "words" / "tokenizer.json").write_text("<html>not found</html>")
    with pytest.raises(ModelError, match=r"words cannot be loaded: .*tokenizer\.json"):
        load_text(SPEC, tmp_path)


def test_a_download_that_is_not_what_the_hub_says_is_named_and_fetched_again(
    hub: Hub, repository: Path
):
    weights = "onnx/model.onnx_data"
    hub.lies[weights] = bytes(len((repository / weights).read_bytes()))
    for _ in range(2):
        with pytest.raises(ModelError, match=r"model\.onnx_data was broken, .* its SHA-256 is"):
            load_text(SPEC, None)
    hub.lies.clear()
    assert len(load_text(SPEC, None).embed(["mug"])) == 1


@pytest.mark.usefixtures("hub")
def test_a_file_of_the_cache_that_was_damaged_later_is_found():
    weights = model_folder(SPEC, HUB, None) / "onnx/model.onnx_data"
    check_files(SPEC, None)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelError, match=r"model\.onnx_data is broken: its SHA-256 is"):
        check_files(SPEC, None)


def test_zeros_in_your_folder_instead_of_weights_are_named(repository: Path, tmp_path: Path):
    shutil.copytree(repository, tmp_path / "words")
    with (tmp_path / "words" / "onnx" / "model.onnx_data").open("r+b") as file:
        file.truncate(150_000_000)
    with pytest.raises(ModelError, match=r"model\.onnx_data is broken: it has zeros"):
        load_text(SPEC, tmp_path)


def test_a_download_for_which_the_disk_has_no_room_is_refused_before_it_begins(hub: Hub):
    hub.sizes["onnx/model.onnx_data"] = 10**15
    with pytest.raises(
        ModelError, match=r"it takes 1000000\.0 GB, and .* make room, or set HF_HOME"
    ):
        model_folder(SPEC, HUB, None)
    assert not [path for path in hub.asked if "/resolve/" in path]


def test_a_model_that_asks_for_a_token_says_so(hub: Hub):
    hub.status = 401
    with pytest.raises(ModelError, match="set HF_TOKEN"):
        model_folder(SPEC, HUB, None)


@pytest.fixture
def new_client() -> Iterator[None]:
    """Let the hub's client read the environment anew, in this test and in the next."""
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


@pytest.mark.usefixtures("new_client")
def test_a_proxy_that_is_gone_is_called_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_hub(monkeypatch, "http://hub.invalid", tmp_path / "cache")
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:1")
    with pytest.raises(ModelError, match=r"the proxy 127\.0\.0\.1:1 does not answer") as caught:
        model_folder(SPEC, HUB, None)
    assert "secret" not in str(caught.value)
