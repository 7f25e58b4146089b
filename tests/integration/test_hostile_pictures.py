"""Pictures that take long to decode, sent to both servers while others scan and ask."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shelfsight.images.decoder import limits
from shelfsight.images.decoder.limits import DecoderLimits
from shelfsight.postgres.connection import Database
from shelfsight.serving.embedding_api import model_batchers
from tests.integration.embedding_server import ask, in_base64, serving
from tests.integration.embedding_server import picture as noise
from tests.integration.scan_server import photo, prepared, problem, scan, scan_server, send, skus
from tests.shop import backfill_all, fill
from tests.siege.attacks_pictures import jpeg_of_hidden_scans

UPLOADS = 8
SHORT = DecoderLimits(cpu_seconds=1, wall_seconds=280, quick_seconds=0.3)
"""A second of processor time, however long that takes on a busy machine."""


@pytest.fixture(scope="module")
def shop(server: str) -> Iterator[Database]:
    with prepared(server, "hostile_pictures") as database:
        fill(database, 3, pictures=True)
        backfill_all(database)
        yield database


@pytest.fixture(scope="module")
def hostile() -> str:
    return base64.b64encode(jpeg_of_hidden_scans()).decode()


def test_eight_hostile_uploads_do_not_stop_the_scans_of_others(
    shop: Database, hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SERVER", SHORT)
    with (
        scan_server(shop, scan_timeout=SHORT.wall_seconds) as url,
        ThreadPoolExecutor(UPLOADS) as callers,
    ):
        uploads = [callers.submit(scan, url, imageBase64=hostile) for _ in range(UPLOADS)]
        for number in (1, 2, 3):
            assert send(url + "/health").status == 200
            assert skus(scan(url, imageBase64=photo(number), limit=1)) == [f"sku-{number}"]
        assert not all(upload.done() for upload in uploads)
        answers = {problem(upload.result()) for upload in uploads}
        assert answers == {(413, "too_slow_to_decode")}
        assert skus(scan(url, imageBase64=photo(1), limit=1)) == ["sku-1"]


def test_a_hostile_picture_fails_alone_in_a_request_of_serve_models(
    hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_batchers, "SERVER", SHORT)
    good = in_base64(noise(1))
    with serving() as url, ThreadPoolExecutor(1) as callers:
        attack = callers.submit(ask, url, "/embed/image", {"images": [good, hostile, good]})
        assert ask(url, "/embed/image", {"images": [good]}).status == 200
        assert ask(url, "/health").status == 200
        answer = attack.result()
        assert answer.kinds == {1: "too_slow_to_decode"}
