"""`serve --follow-models` changes to other models at a switch, and back, without a failed scan."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from tests.end_to_end.command import Command, address_of
from tests.end_to_end.shop_tables import add_product, create_tables
from tests.end_to_end.test_models_command import LITE, PRODUCTS
from tests.integration.embedding_server import Answer
from tests.integration.remote.scripted_server import Server, serving
from tests.integration.scan_server import scan, send, until


@pytest.fixture
def letters() -> Iterator[Server]:
    """An embedding server with other models than those of this process."""
    server = Server()
    with serving(server.handle) as server.url:
        yield server


def text_model(url: str) -> str:
    return str(send(f"{url}/health").json["models"]["text"])


def test_scans_go_on_through_a_switch_and_back(
    url: str, shelfsight: Command, letters: Server
) -> None:
    create_tables(url)
    for number in range(PRODUCTS):
        add_product(url, f"Mug {number}")
    other = {"EMBEDDING_SERVER_URL": letters.url}
    assert shelfsight.result("--all", **other)["embedded"] == PRODUCTS
    assert shelfsight.result("--staged", "--all")["embedded"] == PRODUCTS

    with shelfsight.started("serve", "--port", "0", "--follow-models", **other) as process:
        _, address = address_of(process)
        assert text_model(address) == "letters@2"
        notes = send(f"{address}/ready").json["notes"]
        assert "lite is loaded for the vectors staged" in notes

        stop, failed, done = Event(), list[Answer](), [0, 0, 0]

        def scan_on(number: int) -> None:
            while not stop.is_set():
                answer = scan(address, textQuery=f"Mug {number}", limit=1)
                if answer.status != 200 or answer.json["matches"][0]["title"] != f"Mug {number}":
                    failed.append(answer)
                done[number] += 1

        def all_scan_again() -> None:
            before = list(done)
            until(lambda: all(now >= then + 2 for now, then in zip(done, before, strict=True)))

        with ThreadPoolExecutor() as clients:
            try:
                scanning = [clients.submit(scan_on, number) for number in range(3)]
                assert shelfsight("models", "--switch").returncode == 0
                until(lambda: text_model(address) == LITE[1])
                assert send(f"{address}/ready").json["ready"]
                all_scan_again()
                asked = len(letters.requests)
                all_scan_again()
                assert len(letters.requests) == asked  # the answers are by the models in use now
                assert shelfsight("models", "--rollback").returncode == 0
                until(lambda: text_model(address) == "letters@2")
                all_scan_again()
            finally:
                stop.set()
        assert [one.exception() for one in scanning] == [None] * 3
        assert failed == []
