"""Built graphs are kept, and one that is not what was written is built again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shelfsight.embedding.local import graph_cache, lite_graphs
from shelfsight.embedding.local.graph_cache import built_graph
from shelfsight.errors import ModelError

GRAPH = b"a graph, as far as the cache is concerned" * 100


class Builder:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return GRAPH


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    builder = Builder()
    monkeypatch.setattr(lite_graphs, "built_here", builder, raising=False)
    return builder


def test_a_graph_is_built_once(builder: Builder, tmp_path: Path):
    assert built_graph("built_here", tmp_path / "new") == GRAPH
    assert built_graph("built_here", tmp_path / "new") == GRAPH
    assert builder.calls == 1
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["built_here.onnx"]


def test_a_graph_of_another_version_is_built_again(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    built_graph("built_here", tmp_path)
    with monkeypatch.context() as changed:
        changed.setattr(lite_graphs, "RANGES", Path(__file__).name)
        graph_cache._key.cache_clear()
        assert built_graph("built_here", tmp_path) == GRAPH
    graph_cache._key.cache_clear()
    assert builder.calls == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_another_content_is_built_again(
    builder: Builder, tmp_path: Path, data: st.DataObject
):
    built_graph("built_here", tmp_path)
    path = tmp_path / "built_here.onnx"
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = data.draw(
        st.sampled_from([whole[:place], whole + b"x", whole[:place] + b"\xff" + whole[place + 1 :]])
    )
    path.write_bytes(damaged)
    before = builder.calls
    assert built_graph("built_here", tmp_path) == GRAPH
    assert builder.calls == before + 1
    assert path.read_bytes() == whole


@pytest.mark.parametrize("spoil", ["a file is there", "the file is a folder"])
def test_a_folder_that_cannot_be_used_does_not_matter(builder: Builder, tmp_path: Path, spoil: str):
    folder = tmp_path / "cache"
    if spoil == "a file is there":
        folder.write_text("")
    else:
        (folder / "built_here.onnx").mkdir(parents=True)
    assert built_graph("built_here", folder) == GRAPH
    assert built_graph("built_here", folder) == GRAPH
    assert builder.calls == 2


@pytest.mark.usefixtures("builder")
def test_a_folder_that_cannot_be_written_to_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("tempfile.mkstemp", refuse)  # root may write to any folder
    assert built_graph("built_here", tmp_path) == GRAPH
    assert list(tmp_path.iterdir()) == []


def test_many_may_build_at_once(builder: Builder, tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        graphs = list(pool.map(built_graph, ["built_here"] * 40, [tmp_path] * 40))
    assert set(graphs) == {GRAPH}
    assert [one.name for one in tmp_path.iterdir()] == ["built_here.onnx"]
    calls = builder.calls
    assert built_graph("built_here", tmp_path) == GRAPH
    assert builder.calls == calls


def test_nothing_is_kept_of_a_graph_that_cannot_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail() -> bytes:
        raise ModelError("no such package")

    monkeypatch.setattr(lite_graphs, "built_here", fail, raising=False)
    with pytest.raises(ModelError, match="no such package"):
        built_graph("built_here", tmp_path)
    assert list(tmp_path.iterdir()) == []
