"""Photos that people confirm find their product again, for those who may, until taken back."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from shelfsight.cli.main import shelfsight
from shelfsight.errors import SelectionError
from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.postgres.connection import Database
from shelfsight.records import ModelPair, Vector
from shelfsight.scan.matching import Filters, ScanOptions, ScanQuery, ScanResult
from shelfsight.scan.scanner import Scanner
from shelfsight.settings import Settings
from shelfsight.storage.api_keys import ApiKeys
from shelfsight.storage.calibrations import CalibrationStore
from shelfsight.storage.prune import prune
from shelfsight.storage.search.confirmed_photos import (
    MOST,
    Choice,
    ConfirmedPhoto,
    ConfirmedPhotos,
    ConfirmedScan,
)
from shelfsight.testing import MODELS, HashEmbedder, direction
from shelfsight.wiring.confirming import confirm
from shelfsight.wiring.scanning import make_scanner
from tests.integration.scan_server import FEEDBACK, photo, prepared, scan, scan_server, send, until
from tests.shop import backfill_all, fill, picture

KNOWN = Calibration(
    evidence={"image": Evidence(sharp=0.05, broad=0.07, clear=0.5, absent=1, absent_slope=4)},
    source="made up",
)


def product(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012x}"


@pytest.fixture
def shop(database: Database) -> Database:
    fill(database, 6, owner="ann", pictures=True)
    backfill_all(database)
    CalibrationStore(database).save(MODELS, KNOWN)
    return database


@pytest.fixture(scope="module")
def served(server: str) -> Iterator[Database]:
    with prepared(server, "confirmed_photos") as database:
        fill(database, 6, owner="ann", pictures=True)
        backfill_all(database)
        CalibrationStore(database).save(MODELS, KNOWN)
        yield database


def stored(database: Database) -> list[ConfirmedPhoto]:
    return ConfirmedPhotos(database).find(Choice(), 1000)


def add(
    database: Database, number: int, *vectors: Vector, scan_id: str = "s", owner: str | None = None
) -> int:
    scan = ConfirmedScan(
        id=scan_id,
        owner=owner,
        product=product(number),
        model=MODELS.image,
        vectors=vectors,
        resembles=True,
    )
    return ConfirmedPhotos(database).add(scan)


def some(name: str) -> Vector:
    return direction(name.encode(), 768)


def scanner(database: Database, **settings: object) -> Scanner:
    return make_scanner(Settings.model_construct(**settings), database, HashEmbedder())


def found(database: Database, shade: int, **settings: object) -> ScanResult:
    query = ScanQuery(photos=([picture(shade)],))
    return scanner(database, **settings).scan(query, ScanOptions(filters=Filters(owner="ann")))


def test_a_confirmed_photo_finds_its_product_from_then_on(shop: Database) -> None:
    before = found(shop, 90)
    assert "confirmed_photo" not in {kind for one in before.matches for kind in one.because}
    far = before.matches[-1].product.id
    assert confirm(shop, MODELS, before, far, "ann") == 1
    (first, *_) = found(shop, 90).matches
    assert (first.product.id, first.because[0]) == (far, "confirmed_photo")
    assert first.probability > before.matches[-1].probability
    off = found(shop, 90, scan_confirmed=False)
    assert [one.product.id for one in off.matches] == [one.product.id for one in before.matches]


def test_photos_count_for_the_model_that_has_seen_them(shop: Database) -> None:
    before = found(shop, 90)
    others = ModelPair(image="another@1", text=MODELS.text)
    confirm(shop, others, before, before.matches[-1].product.id, "ann")
    assert not any(one.product.confirmed for one in found(shop, 90).matches)


def test_a_product_that_is_gone_or_anothers_is_refused(shop: Database) -> None:
    result = found(shop, 90)
    for id_, owner in ((product(99), None), ("no id", None), (product(1), "bob")):
        with pytest.raises(SelectionError, match="no product"):
            confirm(shop, MODELS, result, id_, owner)
    assert add(shop, 99, some("a")) == 0
    assert stored(shop) == []


def test_a_product_keeps_its_newest_photos(shop: Database) -> None:
    for n in range(MOST + 3):
        add(shop, 1, some(str(n)), scan_id=str(n))
    add(shop, 1, some("0"), owner="ann", scan_id="another owner")
    add(shop, 2, some("0"), scan_id="another product")
    kept = [one.scan_id for one in stored(shop)]
    assert kept == ["another product", "another owner", *map(str, range(MOST + 2, 2, -1))]


def test_the_same_photo_counts_once(shop: Database) -> None:
    for scan_id in ("first", "again"):
        assert add(shop, 1, some("a"), scan_id=scan_id) == 1
    assert [one.scan_id for one in stored(shop)] == ["again"]


def test_many_photos_are_searched_by_their_index(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(12):
        add(shop, n % 4 + 1, some(str(n)), scan_id=str(n))
    before = found(shop, 90)
    confirm(shop, MODELS, before, product(5), None)
    exact = found(shop, 90)
    monkeypatch.setattr("shelfsight.storage.search.confirmed_photos.EXACT_CONFIRMED", 5)
    by_index = found(shop, 90)
    assert [one.product.id for one in by_index.matches] == [one.product.id for one in exact.matches]
    assert by_index.matches[0].product.id == product(5)


def test_photos_go_with_their_product(shop: Database) -> None:
    add(shop, 1, some("a"), scan_id="a")
    add(shop, 2, some("b"), scan_id="b")
    shop.run(lambda c: c.execute('DELETE FROM "ProductVariants" WHERE "Sku" = \'sku-1\''))
    assert product(1) not in {one.product.id for one in found(shop, 90).matches}
    assert prune(shop, dry_run=True).confirmed_photos == 1
    assert prune(shop).confirmed_photos == 1
    assert [one.product for one in stored(shop)] == [product(2)]


def test_the_command_lists_photos_and_takes_them_back(shop: Database) -> None:
    def feedback(*arguments: str) -> str:
        command = ["feedback", *arguments, "--database-url", shop.url]
        done = CliRunner().invoke(shelfsight, command)
        assert done.exit_code == 0, done.output
        return done.output

    assert feedback("list") == "No photo was confirmed.\n"
    for number in (1, 2, 3):
        add(shop, number, some("a"), scan_id=str(number), owner="ann" if number == 3 else None)
    assert "sku-2" in feedback("list")
    shown = [json.loads(line) for line in feedback("list", "--json").splitlines()]
    assert [one["sku"] for one in shown] == ["sku-3", "sku-2", "sku-1"]
    assert shown[0]["owner"] == "ann"
    assert feedback("remove", "--all", "--dry-run", "--json") == (
        '{"confirmed_photos": 3, "dry_run": true}\n'
    )
    assert feedback("remove", str(shown[0]["id"])) == "1 confirmed photo taken back.\n"
    assert feedback("remove", "--owner", "ann") == "0 confirmed photos taken back.\n"
    assert feedback("remove", "--product", product(2)) == "1 confirmed photo taken back.\n"
    assert [one.product for one in stored(shop)] == [product(1)]
    refused = CliRunner().invoke(shelfsight, ["feedback", "remove"])
    assert (refused.exit_code, "--all" in refused.output) == (2, True)


def test_right_makes_a_reference_and_wrong_takes_it_back(served: Database) -> None:
    with scan_server(served) as url:
        shown = scan(url, imageBase64=photo(70)).json
        far = shown["matches"][-1]["ProductVariantId"]
        said = {"scanId": shown["scanId"], "productVariantId": far, "verdict": "right"}
        answer = send(url + FEEDBACK, said)
        assert (answer.status, answer.json) == (
            201,
            said | {"confirmedPhotos": 1, "whyNotConfirmed": None},
        )

        def first() -> tuple[str, str]:
            match = scan(url, imageBase64=photo(70)).json["matches"][0]
            return match["ProductVariantId"], match["because"][0]

        until(lambda: first() == (far, "confirmed_photo"))
        taken_back = send(url + FEEDBACK, said | {"verdict": "wrong"}).json
        assert (taken_back["confirmedPhotos"], taken_back["whyNotConfirmed"]) == (0, None)
        assert stored(served) == []


def test_each_photo_of_a_scan_is_kept_for_the_product_it_showed(served: Database) -> None:
    with scan_server(served) as url:
        images = [{"base64": photo(1)}, {"base64": photo(2)}]
        shown = scan(url, images=images, limit=1).json
        for result in shown["results"]:
            (match,) = result["matches"]
            said = {"scanId": shown["scanId"], "productVariantId": match["ProductVariantId"]}
            assert send(url + FEEDBACK, said | {"verdict": "right"}).json["confirmedPhotos"] == 1
        ConfirmedPhotos(served).remove(Choice())


@pytest.mark.parametrize(
    ("why", "query", "open_to_all", "settings"),
    [
        ("no_photo", {"textQuery": "Product 3"}, False, {}),
        ("off", {"imageBase64": photo(3)}, False, {"scan_confirmed": False}),
        ("not_allowed", {"imageBase64": photo(3)}, True, {}),
    ],
)
def test_the_answer_says_why_no_photo_was_kept(
    served: Database, why: str, query: dict[str, str], open_to_all: bool, settings: dict[str, bool]
) -> None:
    with scan_server(
        served, open_to_all=open_to_all, rate_limit=0, byte_limit=0, **settings
    ) as url:
        shown = scan(url, threshold=-1, **query).json
        said = {
            "scanId": shown["scanId"],
            "productVariantId": shown["matches"][0]["ProductVariantId"],
            "verdict": "right",
        }
        answer = send(url + FEEDBACK, said)
        assert answer.status == 201
        assert (answer.json["confirmedPhotos"], answer.json["whyNotConfirmed"]) == (0, why)
        assert stored(served) == []


def test_a_key_that_confirms_nothing_gives_feedback_all_the_same(shop: Database) -> None:
    keys = ApiKeys(shop)
    _, shopper = keys.create("ann", "app", may_confirm=False)
    _, keeper = keys.create("ann", "till")
    with scan_server(shop, rate_limit=0, byte_limit=0) as url:
        for key, kept in ((shopper, (0, "not_allowed")), (keeper, (1, None))):
            shown = scan(url, imageBase64=photo(3), threshold=-1, key=key).json
            id_ = shown["matches"][0]["ProductVariantId"]
            said = {"scanId": shown["scanId"], "productVariantId": id_, "verdict": "right"}
            answer = send(url + FEEDBACK, said, key=key).json
            assert (answer["confirmedPhotos"], answer["whyNotConfirmed"]) == kept
    assert [one.owner for one in stored(shop)] == ["ann"]
