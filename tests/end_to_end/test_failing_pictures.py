"""A picture that fails is recorded with its kind, and its product still gets a text vector."""

import struct
import zlib
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.end_to_end.command import Command, Done
from tests.end_to_end.conftest import command
from tests.end_to_end.picture_host import PictureHost, draw, png, send
from tests.end_to_end.shop_tables import add_product, create_tables, failures, run, stored

PRIVATE = "http://10.1.2.3/a.png"
NOBODY = "http://127.0.0.1:1/a.png"

KINDS = {
    "/missing.png": ("fetch", "http_404"),
    "/forbidden.png": ("fetch", "http_403"),
    "/claims-to-be-large.png": ("fetch", "too_large"),
    "/is-large.png": ("fetch", "too_large"),
    "/empty.png": ("fetch", "empty"),
    "/cut-off.png": ("fetch", "connection_failed"),
    "/broken.png": ("decode", "broken_image"),
    "/page.html": ("decode", "not_an_image"),
    "/drawing.svg": ("decode", "unsupported_format"),
    "/many-pixels.png": ("decode", "too_many_pixels"),
    NOBODY: ("fetch", "connection_failed"),
    PRIVATE: ("fetch", "forbidden_address"),
    "no/such/file.png": ("fetch", "bad_address"),
    "ftp://host/a.png": ("fetch", "bad_address"),
}


def claim_to_be_large(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"\x89PNG", length=20_000_001)


def stream_much(handler: BaseHTTPRequestHandler) -> None:
    """Send more bytes than allowed, without a Content-Length header."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(64):
            handler.wfile.write(bytes(1_000_000))
    except ConnectionError:
        handler.close_connection = True


def break_off(handler: BaseHTTPRequestHandler) -> None:
    picture = png(draw(1))
    send(handler, picture[:200], length=len(picture))


def many_pixels() -> bytes:
    """Return a black PNG of 5001 x 5000 pixels in a few kilobytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 5001, 5000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + 626) * 5000))
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture(scope="module")
def shop(
    module_url: str, pictures: PictureHost, tmp_path_factory: pytest.TempPathFactory
) -> Command:
    """One product for each way to fail, titled after it, and two with no text either."""
    pictures.answers |= {
        "/forbidden.png": lambda handler: handler.send_error(403),
        "/claims-to-be-large.png": claim_to_be_large,
        "/is-large.png": stream_much,
        "/cut-off.png": break_off,
    }
    pictures.pictures |= {
        "/empty.png": b"",
        "/broken.png": png(draw(1))[:200],
        "/page.html": b"<!doctype html><title>Not found</title>",
        "/drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "/many-pixels.png": many_pixels(),
    }
    create_tables(module_url)
    for place in KINDS:
        add_product(module_url, place, pictures.url(place) if place[0] == "/" else place)
    add_product(module_url, "", pictures.url("/missing.png"))
    add_product(module_url, "", pictures.url("/missing.png"))
    return command(
        module_url,
        tmp_path_factory.mktemp("shop"),
        ALLOW_PRIVATE_IMAGES=allowed(pictures),
    )


def allowed(pictures: PictureHost) -> str:
    return f"{pictures.host},127.0.0.1:1"


@pytest.fixture(scope="module")
def done(shop: Command) -> Done:
    return shop("backfill")


@pytest.fixture(scope="module")
def recorded(done: Done, module_url: str) -> dict[str, tuple[Any, ...]]:
    assert done.stdout
    return failures(module_url)


@pytest.mark.parametrize("place", KINDS)
def test_each_is_recorded_with_stage_kind_and_address(
    recorded: dict[str, tuple[Any, ...]], place: str
) -> None:
    stage, kind, message = recorded[place]
    assert (stage, kind) == KINDS[place]
    assert place in message


def test_a_private_address_is_refused_with_the_setting_that_would_allow_it(
    recorded: dict[str, tuple[Any, ...]],
) -> None:
    assert "ALLOW_PRIVATE_IMAGES=10.1.2.3 would allow it" in recorded[PRIVATE][2]


@pytest.mark.usefixtures("done")
def test_each_product_with_a_text_has_its_text_vector(module_url: str) -> None:
    rows = stored(module_url)
    assert rows.keys() == KINDS.keys()
    assert {row["SourceType"] for row in rows.values()} == {"text"}
    assert all(row["TextEmbedding"] and row["CombinedEmbedding"] for row in rows.values())


def test_products_without_any_vector_count_as_failed_and_failures_are_counted_by_kind(
    done: Done,
) -> None:
    assert done.returncode == 3
    assert "  - Successfully embedded: 0\n" in done.stdout
    assert f"  - Embedded, but lacking a picture: {len(KINDS)}\n" in done.stdout
    assert "  - Failed: 2\n  - Success rate: 0.0%\n" in done.stdout
    cure = "correct the picture's address, or put the file there"
    assert f"What failed, by kind, and what to do:\n  - http_404 3: {cure}\n" in done.stdout
    assert done.stdout.endswith("MODELS=lite shelfsight retry --all\n")


def test_an_address_is_requested_once_in_a_run_however_many_products_share_it(
    done: Done, pictures: PictureHost
) -> None:
    assert done.stdout
    assert pictures.asked["/missing.png"] == 1


def test_the_status_counts_what_failed_with_an_example_of_each_kind(
    done: Done, shop: Command
) -> None:
    assert done.stdout
    shown = shop("status").stdout
    assert "  http_404 3: correct the picture's address, or put the file there; such as " in shown
    assert "Due: 0\n" in shown


def test_failed_products_wait_for_a_retry_and_only_failures_exit_with_1(
    done: Done, shop: Command, copied_url: str, pictures: PictureHost
) -> None:
    assert done.stdout
    shop = command(copied_url, shop.folder, ALLOW_PRIVATE_IMAGES=allowed(pictures))
    assert shop.result()["found"] == 0
    result = shop.result("--retry-failed", "--where", "\"Title\" = ''")
    assert (result["found"], result["failed"], result["exit_status"]) == (2, 2, 1)
    attempts = run(
        copied_url, 'SELECT "Attempts", count(*) FROM shelfsight."EmbeddingFailures" GROUP BY 1'
    )
    assert sorted(attempts) == [(1, len(KINDS)), (2, 2)]
