"""Responses of the scan server: several results become one, in the right format."""

from functools import partial
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.scan.matching import Action, Candidate, Match, ScanResult
from shelfsight.serving.scan_api.addresses import AddressFormat
from shelfsight.serving.scan_api.responses import (
    combine_results,
    match_responses,
    matches_response,
    merge_matches,
)


def match(id_: str, score: float, product_id: str | None = None) -> Match:
    product = Candidate(id=id_, product_id=product_id)
    return Match(product=product, score=score, confidence="medium")


def found(*matches: Match, action: Action = "show_multiple_candidates") -> ScanResult:
    return ScanResult(matches=matches, confidence="medium", action=action)


def test_the_best_over_all_photos_has_each_product_once_by_its_best_score() -> None:
    results = [found(match("a", 0.5), match("b", 0.4)), found(match("b", 0.9))]
    assert [(m.product.id, m.score) for m in merge_matches(results, "variant")] == [
        ("b", 0.9),
        ("a", 0.5),
    ]
    assert [m.product.id for m in combine_results(results, 1, "variant").matches] == ["b"]


def test_variants_of_one_product_count_as_one_where_products_are_asked_for() -> None:
    results = [found(match("a", 0.5, "p")), found(match("b", 0.9, "p"), match("c", 0.1))]
    assert [m.product.id for m in merge_matches(results, "product")] == ["b", "c"]
    assert [m.product.id for m in merge_matches(results, "variant")] == ["b", "a", "c"]


def test_one_match_is_recommended_only_where_all_photos_mean_that_one() -> None:
    single = partial(found, action="show_single_match")
    agreed = combine_results(
        [single(match("a", 0.9)), single(match("a", 0.8)), found()], 5, "variant"
    )
    assert agreed.action == "show_single_match"
    divided = combine_results([single(match("a", 0.9)), single(match("b", 0.8))], 5, "variant")
    assert divided.action == "show_multiple_candidates"
    unsure = combine_results([single(match("a", 0.9)), found(match("a", 0.8))], 5, "variant")
    assert unsure.action == "show_multiple_candidates"
    assert combine_results([found(), found()], 5, "variant").action == "fallback_to_manual"
    assert combine_results([], 5, "variant").action == "fallback_to_manual"


def test_relative_addresses_of_pictures_come_whole_where_there_is_a_base() -> None:
    addresses = ["mugs/a.jpg", "https://img.test/a.jpg", None]
    products = [Candidate(id="a", image_url=address) for address in addresses]
    result = found(*(Match(product=one, score=0.5, confidence="low") for one in products))
    based = AddressFormat("https://cdn.test/")
    shown = [match.image_url for match in matches_response(result, based).matches]
    assert shown == ["https://cdn.test/mugs/a.jpg", *addresses[1:]]
    plain = matches_response(result, AddressFormat()).matches
    assert [match.image_url for match in plain] == addresses


@pytest.mark.parametrize(
    ("product_url", "page"),
    [
        (None, None),
        ("https://s.test/p/{sku}", "https://s.test/p/a%2Fb%20%7Bid%7D"),
        ("https://s.test/?v={id}&s={sku}", "https://s.test/?v=gid%3A%2F%2F1&s=a%2Fb%20%7Bid%7D"),
        ("https://s.test/{productId}", None),
        ("https://s.test/p/{handle}/", "https://s.test/p/sale/mug%20%7Bsku%7D/"),
    ],
)
def test_the_page_of_a_product_has_its_own_parts(product_url: str | None, page: str | None) -> None:
    product = Candidate(id="gid://1", sku="a/b {id}", link="/sale/mug {sku}")
    result = found(Match(product=product, score=0.5, confidence="low"))
    (shown,) = matches_response(result, AddressFormat(None, product_url)).matches
    assert shown.product_url == page


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ("https://s.test/mug?v=1", "https://s.test/mug?v=1"),
        ("HTTP://s.test/mug", "HTTP://s.test/mug"),
        *[(text, None) for text in ("mug", "javascript:alert(1)", "//s.test/mug", "https:", "")],
        *[(text, None) for text in ("data:text/html,x", "http://[", " ", None)],
    ],
)
def test_a_link_of_the_product_is_its_page_if_it_is_an_address(
    link: str | None, page: str | None
) -> None:
    product = Candidate(id="1", sku="mug", link=link)
    assert AddressFormat().page(product) == page
    by_handle = AddressFormat(product_url="https://other.test/p/{handle}")
    assert (by_handle.page(product) or "").startswith(page or "https://other.test/p/" * bool(link))
    by_sku = AddressFormat(product_url="https://other.test/p/{sku}")
    assert by_sku.page(product) == "https://other.test/p/mug"


def test_a_similarity_that_was_not_compared_is_null() -> None:
    (answer,) = match_responses([match("a", 0.123456)], AddressFormat())
    told = answer.model_dump(by_alias=True)
    assert (told["imageSimilarity"], told["textSimilarity"], told["score"]) == (None, None, 0.1235)
    assert told["ProductVariantId"] == "a"


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(["{sku}", "{id}", "{productId}"]),
)
def test_the_address_of_a_product_is_one_part_of_the_path(value: str, name: str) -> None:
    product = Candidate(id=value, product_id=value, sku=value)
    result = found(Match(product=product, score=0.5, confidence="low"))
    addresses = AddressFormat(product_url=f"https://shop.test/p/{name}/view")
    address = matches_response(result, addresses).matches[0].product_url
    if not value:
        assert address is None
    else:
        assert address is not None
        *_, host, folder, part, end = address.split("/")
        assert (host, folder, unquote(part), end) == ("shop.test", "p", value, "view")
