"""Runs a client in a process of its own, and compares what it prints with the model's vectors."""

import json
import os
import subprocess
from pathlib import Path

from tests.clients.python_clients import QUERY, TEXTS
from tests.integration.embedding_server import cosine, in_process

TEXT, IMAGE = "wordllama-l2-supercat-256", "efficientnet-lite1-lite2-int8"
HERE = Path(__file__).parent
PACKAGES = Path(os.environ.get("CLIENTS", ".venv-clients")).absolute()
"""The environment with the clients, and their packages for Node."""


def answer_of(*command: str) -> dict[str, object]:
    local = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false"}
    ended = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **local}, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout)


def assert_right(answer: dict[str, object]) -> None:
    expected = in_process().embed_texts([*TEXTS, QUERY])
    for sent, vector in zip([*answer["texts"], answer["query"]], expected, strict=True):
        assert cosine(sent, vector) > 0.9999
    assert answer["refusal"] == "empty_text"
    assert answer.get("models", [TEXT, IMAGE]) == [TEXT, IMAGE]
    assert answer["version"]
