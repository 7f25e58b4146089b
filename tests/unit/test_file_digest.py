"""The digest of a model's file: always that of its content, and hashed only once."""

import hashlib
import os
from pathlib import Path

import pytest

from shelfsight.embedding.local import file_digest as module
from shelfsight.embedding.local.file_digest import file_digest


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hashed: list[str] = []
    hash_file = hashlib.file_digest

    def count(file, algorithm):
        hashed.append(file.name)
        return hash_file(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", count)
    model = tmp_path / "model.onnx"
    for content in (b"first", b"other", b"longer than that"):
        model.write_bytes(content)
        for _ in range(3):
            assert file_digest(model, tmp_path / "kept") == hashlib.sha256(content).digest()
    assert len(hashed) == 3


def test_a_file_put_in_its_place_is_noticed_though_its_time_and_size_are_the_same(tmp_path: Path):
    model, other = tmp_path / "model.onnx", tmp_path / "other"
    model.write_bytes(b"weights")
    other.write_bytes(b"zeros!!")
    os.utime(other, ns=(model.stat().st_atime_ns, model.stat().st_mtime_ns))
    before = file_digest(model, tmp_path)
    other.replace(model)
    assert file_digest(model, tmp_path) != before


@pytest.mark.parametrize("kept", [b"", b"[]", b"\xff", b'{"a": 1}', b"{"])
def test_what_was_kept_may_be_broken(tmp_path: Path, kept: bytes):
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    (tmp_path / "digests.json").write_bytes(kept)
    assert file_digest(model, tmp_path) == hashlib.sha256(b"weights").digest()


def test_a_folder_that_cannot_be_written_to_only_costs_time(tmp_path: Path):
    model, no_folder = tmp_path / "model.onnx", tmp_path / "file"
    model.write_bytes(b"weights")
    no_folder.write_bytes(b"")
    assert file_digest(model, no_folder) == hashlib.sha256(b"weights").digest()


def test_only_so_many_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_KEPT", 3)
    for number in range(5):
        model = tmp_path / f"{number}.onnx"
        model.write_bytes(b"weights")
        file_digest(model, tmp_path)
    assert (tmp_path / "digests.json").read_text().count(".onnx") == 3
