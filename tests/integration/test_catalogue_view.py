"""The endpoints under `/catalogue`: callers see only what their key allows."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import Pixels
from shelfsight.storage.api_keys import ApiKeys
from tests.integration.scan_server import (
    photo,
    prepared,
    problem,
    scan,
    scan_server,
    send,
)
from tests.shop import backfill_all, fill, picture, rows

ANNS, BOBS = 6, 5
PRODUCT = "00000000-0000-0000-0000-0000000000aa"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An IMAGE_ROOT with a large picture, and a secret file next to the folder."""
    top = tmp_path_factory.mktemp("shop")
    (top / "pictures").mkdir()
    Image.new("RGB", (1200, 600), "teal").save(top / "pictures" / "1.png")
    Image.new("RGB", (8, 8), "red").save(top / "secret.png")
    (top / "pictures" / "2.png").write_text("<html>not a picture")
    return top / "pictures"


@pytest.fixture(scope="module")
def shop(server: str) -> Iterator[Database]:
    with prepared(server, "catalogue_view") as database:
        fill(database, ANNS, owner="ann", pictures=True)
        fill(database, BOBS, first=11, owner="bob")
        backfill_all(database, pictures=pictures())
        database.run(_keep_pictures_in_a_folder)
        yield database


def pictures() -> dict[str, Pixels]:
    """Pictures for all of Ann's products but the last."""
    return {f"http://shop.test/{n}.png": picture(20 * n) for n in range(1, ANNS)}


def _keep_pictures_in_a_folder(connection: Connection) -> None:
    for number, path in ((1, "1.png"), (2, "2.png"), (3, "../secret.png")):
        connection.execute(
            'UPDATE "ProductEmbeddings" SET "ImageUrl" = %s'
            ' FROM "ProductVariants" AS v WHERE v."Id" = "ProductVariantId" AND v."Sku" = %s',
            [path, f"sku-{number}"],
        )


@pytest.fixture(scope="module")
def site(shop: Database, folder: Path) -> Iterator[str]:
    with scan_server(shop, image_root=folder, rate_limit=0, byte_limit=0) as url:
        yield url


@pytest.fixture(scope="module")
def ann(shop: Database) -> str:
    return ApiKeys(shop).create("ann", "")[1]


@pytest.fixture(scope="module")
def bob(shop: Database) -> str:
    return ApiKeys(shop).create("bob", "")[1]


@pytest.fixture(scope="module")
def admin(shop: Database) -> str:
    return ApiKeys(shop).create(None, "")[1]


def id_of(shop: Database, number: int) -> str:
    found = rows(shop, f'SELECT "Id" FROM "ProductVariants" WHERE "Sku" = \'sku-{number}\'')
    return str(found[0][0])


def test_an_owner_sees_counts_of_own_products_only(site: str, ann: str, bob: str) -> None:
    anns = send(f"{site}/catalogue/state", key=ann).json
    bobs = send(f"{site}/catalogue/state", key=bob).json
    assert (anns["products"], anns["embedded"], anns["image"]) == (ANNS, ANNS, ANNS - 1)
    assert [(f["kind"], f["products"]) for f in anns["failures"]] == [("http_404", 1)]
    assert "6.png" in anns["failures"][0]["example"]
    assert (bobs["products"], bobs["embedded"], bobs["image"]) == (BOBS, BOBS, 0)
    assert (bobs["failures"], bobs["due"]) == ([], 0)


def test_an_admin_sees_counts_of_all(site: str, admin: str) -> None:
    assert send(f"{site}/catalogue/state", key=admin).json["products"] == ANNS + BOBS


def test_a_new_product_is_due(database: Database) -> None:
    fill(database, BOBS, first=11, owner="bob")
    key = ApiKeys(database).create("eve", "")[1]
    with scan_server(database) as url:
        assert send(f"{url}/catalogue/state", key=key).json["due"] == 0
    fill(database, 2, first=31, owner="eve")
    with scan_server(database) as url:
        state = send(f"{url}/catalogue/state", key=key).json
        assert (state["products"], state["embedded"], state["due"]) == (2, 0, 2)


def test_the_map_shows_own_products_only(site: str, shop: Database, ann: str, bob: str) -> None:
    drawn = send(f"{site}/catalogue/map", key=ann).json
    assert {p["id"] for p in drawn["products"]} == {id_of(shop, n) for n in range(1, ANNS)}
    assert drawn["count"] == ANNS - 1
    assert 0 < drawn["explained"] <= 1
    assert send(f"{site}/catalogue/map", key=bob).json["products"] == []


def test_a_scan_is_placed_among_its_matches(site: str, shop: Database, ann: str) -> None:
    answer = scan(site, key=ann, imageBase64=photo(40), threshold=-1).json
    places = send(f"{site}/catalogue/map/places?scanId={answer['scanId']}", key=ann).json
    drawn = send(f"{site}/catalogue/map", key=ann).json
    assert places["version"] == drawn["version"]
    on_map = {p["id"]: (p["x"], p["y"]) for p in drawn["products"]}
    assert {p["id"]: (p["x"], p["y"]) for p in places["products"]} == on_map
    photo_at = (places["photo"]["x"], places["photo"]["y"])
    distance = {id_: abs(complex(*photo_at) - complex(*at)) for id_, at in on_map.items()}
    assert min(distance, key=lambda id_: distance[id_]) == id_of(shop, 2)


def test_words_alone_have_no_photo_on_the_map(site: str, ann: str) -> None:
    answer = scan(site, key=ann, textQuery="Product 3", threshold=-1).json
    places = send(f"{site}/catalogue/map/places?scanId={answer['scanId']}", key=ann).json
    assert places["photo"] is None
    assert len(places["products"]) == ANNS - 1


def test_a_scan_of_somebody_else_is_not_placed(site: str, ann: str, bob: str) -> None:
    answer = scan(site, key=ann, textQuery="Product 3").json
    refused = send(f"{site}/catalogue/map/places?scanId={answer['scanId']}", key=bob)
    assert problem(refused) == (404, "scan_unknown")


def test_a_picture_of_the_folder_is_shown_small(site: str, shop: Database, ann: str) -> None:
    answer = send(f"{site}/catalogue/picture/{id_of(shop, 1)}", key=ann)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(BytesIO(answer.content)).size == (320, 160)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(2, "picture_unusable"), (3, "picture_unusable"), (4, "picture_unknown")],
    ids=["not a picture", "out of the folder", "on the web"],
)
def test_what_is_no_picture_of_the_folder_is_not_shown(
    site: str, shop: Database, ann: str, number: int, kind: str
) -> None:
    assert problem(send(f"{site}/catalogue/picture/{id_of(shop, number)}", key=ann)) == (404, kind)


def test_a_picture_of_another_owner_is_not_shown(site: str, shop: Database, bob: str) -> None:
    answer = send(f"{site}/catalogue/picture/{id_of(shop, 1)}", key=bob)
    assert problem(answer) == (404, "picture_unknown")


@pytest.mark.parametrize("id_", ["nothing", "%00", "..%2f1.png", "1" * 300])
def test_an_id_that_makes_no_sense_is_refused(site: str, ann: str, id_: str) -> None:
    assert send(f"{site}/catalogue/picture/{id_}", key=ann).status in {404, 422}


@pytest.mark.parametrize("path", ["state", "map", "map/places?scanId=x", "picture/x"])
def test_nothing_of_the_catalogue_is_told_without_a_key(site: str, ann: str, path: str) -> None:
    del ann
    assert problem(send(f"{site}/catalogue/{path}"))[0] == 401


def test_the_page_comes_without_a_key_and_may_run_its_own_scripts_only(site: str) -> None:
    answer = send(f"{site}/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert b"<script type=" in answer.content
    assert b"style=" not in answer.content
    assert b"http://" not in answer.content
    assert b"https://" not in answer.content


def test_a_file_of_the_page_is_sent_again_only_when_it_changed(site: str) -> None:
    first = send(f"{site}/page/app.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = send(f"{site}/page/app.js", If_None_Match=first.headers["etag"])
    assert (again.status, again.content) == (304, b"")


def test_before_there_are_products_the_page_is_told_so(database: Database) -> None:
    with scan_server(database) as url:
        state = send(f"{url}/catalogue/state").json
        assert (state["products"], state["due"]) == (0, 0)
        drawn = send(f"{url}/catalogue/map").json
        assert (drawn["products"], drawn["explained"]) == ([], 0)


def test_variants_are_those_of_the_product_that_the_caller_may_see(database: Database) -> None:
    fill(database, ANNS, owner="ann")
    fill(database, BOBS, first=11, owner="bob")

    def join_ann_and_bob(connection: Connection) -> None:
        connection.execute(
            """UPDATE "ProductVariants" SET "ProductId" = %s, "Options" = '{"Size": "M"}'"""
            """ WHERE "Sku" IN ('sku-1', 'sku-2', 'sku-11')""",
            [PRODUCT],
        )

    database.run(join_ann_and_bob)
    key = ApiKeys(database).create("ann", "")[1]
    with scan_server(database, currency="EUR") as url:
        path = f"{url}/catalogue/variants?productId={PRODUCT}"
        seen = send(path, key=key).json
        everything = send(f"{path}&productId=no-uuid", key=key).json
    assert seen["currency"] == "EUR"
    (variants,) = seen["products"].values()
    assert [(one["sku"], one["options"]) for one in variants] == [
        ("sku-1", {"Size": "M"}),
        ("sku-2", {"Size": "M"}),
    ]
    assert everything["products"] == {}
