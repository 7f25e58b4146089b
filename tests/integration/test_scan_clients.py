"""Scans as clients of other servers send them, streams of results, and ids with odd characters."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import psycopg
import pytest

from shelfsight.postgres.connection import Database
from shelfsight.storage import schema
from tests.integration.embedding_server import Answer
from tests.integration.scan_server import (
    SCAN,
    in_png,
    photo,
    prepared,
    problem,
    scan,
    scan_server,
    send,
    skus,
)
from tests.shop import backfill_all, fill, picture

ODD_IDS = (
    "gid://shopify/ProductVariant/1",
    'it\'s "2" %/?#é',
    "tab\tid",
    "a//b",
    "a/similar",
    "100%25",
)


@pytest.fixture(scope="module")
def shop(server: str) -> Iterator[Database]:
    with prepared(server, "scan_clients") as database:
        database.run(
            lambda connection: connection.execute(
                'ALTER TABLE "ProductImages" DROP CONSTRAINT IF EXISTS'
                ' "ProductImages_ProductVariantId_fkey"'
            )
        )
        fill(database, 4, pictures=True)
        backfill_all(database)
        yield database


@pytest.fixture(scope="module")
def site(shop: Database) -> Iterator[str]:
    with scan_server(shop) as url:
        yield url


APP = {"targetSites": ["shop.test"], "reranker": "jina-modal", "mode": "vector-first"}
GUIDE = {"links": ["https://shop.test/1"], "useReranker": True, "businessTemplate": {"a": [1]}}


@pytest.mark.parametrize("extra", [{}, APP, GUIDE, APP | GUIDE, {"links": None}])
def test_fields_of_other_servers_are_taken_and_named(site: str, extra: dict[str, Any]) -> None:
    answer = scan(site, images=[{"base64": photo(2)}], limit=1, **extra)
    assert skus(answer) == ["sku-2"]
    assert set(answer.json["ignored"]) == set(extra)


@pytest.mark.parametrize("metadata", [None, 1, "x", {"deep": [{"er": [1, 2]}]}, []])
def test_the_metadata_of_an_image_may_be_anything(site: str, metadata: object) -> None:
    answer = scan(site, images=[{"base64": photo(2), "metadata": metadata}], limit=1)
    assert (skus(answer), answer.json["ignored"]) == (["sku-2"], ["images.metadata"])


@pytest.mark.parametrize("field", ["targetSite", "rerank", "Mode", "metadata", "imageurl"])
def test_a_field_that_nobody_knows_is_still_refused(site: str, field: str) -> None:
    assert problem(scan(site, imageBase64=photo(2), **{field: "x"})) == (422, "bad_request")


def test_much_that_is_ignored_costs_no_memory_and_is_still_json(site: str) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    body = b'{"textQuery": "sku-1", "links": [' + b"[]," * 300_000 + b"[]]}"
    assert send(site + SCAN, body).json["ignored"] == ["links"]
    assert send(site + SCAN, b'{"textQuery": "a", "links": ' + deep + b"}").status in {200, 400}
    assert send(site + SCAN, b'{"textQuery": "a", "links": [}').status == 400


def test_the_fields_that_their_parsers_read_are_there(site: str) -> None:
    answer = scan(site, images=[{"base64": photo(2)}], limit=1).json
    (match,) = answer["matches"]
    assert match["combinedScore"] == match["score"]
    assert (match["productUrl"], match["isLocalMatch"]) == (None, True)
    assert answer["overallConfidence"] == answer["confidence"]
    (result,) = answer["results"]
    assert {"sourceIndex", "sourceType", "confidence", "processingTimeMs"} <= result.keys()
    assert result["matches"][0]["combinedScore"] == match["score"]


def test_the_paths_are_served_below_the_prefix_too(site: str, shop: Database) -> None:
    assert skus(send(f"{site}/api{SCAN}", {"imageBase64": photo(3), "limit": 1})) == ["sku-3"]
    assert send(f"{site}/api/health").status == 200
    assert send(f"{site}/apiary/health").status == 404
    with scan_server(shop, api_prefix="/v2/shop") as url:
        assert send(f"{url}/v2/shop/health").status == 200
        assert send(f"{url}/api/health").status == 404


def events(answer: Answer) -> list[tuple[str, Any]]:
    """The events of a stream: name and data."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    parts = answer.content.decode().split("\n\n")
    assert parts.pop() == ""
    lines = [part.split("\n") for part in parts]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in lines
    ]


def stream(site: str, **body: object) -> Answer:
    return send(f"{site}{SCAN}/stream", body)


def test_each_photo_is_an_event_and_the_end_is_the_response(site: str) -> None:
    images = [{"base64": photo(n)} for n in (1, 3, 4)]
    sent = events(stream(site, images=[*images, {"base64": "aGk="}], limit=1, mode="auto"))
    assert [name for name, _ in sent].count("photo") == 4
    assert sent[0] == ("progress", {"done": 0, "total": 4})
    assert sent[-2] == ("progress", {"done": 4, "total": 4})
    name, end = sent[-1]
    assert name == "end"
    photos = sorted(
        (data for name, data in sent if name == "photo"), key=lambda r: r["sourceIndex"]
    )
    assert photos == end["results"]
    assert [result["error"] is None for result in photos] == [True, True, True, False]
    assert end["ignored"] == ["mode"]
    at_once = scan(site, images=images, limit=1).json
    assert [m["sku"] for m in end["matches"]] == [m["sku"] for m in at_once["matches"]]


def test_a_lone_photo_that_fails_is_told_in_the_stream(site: str) -> None:
    sent = events(stream(site, imageBase64="aGk="))
    assert [name for name, _ in sent] == ["progress", "photo", "progress", "end"]
    assert sent[1][1]["error"]["type"].endswith("not_an_image")


def test_words_can_be_streamed(site: str) -> None:
    assert events(stream(site, textQuery="sku-1"))[-1][1]["matches"][0]["sku"] == "sku-1"


def test_what_cannot_be_read_is_refused_before_the_stream_begins(site: str) -> None:
    assert problem(stream(site)) == (422, "bad_request")
    assert problem(send(f"{site}{SCAN}/stream", b"{")) == (400, "bad_json")


def test_a_stream_that_takes_too_long_ends_with_an_error(shop: Database) -> None:
    with scan_server(shop, config={"seconds": 0.000001}) as url:
        name, data = events(stream(url, imageBase64=photo(1)))[-1]
    assert (name, data["status"]) == ("error", 503)


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_probe_may_ask_for_the_head_alone(site: str, path: str) -> None:
    with urlopen(Request(f"{site}{path}", method="HEAD")) as answer:
        assert (answer.status, answer.read()) == (200, b"")


@pytest.fixture(scope="module")
def odd_shop(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A shop whose ids are texts."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "a.png").write_bytes(in_png(picture(1)))
    statements = (
        'CREATE TABLE "Products" ("Id" text PRIMARY KEY, "Title" text)',
        'CREATE TABLE "ProductVariants" ("Id" text PRIMARY KEY, "ProductId" text, "Sku" text,'
        ' "Title" text, "Description" text, "Price" integer)',
        'CREATE TABLE "ProductImages" ("Id" serial PRIMARY KEY, "ProductVariantId" text,'
        ' "ImageUrl" text, "Position" int)',
    )
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute('CREATE DATABASE "odd_ids"')
    database = Database(server.replace("/postgres?", "/odd_ids?"))
    for statement in statements:
        database.run(lambda connection, statement=statement: connection.execute(statement))
    rows = [(id, f"sku-{n}", f"Thing number {n}") for n, id in enumerate(ODD_IDS)]
    insert = 'INSERT INTO "ProductVariants" ("Id", "Sku", "Title") VALUES (%s, %s, %s)'

    shown = """INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl") VALUES (%s, 'a.png')"""

    def add(connection: psycopg.Connection) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(insert, rows)
            cursor.executemany(shown, [[id] for id in ODD_IDS])

    database.run(add)
    schema.create(database)
    backfill_all(database, pictures={"a.png": picture(1)})
    with scan_server(database, image_root=folder) as url:
        yield url
    database.close()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute('DROP DATABASE "odd_ids" WITH (FORCE)')


@pytest.mark.parametrize("id", ODD_IDS)
def test_an_id_of_any_characters_is_found(odd_shop: str, id: str) -> None:
    similar = send(f"{odd_shop}/products/{quote(id, safe='')}/similar?limit=10")
    assert {match["ProductVariantId"] for match in similar.json["matches"]} == {*ODD_IDS} - {id}
    shown = send(f"{odd_shop}/catalogue/picture/{quote(id, safe='')}")
    assert (shown.status, shown.headers["content-type"]) == (200, "image/jpeg")
