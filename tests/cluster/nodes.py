"""A Ray cluster of several nodes, all of them on this machine."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.end_to_end.command import PATIENCE
from tests.free_port import free_port

QUIET = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64, "RAY_USAGE_STATS_ENABLED": "0"}
"""Environment variables of every process of the cluster, and of the command that uses it."""


@contextmanager
def cluster(folder: Path, nodes: int, **variables: str) -> Iterator[str]:
    """Start this many nodes, with variables in their environment; yields the first's address."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with ExitStack() as running:
        head = ("--head", f"--port={port}", "--include-dashboard=false")
        running.enter_context(_node(folder, variables, *head))
        for _ in range(nodes - 1):
            running.enter_context(_node(folder, variables, f"--address={address}"))
        yield address


@contextmanager
def _node(folder: Path, variables: dict[str, str], *arguments: str) -> Iterator[None]:
    words = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"),
        *("--node-ip-address=127.0.0.1", "--object-store-memory=80000000", *arguments),
    ]
    process = subprocess.Popen(
        words,
        cwd=folder,
        env={**os.environ, **QUIET, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = ""
        assert process.stdout is not None
        while "Ray runtime started" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def raylet_of(worker: int) -> int:
    """The id of the process that is the node of a worker."""
    parent = int(re.findall(r"PPid:\s+(\d+)", Path(f"/proc/{worker}/status").read_text())[0])
    assert "raylet" in Path(f"/proc/{parent}/comm").read_text()
    return parent
