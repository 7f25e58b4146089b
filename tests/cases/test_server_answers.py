"""Answers of embedding servers of kinds that once failed: an item without a vector fails alone."""

import json

import numpy as np
import pytest
from aiohttp import web

from tests.cases import server_answers
from tests.cases.server_answers import EACH
from tests.integration.embedding_server import in_process
from tests.integration.remote.conftest import connect
from tests.integration.remote.scripted_server import failures, serving, text_vector, unit
from tests.integration.remote.test_openai_servers import VLLM

__all__ = ["connect"]  # the fixture


class OddServer(VLLM):
    """Answers as `kind` says, once more than one text is asked for."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.odd = server_answers.KINDS[kind]
        self.seed = 0
        self.lost: set[int] = set()

    def order(self, data: list[dict]) -> list[dict]:
        return data

    def embed(self, body: dict) -> web.Response:
        if body.get("encoding_format") == "base64":
            return web.json_response({"error": {"message": "only float"}}, status=400)
        response = super().embed(body)
        if len(body["input"]) == 1:
            return response
        answer = json.loads(response.body)
        self.lost = self.odd(answer, np.random.default_rng(self.seed))
        content = server_answers.written(answer)
        return web.Response(text=content, content_type="application/json")


@pytest.mark.parametrize("kind", server_answers.KINDS)
def test_what_has_no_vector_fails_alone_and_the_others_get_theirs(kind: str, connect) -> None:
    server = OddServer(kind)
    texts = [f"mug number {number}" for number in range(4)]
    with serving(server.handle) as url:
        model = connect(url, load_image_model=lambda: in_process().image)
        for server.seed in range(EACH):
            results = model.embed_texts(texts)
            assert {*failures(results)} == server.lost
            assert {failure.kind for failure in failures(results).values()} <= {"bad_vector"}
            for number in {0, 1, 2, 3} - server.lost:
                np.testing.assert_allclose(
                    results[number], unit(text_vector(texts[number])), atol=1e-6
                )
