"""Access to the scan server: keys, owners, rate limits, browsers; and which feedback is taken."""

import hashlib
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shelfsight.postgres.connection import Database
from shelfsight.storage.api_keys import ApiKeys
from tests.integration.scan_server import (
    FEEDBACK,
    SCAN,
    photo,
    prepared,
    problem,
    scan,
    scan_form,
    scan_server,
    send,
    skus,
)
from tests.shop import backfill_all, fill, rows

EACH = 6
"""Ann's products are sku-1 to sku-6, Bob's sku-7 to sku-12."""

ANNS = {f"sku-{number}" for number in range(1, EACH + 1)}


@pytest.fixture(scope="module")
def shop(server: str) -> Iterator[Database]:
    with prepared(server, "scan_access") as database:
        fill(database, EACH, owner="ann")
        fill(database, EACH, first=EACH + 1, owner="bob", pictures=True)
        backfill_all(database)
        yield database


@pytest.fixture(scope="module")
def site(shop: Database) -> Iterator[str]:
    with scan_server(shop, rate_limit=0, byte_limit=0) as url:
        yield url


@pytest.fixture(scope="module")
def keys(shop: Database) -> ApiKeys:
    return ApiKeys(shop)


@pytest.fixture(scope="module")
def ann(keys: ApiKeys) -> str:
    return keys.create("ann", "phone")[1]


@pytest.fixture(scope="module")
def bob(keys: ApiKeys) -> str:
    return keys.create("bob", "")[1]


@pytest.fixture(scope="module")
def admin(keys: ApiKeys) -> str:
    return keys.create(None, "")[1]


def ids(database: Database, owner: str) -> list[str]:
    query = 'SELECT "Id"::text, "UserId" FROM "ProductVariants" ORDER BY "Price"'
    return [id_ for id_, user in rows(database, query) if user == owner]


def test_without_any_key_this_machine_may_ask_and_the_first_key_ends_that(
    database: Database,
) -> None:
    with scan_server(database) as url:
        assert scan(url, textQuery="a").status == 200
        _, secret = ApiKeys(database).create("ann", "")
        assert problem(scan(url, textQuery="a")) == (401, "key_missing")
        assert scan(url, textQuery="a", key=secret).status == 200


def test_revoking_the_last_key_does_not_open_the_door_again(database: Database) -> None:
    keys = ApiKeys(database)
    key, secret = keys.create("ann", "")
    with scan_server(database) as url:
        assert scan(url, textQuery="a", key=secret).status == 200
        keys.revoke(key.id)
        assert problem(scan(url, textQuery="a", key=secret)) == (401, "key_refused")
        assert problem(scan(url, textQuery="a")) == (401, "key_missing")


@pytest.mark.parametrize("path", [SCAN, FEEDBACK, "/products/x/similar", "/metrics"])
def test_every_endpoint_with_products_or_counts_asks_for_a_key(
    site: str, ann: str, path: str
) -> None:
    body = {} if path in (SCAN, FEEDBACK) else None
    assert problem(send(site + path, body)) == (401, "key_missing")
    answer = send(site + path, body, key=ann[:-1] + ("A" if ann[-1] != "A" else "B"))
    assert problem(answer) == (401, "key_refused")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_no_key_is_stored_as_it_is(shop: Database, keys: ApiKeys) -> None:
    _, secret = keys.create("ann", "till")
    stored = rows(shop, 'SELECT t::text FROM shelfsight."ApiKeys" AS t')
    _, public, private = secret.split("_", 2)
    assert any(public in row for (row,) in stored)
    assert not any(private in row for (row,) in stored)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    assert any(digest in row for (row,) in stored)


@pytest.mark.parametrize("wrong", ["", " ", "x", "shelf_000000000000_" + "a" * 43, "é", "a b"])
def test_what_is_no_key_opens_nothing(site: str, ann: str, wrong: str) -> None:
    del ann
    answer = send(site + SCAN, {"textQuery": "a"}, Authorization=f"Bearer {wrong}")
    assert problem(answer)[0] == 401


def test_health_needs_no_key(site: str, ann: str) -> None:
    del ann
    assert send(site + "/health").status == 200
    assert send(site + "/ready").status == 200


def test_metrics_are_for_an_admin(site: str, ann: str, admin: str) -> None:
    assert problem(send(site + "/metrics", key=ann)) == (403, "admin_only")
    assert send(site + "/metrics", key=admin).status == 200


def test_an_admin_sees_all_and_may_choose_an_owner(site: str, admin: str) -> None:
    everything = scan(site, textQuery="Product 1", threshold=-1, limit=100, key=admin)
    assert len(skus(everything)) == 2 * EACH
    chosen = scan(
        site,
        textQuery="Product 1",
        threshold=-1,
        limit=100,
        key=admin,
        filters={"owner": "ann"},
    )
    assert set(skus(chosen)) == ANNS


def test_an_owner_may_name_none_but_themselves(site: str, ann: str) -> None:
    asked = scan(site, textQuery="a", key=ann, filters={"owner": "bob"})
    assert problem(asked) == (403, "foreign_owner")
    assert scan(site, textQuery="a", key=ann, filters={"owner": "ann"}).status == 200


def test_another_owners_product_has_no_similar_ones(
    site: str, shop: Database, ann: str, admin: str
) -> None:
    theirs, own = ids(shop, "bob")[0], ids(shop, "ann")[0]
    path = f"{site}/products/{theirs}/similar?threshold=-1&limit=100"
    assert problem(send(path, key=ann)) == (404, "product_unknown")
    assert len(skus(send(path, key=admin))) == 2 * EACH - 1
    mine = send(f"{site}/products/{own}/similar?threshold=-1&limit=100", key=ann)
    assert set(skus(mine)) == ANNS - {"sku-1"}


numbers = st.integers(1, 2 * EACH)
some_filters = st.fixed_dictionaries(
    {},
    optional={
        "category": st.sampled_from(["cups", "' OR true --"]),
        "options": st.dictionaries(st.text("ab'\"{}", max_size=3), st.text(max_size=3), max_size=2),
        "minPrice": st.integers(0, 20),
        "maxPrice": st.integers(0, 20),
        "skus": st.lists(numbers.map(lambda number: f"sku-{number}"), max_size=12),
        "updatedSince": st.sampled_from(["2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]),
        "owner": st.sampled_from(["ann", "bob", "", "' OR true --"]),
    },
)
some_bodies = st.fixed_dictionaries(
    {"threshold": st.sampled_from([-1, 0, 0.5]), "limit": st.integers(1, 100)},
    optional={
        "textQuery": st.one_of(
            numbers.map(lambda number: f"sku-{number}"),
            numbers.map(lambda number: f"Product {number}"),
            st.text(max_size=20),
        ),
        "imageBase64": numbers.map(photo),
        "filters": some_filters,
        "groupBy": st.sampled_from(["variant", "product"]),
        "weights": st.fixed_dictionaries({"image": st.floats(0, 9), "text": st.floats(0, 9)}),
        "combineImages": st.booleans(),
        "owner": st.just("bob"),
        "userId": st.just("bob"),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=some_bodies, form=st.booleans())
def test_whatever_is_asked_another_owners_product_is_never_in_an_answer(
    site: str, ann: str, bob: str, body: dict[str, object], form: bool
) -> None:
    del bob
    if form:
        fields = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in body.items()
        }
        answer = scan_form(site, [], key=ann, **fields)
    else:
        answer = scan(site, key=ann, **body)
    assert answer.status < 500
    if answer.status == 200:
        told = [answer.json, *answer.json["results"]]
        assert {match["sku"] for part in told for match in part["matches"]} <= ANNS


def test_a_caller_who_asks_too_often_is_told_when_to_come_again(shop: Database, ann: str) -> None:
    with scan_server(shop, rate_limit=3) as url:
        for _ in range(3):
            assert scan(url, textQuery="a", key=ann).status == 200
        answer = scan(url, textQuery="a", key=ann)
        assert problem(answer) == (429, "limit_reached")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        other = ApiKeys(shop).create("ann", "")[1]
        assert scan(url, textQuery="a", key=other).status == 200


def test_a_caller_who_sends_too_much_is_told_when_to_come_again(shop: Database, ann: str) -> None:
    with scan_server(shop, byte_limit=1500) as url:
        assert scan(url, textQuery="a" * 1000, key=ann).status == 200
        answer = scan(url, textQuery="a" * 1000, key=ann)
        assert problem(answer) == (429, "limit_reached")
        assert "bytes a minute" in answer.json["detail"]
        assert scan(url, textQuery="a", key=ann).status == 200


def test_pages_of_other_sites_cannot_use_the_browser_of_someone_here(database: Database) -> None:
    with scan_server(database) as url:
        ask = {"textQuery": "a"}
        foreign = send(url + SCAN, ask, Origin="https://evil.test")
        assert problem(foreign) == (403, "foreign_origin")
        assert problem(send(url + SCAN, ask, Origin="null")) == (403, "foreign_origin")
        assert problem(send(url + SCAN, ask, Host="evil.test")) == (403, "foreign_host")
        assert send(url + SCAN, ask, Origin=url).status == 200
        assert send(url + SCAN, ask, Host="localhost").status == 200


def test_insecure_serves_by_any_name_until_there_is_a_key(database: Database) -> None:
    with scan_server(database, open_to_all=True) as url:
        assert send(url + SCAN, {"textQuery": "a"}, Host="shop.test").status == 200
        ApiKeys(database).create("ann", "")
        assert problem(scan(url, textQuery="a")) == (401, "key_missing")


def test_only_the_sites_that_were_named_may_read_answers_from_a_browser(shop: Database) -> None:
    allowed = "access-control-allow-origin"
    with scan_server(shop, cors_origins="https://shop.test") as url:
        answer = send(url + "/health", Origin="https://shop.test")
        assert answer.headers[allowed] == "https://shop.test"
        assert allowed not in send(url + "/health", Origin="https://evil.test").headers
    with scan_server(shop) as url:
        assert allowed not in send(url + "/health", Origin="https://shop.test").headers


def test_feedback_is_kept_with_the_scores_that_were_shown(
    site: str, shop: Database, bob: str
) -> None:
    shown = scan(site, imageBase64=photo(8), textQuery="Product 9", threshold=-1, key=bob).json
    second = shown["matches"][1]
    said = {"scanId": shown["scanId"], "productVariantId": second["ProductVariantId"]}
    for verdict in ("right", "wrong"):
        answer = send(site + FEEDBACK, said | {"verdict": verdict}, key=bob)
        assert answer.status == 201
        assert answer.json.items() >= (said | {"verdict": verdict}).items()
    none = {"scanId": shown["scanId"], "verdict": "none"}
    assert send(site + FEEDBACK, none, key=bob).status == 201
    kept = rows(
        shop,
        'SELECT "Verdict", "ProductVariantId", "UserId", "Rank", "Score", "ImageScore",'
        ' "TextScore", "Confidence", "QueryKind", jsonb_array_length("Shown")'
        f' FROM shelfsight."ScanFeedback" WHERE "ScanId" = \'{shown["scanId"]}\''
        ' ORDER BY "Verdict" DESC',
    )
    wrong, none_right = kept
    assert wrong[:4] == ("wrong", second["ProductVariantId"], "bob", 2)
    assert wrong[4] == pytest.approx(second["score"], abs=1e-4)
    assert (wrong[5] is None) == (second["imageSimilarity"] is None)
    assert wrong[6] == pytest.approx(second["textSimilarity"], abs=1e-4)
    assert wrong[7:] == (second["confidence"], "combined", EACH)
    assert none_right[:4] == ("none", None, "bob", 1)


def test_feedback_about_what_was_not_shown_is_refused(
    site: str, shop: Database, ann: str, bob: str, admin: str
) -> None:
    shown = scan(site, textQuery="Product 8", key=bob).json
    said = {"scanId": shown["scanId"], "productVariantId": ids(shop, "ann")[0], "verdict": "right"}
    assert problem(send(site + FEEDBACK, said, key=bob)) == (422, "not_a_match")
    none = {"scanId": shown["scanId"], "verdict": "none"}
    assert problem(send(site + FEEDBACK, none, key=ann)) == (404, "scan_unknown")
    assert problem(send(site + FEEDBACK, none | {"scanId": "x"}, key=bob)) == (404, "scan_unknown")
    assert send(site + FEEDBACK, none, key=admin).status == 201
    for odd in ({}, none | {"verdict": "maybe"}, none | {"productVariantId": "x"}):
        assert problem(send(site + FEEDBACK, odd, key=bob))[0] == 422
    assert problem(send(site + FEEDBACK, b"{", key=bob)) == (400, "bad_json")


def test_feedback_on_any_of_several_photos_matches_is_kept(site: str, bob: str) -> None:
    photos = [{"base64": photo(8)}, {"base64": photo(9)}]
    shown = scan(site, images=photos, limit=1, key=bob).json
    for result in shown["results"]:
        said = {
            "scanId": shown["scanId"],
            "verdict": "right",
            "productVariantId": result["matches"][0]["ProductVariantId"],
        }
        assert send(site + FEEDBACK, said, key=bob).status == 201
