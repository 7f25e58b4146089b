"""Keeps the graphs that `lite_graphs` builds, so that not every command builds them again.

They lie in the user's cache folder, a file for each graph. The file starts with two SHA-256 of 32
bytes: the key, which is the hash of all code and tables that the graph depends on, and the hash of
the graph. The code names the hashes of the weights, so these are part of the key. A file with
another key, or with other content than was written, counts as missing.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from shelfsight.embedding import width
from shelfsight.embedding.local import (
    bias_correction,
    efficientnet,
    int8_layers,
    lite_graphs,
    lite_weights,
    onnx_graph,
)
from shelfsight.embedding.local.cache_file import cache_folder, write_whole

_SOURCES = (
    *(bias_correction, efficientnet, int8_layers, lite_graphs, lite_weights, onnx_graph),
    width,
)
_HASH_BYTES = 32


def built_graph(builder: str, folder: Path | None = None) -> bytes:
    """Return the graph of a function of `lite_graphs`: the one that was kept, or a new one.

    A new graph is kept in `folder`, by default the user's cache folder, if that can be written to.
    Several processes may do so at the same time.

    Raises:
        ModelError: a package that the graph is built from is missing or has other content.
    """
    path = (folder or cache_folder()) / f"{builder}.onnx"
    build: Callable[[], bytes] = getattr(lite_graphs, builder)
    try:
        key = _key(builder)
        kept = _read(path, key)
    except OSError:  # no source code is installed, or the folder is not readable
        return build()
    if kept is not None:
        return kept
    graph = build()
    with suppress(OSError):
        write_whole(path, [_head(key, graph), graph])
    return graph


@cache
def _key(builder: str) -> bytes:
    files = [Path(str(module.__file__)) for module in _SOURCES]
    files.append(Path(str(lite_graphs.__file__)).with_name(lite_graphs.RANGES))
    contents = (hashlib.sha256(file.read_bytes()).digest() for file in files)
    return hashlib.sha256(b"".join([builder.encode(), *contents])).digest()


def _read(path: Path, key: bytes) -> bytes | None:
    """Return the graph in a file; None if there is none, or not the one that was written."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    graph = content[2 * _HASH_BYTES :]
    return graph if content.startswith(_head(key, graph)) else None


def _head(key: bytes, graph: bytes) -> bytes:
    return key + hashlib.sha256(graph).digest()
