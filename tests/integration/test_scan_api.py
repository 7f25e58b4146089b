"""Scans over HTTP: a photo goes in, the right products come out."""

import base64
import http.client
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import psycopg
import pytest
import zxingcpp
from PIL import Image
from psycopg import sql

from shelfsight.errors import ModelError, ServerError
from shelfsight.postgres.connection import Database
from shelfsight.records import ModelPair
from shelfsight.scan.matching import WhyNothing
from shelfsight.serving.limits import ServerLimits
from shelfsight.serving.scan_api.metrics import ScanMetrics, TimedDatabase
from shelfsight.serving.scan_api.quick_scan import HINTS
from shelfsight.testing import HashEmbedder
from tests.integration.embedding_server import stores
from tests.integration.scan_server import (
    BOXES,
    SCAN,
    in_png,
    photo,
    prepared,
    problem,
    scan,
    scan_form,
    scan_server,
    send,
    skus,
    two_things,
    until,
)
from tests.shop import backfill_all, fill, picture, rows

PRODUCTS = 12


class Pictures(BaseHTTPRequestHandler):
    """Serves the pictures of the shop as /7.png; /moved redirects to a private address."""

    def do_GET(self) -> None:
        name = self.path.strip("/").removesuffix(".png")
        self.send_response(302 if name == "moved" else 200 if name.isdecimal() else 404)
        if name == "moved":
            self.send_header("Location", "http://127.0.0.2/secret")
        self.end_headers()
        if name.isdecimal():
            self.wfile.write(in_png(picture(int(name))))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def pictures() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def shop(server: str) -> Iterator[Database]:
    """Products with two variants each: `00...0901` has sku-1 and sku-2."""
    with prepared(server, "scan_api") as database:
        fill(database, PRODUCTS, pictures=True)
        for statement in (
            'INSERT INTO "Products" ("Id", "Category")'
            " SELECT ('00000000-0000-0000-0000-000000000' || 900 + i)::uuid, 'cups'"
            " FROM generate_series(1, 6) AS i",
            'UPDATE "ProductVariants" SET "ProductId" ='
            " ('00000000-0000-0000-0000-000000000' || 900 + (\"Price\"::int + 1) / 2)::uuid",
        ):
            database.run(lambda connection, statement=statement: connection.execute(statement))
        backfill_all(database)
        yield database


@pytest.fixture(scope="module")
def site(shop: Database, pictures: str) -> Iterator[str]:
    limits = ServerLimits(body_bytes=2_000_000)
    with scan_server(shop, config={"limits": limits}, allow_private_images=pictures) as url:
        yield url


def test_a_photo_in_base64_finds_its_product_with_all_that_is_to_be_shown(site: str) -> None:
    answer = scan(site, imageBase64=photo(7), limit=1).json
    (match,) = answer["matches"]
    assert match["ProductVariantId"] == f"00000000-0000-0000-0000-{7:012x}"
    assert match["productId"] == "00000000-0000-0000-0000-000000000904"
    assert (match["sku"], match["title"], match["price"]) == ("sku-7", "Product 7", 7.0)
    assert match["imageUrl"] == "http://shop.test/7.png"
    assert match["score"] == match["imageSimilarity"] == pytest.approx(1, abs=1e-3)
    assert match["textSimilarity"] is None
    # these models were never calibrated, so that a photo makes nobody sure
    assert match["confidence"] == answer["confidence"] == "medium"
    assert match["probability"] is answer["notInCatalog"] is None
    assert answer["recommendedAction"] == "show_multiple_candidates"
    (result,) = answer["results"]
    assert (result["sourceIndex"], result["sourceType"]) == (0, "image")
    assert result["matches"] == answer["matches"]
    assert 0 <= result["processingTimeMs"] <= answer["totalProcessingTimeMs"]
    assert answer["hint"] is None


def test_every_way_to_send_a_photo_finds_the_same(site: str, pictures: str) -> None:
    sent = [
        scan(site, imageBase64=photo(5), limit=1),
        scan(site, imageBase64=f"data:image/png;base64,{photo(5)}", limit=1),
        scan(site, imageUrl=f"http://{pictures}/5.png", limit=1),
        scan(site, images=[{"base64": photo(5)}], limit=1),
        scan(site, images=[{"url": f"http://{pictures}/5.png"}], limit=1),
        scan_form(site, [in_png(picture(5))], limit="1"),
    ]
    assert [skus(answer) for answer in sent] == [["sku-5"]] * len(sent)
    kinds = [answer.json["results"][0]["sourceType"] for answer in sent]
    assert kinds == ["image"] * len(sent)


def test_words_find_by_text_and_a_sku_is_told_as_such(site: str, shop: Database) -> None:
    embedded = 'SELECT "ProductText" FROM "ProductEmbeddings" WHERE "ProductText" LIKE %s'
    ((text,),) = shop.run(lambda c: c.execute(embedded, ["Product 3%"]).fetchall())
    answer = scan(site, textQuery=text, limit=1).json
    (match,) = answer["matches"]
    assert (match["sku"], match["imageSimilarity"]) == ("sku-3", None)
    assert match["textSimilarity"] == pytest.approx(1, abs=1e-3)
    assert answer["results"][0]["sourceType"] == "text"
    answer = scan(site, textQuery="sku-9", limit=1).json
    (match,) = answer["matches"]
    assert (match["sku"], match["exactCode"], match["confidence"]) == ("sku-9", True, "high")
    assert match["because"][0] == "code"
    assert answer["recommendedAction"] == "show_single_match"


def labelled(code: str, angle: float) -> str:
    """A photo of nothing but a label with the EAN-13 of these digits, in base64."""
    bars = zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.EAN13)
    drawn = np.array(zxingcpp.write_barcode_to_image(bars, scale=3, add_quiet_zones=True))
    label = Image.fromarray(drawn).rotate(
        angle, Image.Resampling.BICUBIC, expand=True, fillcolor=200
    )
    return base64.b64encode(in_png(np.asarray(label.convert("RGB")))).decode()


@pytest.mark.parametrize("angle", [0, 40])
def test_a_barcode_in_the_photo_finds_the_product_that_has_it(
    site: str, shop: Database, angle: float
) -> None:
    """The shop has lost the leading zero of this UPC-A, as spreadsheets do."""
    set_barcode = 'UPDATE "ProductVariants" SET "Barcode" = %s WHERE "Sku" = %s'
    shop.run(lambda c: c.execute(set_barcode, ["36000291452", "sku-9"]))
    answer = scan(site, imageBase64=labelled("0036000291452", angle), limit=1).json
    (match,) = answer["matches"]
    assert (match["sku"], match["exactCode"], match["confidence"]) == ("sku-9", True, "high")
    assert answer["recommendedAction"] == "show_single_match"
    other = scan(site, imageBase64=labelled("4006381333931", angle), limit=1).json
    assert not any(match["exactCode"] for match in other["matches"])


def test_codes_in_photos_are_not_read_where_that_is_switched_off(shop: Database) -> None:
    set_barcode = 'UPDATE "ProductVariants" SET "Barcode" = %s WHERE "Sku" = %s'
    shop.run(lambda c: c.execute(set_barcode, ["036000291452", "sku-9"]))
    with scan_server(shop, scan_codes=False) as url:
        answer = scan(url, imageBase64=labelled("0036000291452", 0)).json
    assert not any(match["exactCode"] for match in answer["matches"])


def test_words_go_with_each_photo(site: str) -> None:
    answer = scan(site, images=[{"base64": photo(1)}, {"base64": photo(2)}], textQuery="Product 2")
    first, second = answer.json["results"]
    assert {m["sku"] for m in first["matches"][:2]} == {"sku-1", "sku-2"}
    assert second["matches"][0]["sku"] == "sku-2"
    assert second["matches"][0]["textSimilarity"] is not None


def test_each_of_several_photos_is_a_result_and_a_product_comes_once(site: str) -> None:
    photos = [{"base64": photo(number)} for number in (4, 4, 8)]
    answer = scan(site, images=photos, threshold=0.9).json
    assert [[m["sku"] for m in r["matches"]] for r in answer["results"]] == [
        ["sku-4"],
        ["sku-4"],
        ["sku-8"],
    ]
    assert [result["sourceIndex"] for result in answer["results"]] == [0, 1, 2]
    assert sorted(m["sku"] for m in answer["matches"]) == ["sku-4", "sku-8"]
    assert answer["recommendedAction"] == "show_multiple_candidates"


def test_photos_of_one_thing_are_one_result(site: str) -> None:
    photos = [{"base64": photo(number)} for number in (4, 8)]
    answer = scan(site, images=photos, combineImages=True, threshold=0.9).json
    (result,) = answer["results"]
    assert result["sourceType"] == "image"
    assert sorted(m["sku"] for m in result["matches"]) == ["sku-4", "sku-8"]


@pytest.mark.parametrize("combine", [False, True])
def test_a_photo_that_fails_among_several_fails_alone(site: str, combine: bool) -> None:
    photos = [{"base64": photo(4)}, {"base64": base64.b64encode(b"no picture").decode()}]
    answer = scan(site, images=photos, combineImages=combine, threshold=0.9).json
    good, bad = answer["results"]
    assert [m["sku"] for m in good["matches"]] == ["sku-4"]
    assert (good["error"], bad["matches"], bad["sourceIndex"]) == (None, [], 1)
    assert (bad["error"]["status"], bad["error"]["type"]) == (
        415,
        "urn:shelfsight:problem:not_an_image",
    )
    assert [match["sku"] for match in answer["matches"]] == ["sku-4"]


def test_several_photos_that_all_fail_give_no_match_and_say_why(site: str) -> None:
    photos = [{"base64": "AAAA"}, {"base64": "?"}]
    answer = scan(site, images=photos)
    assert skus(answer) == []
    assert [result["error"]["status"] for result in answer.json["results"]] == [415, 422]
    assert answer.json["recommendedAction"] == "fallback_to_manual"


def test_limit_threshold_weights_and_filters_are_applied(site: str) -> None:
    ask = partial(scan, site, imageBase64=photo(6), threshold=-1)
    assert len(skus(ask(limit=100))) == PRODUCTS
    assert len(skus(ask(limit=3))) == 3
    assert skus(scan(site, imageBase64=photo(6), threshold=0.99)) == ["sku-6"]
    assert skus(ask(filters={"skus": ["sku-2"]})) == ["sku-2"]
    assert len(skus(ask(filters={"category": "cups"}))) == 10
    assert skus(ask(filters={"category": "hats"})) == []
    assert set(skus(ask(filters={"minPrice": 2, "maxPrice": 3.5}))) == {"sku-2", "sku-3"}
    assert skus(ask(filters={"updatedSince": "2999-01-01T00:00:00Z"})) == []
    assert len(skus(ask(groupBy="product", limit=100))) == PRODUCTS // 2
    both = partial(scan, site, imageBase64=photo(1), textQuery="Product 2", threshold=-1, limit=1)
    assert skus(both(weights={"image": 1, "text": 0})) == ["sku-1"]
    assert skus(both(weights={"image": 0, "text": 1})) == ["sku-2"]


def test_a_form_takes_the_same_fields(site: str) -> None:
    answer = scan_form(
        site,
        [in_png(picture(1)), in_png(picture(2))],
        filters='{"minPrice": 2}',
        threshold="0.9",
        combineImages="true",
    )
    assert skus(answer) == ["sku-2"]
    assert skus(scan_form(site, [], textQuery="sku-11", limit="1")) == ["sku-11"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "textQuery"),
        ({"textQuery": " "}, "textQuery"),
        ({"textQuery": "<br>"}, "no words"),
        ({"textQuery": "a\0b"}, "NUL"),
        ({"imageUrl": "http://a.test/b", "imageBase64": "AAAA"}, "one of"),
        ({"images": []}, "images"),
        ({"images": [{}]}, "url or base64"),
        ({"images": [{"url": "a", "base64": "b"}]}, "either url or base64"),
        ({"images": [{"base64": "AAAA"}] * 11}, "images"),
        ({"textQuery": "a", "limit": 0}, "limit"),
        ({"textQuery": "a", "filter": {}}, "filter"),
        ({"textQuery": "a", "filters": {"minPrice": -1}}, "minPrice"),
        ({"textQuery": "a", "filters": {"updatedSince": "2026-01-01T00:00:00"}}, "updatedSince"),
        ({"textQuery": "a", "weights": {"image": 0, "text": 0}}, "weights"),
        ({"textQuery": "a", "groupBy": "shop"}, "groupBy"),
        ({"imageBase64": "not base64!"}, "base64"),
    ],
)
def test_a_body_that_makes_no_sense_is_a_422_that_says_where(
    site: str, body: dict[str, object], told: str
) -> None:
    answer = send(site + SCAN, body)
    assert problem(answer)[0] == 422
    assert told in answer.json["detail"]


def test_bad_json_a_bad_form_and_a_bad_picture_have_different_errors(site: str) -> None:
    assert problem(send(site + SCAN, b"{")) == (400, "bad_json")
    assert problem(send(site + SCAN, b"a=b", Content_Type="application/x-www-form-urlencoded")) == (
        415,
        "content_type",
    )
    form = "multipart/form-data; boundary=x"
    assert problem(send(site + SCAN, b"--y", Content_Type=form)) == (400, "bad_form")
    assert problem(send(site + SCAN, b"", Content_Type="multipart/form-data"))[0] == 400
    assert problem(scan_form(site, [], filters="{", textQuery="a")) == (422, "bad_request")
    assert problem(scan_form(site, [], filters="[" * 100_000, textQuery="a"))[0] == 422
    assert problem(scan_form(site, [b"%PDF-1.4"])) == (415, "unsupported_format")
    assert problem(scan_form(site, [in_png(picture(1))], imageUrl="http://a.test")) == (
        422,
        "bad_request",
    )
    assert problem(scan_form(site, [b""])) == (415, "empty")
    assert problem(send(site + "/nothing")) == (404, "http_404")
    assert problem(send(site + SCAN)) == (405, "http_405")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_too_many_bytes_are_refused_before_they_are_sent(site: str, kind: str) -> None:
    with closing(http.client.HTTPConnection(site.removeprefix("http://"), timeout=20)) as line:
        line.putrequest("POST", SCAN)
        line.putheader("Content-Type", kind)
        line.putheader("Content-Length", "2000001")
        line.endheaders()
        response = line.getresponse()
        assert response.status == 413
        assert json.load(response)["type"] == "urn:shelfsight:problem:body_too_large"


def test_a_photo_may_be_too_large_in_bytes_or_in_pixels(shop: Database) -> None:
    with scan_server(shop) as url:
        too_many = base64.b64encode(b"\0" * 20_000_001).decode()
        assert problem(scan(url, imageBase64=too_many)) == (413, "too_large")
        file = BytesIO()
        Image.new("1", (5001, 5000)).save(file, "PNG")
        assert problem(scan_form(url, [file.getvalue()])) == (413, "too_many_pixels")


@pytest.mark.parametrize(
    ("path", "kind"),
    [("missing", "http_404"), ("moved", "forbidden_address")],
)
def test_a_picture_that_cannot_be_fetched_is_a_424_that_says_why(
    site: str, pictures: str, path: str, kind: str
) -> None:
    assert problem(scan(site, imageUrl=f"http://{pictures}/{path}")) == (424, kind)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1/", "http://localhost/", "file:///etc/passwd", "/etc/passwd"]
)
def test_private_addresses_and_files_are_not_read_and_not_described(
    site: str, address: str
) -> None:
    answer = scan(site, imageUrl=address)
    assert problem(answer) in {(424, "forbidden_address"), (424, "bad_address")}
    assert "127.0.0.1" not in answer.json["detail"]


def test_products_like_a_stored_one_are_found_without_itself(site: str) -> None:
    id_ = f"00000000-0000-0000-0000-{7:012x}"
    answer = send(f"{site}/products/{id_}/similar?threshold=-1&limit=3")
    assert len(skus(answer)) == 3
    assert "sku-7" not in skus(answer)
    assert problem(send(f"{site}/products/nothing/similar")) == (404, "product_unknown")
    assert problem(send(f"{site}/products/%00/similar"))[0] == 422
    assert problem(send(f"{site}/products/{id_}/similar?limit=1000")) == (422, "bad_request")


def test_nothing_of_a_scan_is_stored_but_the_mean_of_the_photos(database: Database) -> None:
    fill(database, 3)
    backfill_all(database)

    def contents() -> dict[str, str]:
        """Return a hash of the rows of each table."""
        tables = rows(
            database,
            "SELECT format('%I.%I', schemaname, relname) FROM pg_stat_user_tables ORDER BY 1",
        )
        query = "SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM {} AS t"
        return {table: rows(database, query.format(table))[0][0] for (table,) in tables}

    before = contents()
    with scan_server(database) as url:
        assert scan(url, imageBase64=photo(1), textQuery="a secret gift").status == 200
    after = contents()
    changed = {table for table in after if after[table] != before[table]}
    assert changed <= {'shelfsight."ScanMeans"'}
    assert "secret gift" not in str(rows(database, 'SELECT * FROM shelfsight."ScanMeans"'))


def test_learning_takes_no_connection_from_scans(database: Database) -> None:
    metrics, who = ScanMetrics(), "SELECT pg_backend_pid()"
    with closing(Database(database.url)) as learner:
        timed = TimedDatabase(database, learner, metrics)
        asked = [timed.ask((sql.SQL(who), {})), timed.run(lambda c: c.execute(who).fetchall())]
        assert asked == [rows(database, who), rows(learner, who)]
        reading = timed.run(lambda c: c.execute(who).fetchall(), read_only=True)
        assert reading == rows(database, who)
    told = metrics.text().decode()
    assert 'shelfsight_scan_step_seconds_count{step="sql"} 2.0' in told
    assert 'shelfsight_scan_step_seconds_count{step="learn"} 1.0' in told


def test_health_ready_and_metrics_tell_what_is(site: str, pictures: str) -> None:
    health = send(site + "/health")
    assert (health.status, health.json["status"], health.json["problems"]) == (200, "healthy", [])
    assert health.json["models"]["image"] == HashEmbedder().models.image
    assert send(site + "/ready").json == {"ready": True, "problems": [], "notes": []}
    scan(site, imageBase64=photo(1))
    scan(site, imageUrl=f"http://{pictures}/1.png")
    scan(site, imageBase64="AAAA")
    told = send(site + "/metrics").content.decode()
    assert 'shelfsight_scans_total{confidence="medium",query="image"}' in told
    assert 'shelfsight_errors_total{kind="not_an_image"}' in told
    assert re.search(r'shelfsight_store_bytes{store="recent_scans"} [1-9]', told)
    assert {"bodies", "rate_limits", "search_facts", "connections", "decoders"} <= stores(told)
    for step in ("fetch", "decode", "model", "sql"):
        assert f'shelfsight_scan_step_seconds_count{{step="{step}"}}' in told
    assert f'shelfsight_requests_total{{path="{SCAN}",status="200"}}' in told


def test_a_database_that_goes_away_is_a_503_and_comes_back(database: Database) -> None:
    name = database.url.rpartition("/")[2].partition("?")[0]
    other = Database(database.url.replace(f"/{name}?", "/postgres?"))

    def allow(yes: bool) -> None:
        other.run(lambda c: c.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {yes}'))
        other.run(
            lambda c: c.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
        )

    with scan_server(database) as url:
        assert scan(url, textQuery="a").status == 200
        allow(False)
        try:
            answer = scan(url, textQuery="a")
            assert problem(answer) == (503, "database_away")
            assert "retry-after" in answer.headers
            assert "postgres" not in answer.json["detail"]
            assert send(url + "/health").status == 200  # a restart would not help
            ready = send(url + "/ready")
            assert ready.status == 503
            assert [one["kind"] for one in ready.json["problems"]] == ["database_away"]
        finally:
            allow(True)
        until(lambda: scan(url, textQuery="a").status == 200)
    other.close()


def test_models_that_go_away_are_a_503(shop: Database) -> None:
    class Away(HashEmbedder):
        def embed_texts(self, *_texts, **_how):
            raise ServerError("the server http://user@internal is away")

    with scan_server(shop, Away()) as url:
        answer = scan(url, textQuery="a")
        assert problem(answer) == (503, "model_away")
        assert "internal" not in answer.json["detail"]
        ready = send(url + "/ready")
        assert (ready.status, ready.json["ready"]) == (503, False)
        assert [one["kind"] for one in ready.json["problems"]] == ["model_away"]
        assert "internal" not in ready.content.decode()
        assert send(url + "/health").status == 200  # the models are not in this process


def test_a_scan_that_takes_too_long_times_out(shop: Database) -> None:
    gate = threading.Event()

    class Slow(HashEmbedder):
        def embed_images(self, pictures, **how):
            gate.wait(30)
            return super().embed_images(pictures, **how)

    with scan_server(shop, Slow(), scan_timeout=0.2) as url:
        try:
            assert problem(scan(url, imageBase64=photo(1))) == (503, "too_slow")
            assert send(url + "/health").status == 200
        finally:
            gate.set()


def test_other_models_than_the_stored_ones_are_a_503_that_says_what_to_do(shop: Database) -> None:
    with scan_server(shop, HashEmbedder(models=ModelPair(image="a@1", text="b@1"))) as url:
        answer = scan(url, textQuery="a")
        assert problem(answer) == (503, "models_differ")
        assert "shelfsight models" in answer.json["detail"]


def test_an_empty_catalogue_says_to_run_the_backfill(database: Database) -> None:
    with scan_server(database) as url:
        for count in (0, 3):
            fill(database, count)
            answer = scan(url, imageBase64=photo(1))
            assert skus(answer) == []
            assert "shelfsight backfill" in answer.json["hint"]
            assert answer.json["recommendedAction"] == "fallback_to_manual"
        assert rows(database, 'SELECT count(*) FROM "ProductEmbeddings"') == [(0,)]


def test_a_catalogue_without_image_vectors_says_so_to_a_photo(database: Database) -> None:
    fill(database, 1)
    backfill_all(database)
    with scan_server(database) as url:
        answer = scan(url, imageBase64=photo(1))
        assert answer.json["hint"] == HINTS[WhyNothing.NO_IMAGES]


def test_a_database_that_was_not_prepared_is_told_so(server: str) -> None:
    bare = Database(server)
    with scan_server(bare) as url:
        assert problem(scan(url, textQuery="a")) == (503, "not_prepared")
    bare.close()


def test_the_browser_is_told_what_it_may_not_do(site: str) -> None:
    headers = scan(site, textQuery="a").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


def test_a_filter_that_does_not_fit_the_shops_columns_is_a_422(database: Database) -> None:
    fill(database, 3)
    for statement in (
        'ALTER TABLE "ProductVariants" ALTER "UserId" TYPE uuid USING null,'
        ' ALTER "Options" TYPE text, DROP "Price"',
        'UPDATE "ProductVariants" SET "Options" = \'no json\'',
        'ALTER TABLE "Products" ALTER "Category" TYPE integer USING 1',
    ):
        database.run(lambda connection, statement=statement: connection.execute(statement))
    backfill_all(database)
    with scan_server(database) as url:
        for filters in (
            {"owner": "ann"},
            {"category": "cups"},
            {"options": {"size": "M"}},
            {"minPrice": 1},
        ):
            assert problem(scan(url, textQuery="a", filters=filters)) == (422, "bad_filter")
        assert scan(url, textQuery="a").status == 200


def test_threads_that_all_hang_are_told_by_ready(shop: Database) -> None:
    gate = threading.Event()

    class Hanging(HashEmbedder):
        def embed_images(self, pictures, **told):
            gate.wait(240)
            return super().embed_images(pictures, **told)

    def ask_from(number: int) -> None:
        body = json.dumps({"imageBase64": photo(1)})
        host, port = url.removeprefix("http://").split(":")
        with closing(
            http.client.HTTPConnection(host, int(port), source_address=(f"127.0.0.{number}", 0))
        ) as client:
            client.request("POST", SCAN, body, {"Content-Type": "application/json"})
            client.getresponse().read()

    with scan_server(shop, Hanging(), scan_timeout=60) as url, ThreadPoolExecutor(24) as clients:
        try:
            asked = [clients.submit(ask_from, number) for number in (2, 3, 4) for _ in range(8)]
            until(lambda: send(url + "/ready").status == 503)
            told = send(url + "/ready").json["problems"]
            assert [one["kind"] for one in told] == ["threads_busy"]
            assert send(url + "/health").status == 200  # not for so long that they never end
        finally:
            gate.set()
        for request in asked:
            request.result(60)
        until(lambda: send(url + "/ready").status == 200)


def test_vectors_that_are_locked_are_told_by_ready_and_the_database_is_not_blamed(
    shop: Database,
) -> None:
    with (
        scan_server(shop, HashEmbedder()) as url,
        psycopg.connect(shop.url) as other,
    ):
        other.execute('LOCK TABLE "ProductEmbeddings" IN ACCESS EXCLUSIVE MODE')
        told = send(url + "/ready").json["problems"]
        assert [one["kind"] for one in told] == ["too_slow"]
        other.rollback()
        until(lambda: send(url + "/ready").status == 200)


def test_models_in_this_process_that_fail_make_health_503(shop: Database) -> None:
    class Broken(HashEmbedder):
        def embed_texts(self, *_texts, **_how):
            raise ModelError("the device is lost")

    with scan_server(shop, Broken()) as url:
        told = send(url + "/ready").json["problems"]
        assert [one["kind"] for one in told] == ["model_away"]
        health = send(url + "/health")
        problems = ["the models in this process have failed"]
        assert (health.status, health.json["problems"]) == (503, problems)


def test_only_the_part_of_a_photo_in_a_box_is_looked_at(site: str) -> None:
    two = np.concatenate([picture(1), picture(3)], axis=1)
    photograph = base64.b64encode(in_png(two)).decode()
    left = {"x": 0, "y": 0, "width": 0.5, "height": 1}
    right = {**left, "x": 0.5}
    assert skus(scan(site, imageBase64=photograph, box=left, limit=1)) == ["sku-1"]
    assert skus(scan(site, imageBase64=photograph, box=right, limit=1)) == ["sku-3"]
    assert skus(scan_form(site, [in_png(two)], box=json.dumps(right), limit="1")) == ["sku-3"]


def boxes(site: str, **body: object) -> list[tuple[float, ...]]:
    answer = send(site + BOXES, body)
    assert answer.status == 200, answer
    return [
        tuple(box[name] for name in ("x", "y", "width", "height")) for box in answer.json["boxes"]
    ]


def test_each_thing_in_a_photo_is_boxed_and_can_be_scanned(site: str) -> None:
    photograph = base64.b64encode(in_png(two_things())).decode()
    red, blue = boxes(site, imageBase64=photograph)
    assert red == pytest.approx((0.125, 0.25, 0.25, 0.5), abs=0.08)
    assert blue == pytest.approx((0.625, 0.167, 0.25, 0.667), abs=0.08)
    for x, y, width, height in (red, blue):
        box = {"x": x, "y": y, "width": width, "height": height}
        assert scan(site, imageBase64=photograph, box=box).status == 200


def test_boxes_within_a_box_are_parts_of_the_whole_photo(site: str) -> None:
    right = {"x": 0.5, "y": 0.0, "width": 0.5, "height": 1.0}
    photograph = base64.b64encode(in_png(two_things())).decode()
    (blue,) = boxes(site, imageBase64=photograph, box=right)
    assert blue == pytest.approx((0.625, 0.167, 0.25, 0.667), abs=0.08)


def test_a_photo_in_which_nothing_stands_out_has_no_boxes(site: str) -> None:
    assert boxes(site, imageBase64=photo(1)) == []


def test_boxes_are_of_one_photo_that_can_be_read(site: str) -> None:
    several = [{"base64": photo(1)}, {"base64": photo(2)}]
    assert problem(send(site + BOXES, {"images": several})) == (422, "bad_request")
    assert problem(send(site + BOXES, {"textQuery": "mug"})) == (422, "bad_request")
    broken = base64.b64encode(b"no picture").decode()
    assert problem(send(site + BOXES, {"imageBase64": broken})) == (415, "not_an_image")


@pytest.mark.parametrize(
    "box",
    [
        {"x": 0.6, "y": 0, "width": 0.5, "height": 1},
        {"x": -0.1, "y": 0, "width": 0.5, "height": 1},
        {"x": 0, "y": 0, "width": 0, "height": 1},
        {"x": 0, "y": 0, "width": 1},
    ],
)
def test_a_box_beyond_the_photo_is_refused(site: str, box: dict[str, float]) -> None:
    assert scan(site, imageBase64=photo(1), box=box).status == 422


def test_a_box_belongs_to_one_photo(site: str) -> None:
    whole = {"x": 0, "y": 0, "width": 1, "height": 1}
    several = [{"base64": photo(1)}, {"base64": photo(2)}]
    assert problem(scan(site, images=several, box=whole)) == (422, "bad_request")
