"""What is in the files of models: always what they have now, and read only once."""

import hashlib
import os
from pathlib import Path

import pytest

from shelfsight.embedding.local.file_content import content_of


def test_what_is_told_is_always_what_the_file_has_now(tmp_path: Path):
    model = tmp_path / "model.onnx"
    for content in (b"first", b"other", b"longer than that"):
        model.write_bytes(content)
        for _ in range(2):
            told = content_of(model, tmp_path / "kept").sha256
            assert told == hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once(tmp_path: Path):
    model, kept = tmp_path / "model.onnx", tmp_path / "model_files.json"
    model.write_bytes(b"weights")
    digest = content_of(model, tmp_path).sha256
    kept.write_text(kept.read_text().replace(digest, "0" * 64))
    assert content_of(model, tmp_path).sha256 == "0" * 64


def test_a_file_put_in_its_place_is_noticed_though_its_time_and_size_are_the_same(tmp_path: Path):
    model, other = tmp_path / "model.onnx", tmp_path / "other"
    model.write_bytes(b"weights")
    other.write_bytes(b"zeros!!")
    os.utime(other, ns=(model.stat().st_atime_ns, model.stat().st_mtime_ns))
    before = content_of(model, tmp_path)
    other.replace(model)
    assert content_of(model, tmp_path) != before


@pytest.mark.parametrize("kept", [b"", b"[]", b"\xff", b'{"a": 1}', b"{"])
def test_what_was_kept_may_be_broken(tmp_path: Path, kept: bytes):
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    (tmp_path / "model_files.json").write_bytes(kept)
    assert content_of(model, tmp_path).sha256 == hashlib.sha256(b"weights").hexdigest()


def test_a_folder_that_cannot_be_written_to_only_costs_time(tmp_path: Path):
    model, no_folder = tmp_path / "model.onnx", tmp_path / "file"
    model.write_bytes(b"weights")
    no_folder.write_bytes(b"")
    assert content_of(model, no_folder).sha256 == hashlib.sha256(b"weights").hexdigest()


def test_only_so_many_are_kept(tmp_path: Path):
    for number in range(203):
        model = tmp_path / f"{number}.onnx"
        model.write_bytes(b"weights")
        content_of(model, tmp_path)
    assert (tmp_path / "model_files.json").read_text().count(".onnx") == 200


@pytest.mark.parametrize(("zeros", "has_gap"), [(0, False), (15 << 20, False), (18 << 20, True)])
def test_zeros_instead_of_weights_are_a_gap(tmp_path: Path, zeros: int, has_gap: bool):
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights" * 200_000 + bytes(zeros) + b"more weights")
    assert content_of(model, tmp_path).has_gap == has_gap
