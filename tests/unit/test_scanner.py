"""Late fusion: products are ranked by their image score and their text score."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.errors import ModelMismatchError
from shelfsight.fusion import WeightedMean
from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.models.color_histogram import color_histograms
from shelfsight.records import EmbeddedProduct, ModelPair, Pixels, Product, Weights
from shelfsight.scan.matching import Candidate, Filters, Match, ScanOptions, ScanQuery
from shelfsight.scan.ranking import found, rank
from shelfsight.scan.scanner import Scanner
from shelfsight.testing import MODELS, HashEmbedder, MemorySearch, MemoryStore, direction

WEIGHTS = Weights()
FUSION = WeightedMean(WEIGHTS)
KNOWN = Calibration(
    evidence={
        "image": Evidence(sharp=0.05, broad=0.05, clear=1, absent=4, absent_slope=8),
        "text": Evidence(sharp=0.1, broad=0.1, clear=1),
    },
    source="made up",
)
ALL = ScanOptions(threshold=-1)


def scanner(store: MemoryStore, embedder: HashEmbedder | None = None) -> Scanner:
    return Scanner(embedder or HashEmbedder(), MemorySearch(store), FUSION, WEIGHTS)


def photo(shade: int) -> list[Pixels]:
    return [np.full((8, 8, 3), shade, np.uint8)]


def store_of(*rows: EmbeddedProduct) -> MemoryStore:
    store = MemoryStore(FUSION)
    store.save(list(rows), MODELS)
    return store


def product(
    id_: str, *, shade: int | None = None, title: str = "", of: str = ""
) -> EmbeddedProduct:
    """A product that looks like the photo of that shade, and is called so."""
    embedder = HashEmbedder()
    image = text = None
    if shade is not None:
        (image,) = embedder.embed_images(photo(shade))
    if title:
        (text,) = embedder.embed_texts([title])
    return EmbeddedProduct(
        product=Product(id=id_, title=title, product_id=of or None, source_hash="a:b"),
        image=image,
        text=text,
        combined=FUSION.combine(image, text),
        text_used=title,
    )


@pytest.fixture(params=[None, KNOWN], ids=["not calibrated", "calibrated"])
def calibration(request: pytest.FixtureRequest) -> Calibration | None:
    return request.param


def test_the_score_is_the_weighted_mean_of_both_scores() -> None:
    first, second = rank(
        [
            Candidate(id="one", image_score=1.0, text_score=0.2),
            Candidate(id="two", image_score=0.5, text_score=0.6),
        ],
        WEIGHTS,
        None,
    ).matches
    assert first.score == pytest.approx(0.7 * 1.0 + 0.3 * 0.2)
    assert second.score == pytest.approx(0.7 * 0.5 + 0.3 * 0.6)


def test_a_product_without_a_picture_does_not_win_by_lacking_it(
    calibration: Calibration | None,
) -> None:
    photographed = Candidate(id="photographed", image_score=0.5, text_score=0.7)
    others = [Candidate(id=f"other {n}", image_score=0.1, text_score=0.3) for n in range(9)]
    bare = Candidate(id="bare", text_score=0.72)
    matches = rank([photographed, *others, bare], WEIGHTS, calibration).matches
    assert [match.product.id for match in matches[:2]] == ["photographed", "bare"]


def test_a_product_without_a_picture_wins_where_no_picture_is_like_the_photo(
    calibration: Calibration | None,
) -> None:
    others = [Candidate(id=f"other {n}", image_score=0.1, text_score=0.3) for n in range(9)]
    bare = Candidate(id="bare", text_score=0.72)
    assert rank([*others, bare], WEIGHTS, calibration).matches[0].product.id == "bare"


SCORE = st.floats(-1, 1)


@given(
    complete=st.lists(st.tuples(SCORE, SCORE), min_size=1, max_size=20),
    image=st.none() | SCORE,
    text=st.none() | SCORE,
)
def test_a_missing_score_counts_as_one_between_the_lowest_and_the_highest(
    complete: list[tuple[float, float]], image: float | None, text: float | None
) -> None:
    candidates = [
        Candidate(id=str(n), image_score=i, text_score=t) for n, (i, t) in enumerate(complete)
    ]
    bare = Candidate(id="bare", image_score=image, text_score=text)
    scores = {m.product.id: m.score for m in rank([*candidates, bare], WEIGHTS, None).matches}
    for n, (i, t) in enumerate(complete):
        assert scores[str(n)] == pytest.approx(0.7 * i + 0.3 * t)
    for bound, score in ((min, scores["bare"] + 1e-9), (max, scores["bare"] - 1e-9)):
        i = bound(i for i, _ in complete) if image is None else image
        t = bound(t for _, t in complete) if text is None else text
        limit = 0.7 * i + 0.3 * t
        assert (limit <= score) if bound is min else (score <= limit)


def test_a_kind_of_score_that_no_product_has_does_not_count() -> None:
    candidates = [Candidate(id="near", text_score=0.9), Candidate(id="far", text_score=0.2)]
    assert [match.score for match in rank(candidates, WEIGHTS, None).matches] == [0.9, 0.2]


def test_with_an_image_weight_of_zero_a_photo_alone_still_ranks(
    calibration: Calibration | None,
) -> None:
    candidates = [Candidate(id="far", image_score=0.1), Candidate(id="near", image_score=0.9)]
    matches = rank(candidates, Weights(image=0, text=1), calibration).matches
    assert [match.product.id for match in matches] == ["near", "far"]


def test_a_product_with_the_words_beats_one_that_only_means_the_like(
    calibration: Calibration | None,
) -> None:
    candidates = [
        Candidate(id="like", text_score=0.6, word_score=0.0),
        Candidate(id="said", text_score=0.5, word_score=1.0),
    ]
    matches = rank(candidates, WEIGHTS, calibration).matches
    assert [match.product.id for match in matches] == ["said", "like"]


def test_a_sku_or_barcode_wins_and_is_sure(
    calibration: Calibration | None,
) -> None:
    candidates = [
        Candidate(id="near", image_score=1.0, text_score=1.0),
        Candidate(id="coded", text_score=0.0, is_code=True),
    ]
    first, second = rank(candidates, WEIGHTS, calibration).matches
    assert (first.product.id, first.confidence, first.probability) == ("coded", "high", 1.0)
    assert found([first, second]).action == "show_single_match"


@pytest.mark.parametrize(
    ("scores", "confidence", "action"),
    [
        ([0.95, 0.6], "high", "show_single_match"),
        ([0.95, 0.9], "medium", "show_multiple_candidates"),
        ([0.6, 0.59, 0.58], "low", "show_multiple_candidates"),
        ([0.15], "low", "show_multiple_candidates"),
        ([], "low", "fallback_to_manual"),
    ],
)
def test_what_is_shown_follows_from_how_sure_it_is(
    scores: list[float], confidence: str, action: str
) -> None:
    candidates = [Candidate(id=str(score), image_score=score) for score in scores]
    answer = found(*rank(candidates, WEIGHTS, KNOWN))
    assert (answer.confidence, answer.action) == (confidence, action)


def shop_where_some_lack_text(products: int) -> MemoryStore:
    """Every fifth product has no text."""
    page = []
    for number in range(products):
        image = direction(b"image %d" % number, 768)
        text = None if number % 5 == 0 else direction(b"text %d" % number, 1024)
        page.append(
            EmbeddedProduct(
                product=Product(id=f"{number:04}", source_hash="a:b"),
                image=image,
                text=text,
                combined=FUSION.combine(image, text),
            )
        )
    return store_of(*page)


class NoisyPhotos(HashEmbedder):
    """Photos show a product's own image with noise: the shade says which product."""

    def embed_images(self, pictures):
        noise = np.random.default_rng(7)
        images = []
        for pixels in pictures:
            image = direction(b"image %d" % pixels[0, 0, 0], 768)
            noisy = image + 0.06 * noise.standard_normal(768).astype(np.float32)
            images.append(noisy / np.linalg.norm(noisy))
        return images


def test_products_without_text_win_no_more_often_than_their_share() -> None:
    store = shop_where_some_lack_text(200)
    scan = scanner(store, NoisyPhotos())
    wins = 0
    for number, id_ in enumerate(store.rows):
        best = scan.scan(ScanQuery(photos=(photo(number),)), ALL).matches[0]
        assert best.product.id == id_
        wins += store.rows[best.product.id].text is None
    assert wins == 40


def test_photo_and_words_that_fit_half_each_win_as_often_with_text_as_without() -> None:
    """By the combined column a product without text would outrank every complete one."""
    store = shop_where_some_lack_text(200)
    scan = scanner(store, NoisyPhotos())
    for number, id_ in enumerate(store.rows):
        asked = ScanQuery(photos=(photo(number),), text=f"text {number}")
        assert scan.scan(asked, ALL).matches[0].product.id == id_


def test_a_scan_with_other_models_than_those_stored_is_refused() -> None:
    other = HashEmbedder(models=ModelPair(image="other@1", text="other@1"))
    with pytest.raises(ModelMismatchError):
        scanner(shop_where_some_lack_text(5), other).scan(ScanQuery(photos=(photo(1),)), ALL)


def test_a_text_and_a_photo_together_find_what_both_fit() -> None:
    store = store_of(
        product("red", shade=200, title="a red mug"),
        product("green", shade=200, title="a green mug"),
    )
    asked = ScanQuery(photos=(photo(200),), text="a green mug")
    matches = scanner(store).scan(asked, ALL).matches
    assert [match.product.id for match in matches] == ["green", "red"]
    assert matches[0].score == pytest.approx(1, abs=1e-5)


def test_of_several_photos_of_one_thing_the_best_counts() -> None:
    store = store_of(product("one", shade=10), product("two", shade=20))
    asked = ScanQuery(photos=(photo(99), photo(20)))
    best, other = scanner(store).scan(asked, ALL).matches
    assert (best.product.id, other.product.id) == ("two", "one")
    assert best.score == pytest.approx(1, abs=1e-5)


def test_below_the_lowest_threshold_there_is_no_match() -> None:
    store = store_of(product("one", shade=10))
    answer = scanner(store).scan(ScanQuery(photos=(photo(99),)), ScanOptions(threshold=0.9))
    assert answer.matches == ()
    assert answer.action == "fallback_to_manual"


def test_variants_of_one_product_can_be_shown_as_one() -> None:
    store = store_of(
        product("small", shade=10, of="mug"),
        product("large", shade=11, of="mug"),
        product("cap", shade=12),
    )
    options = ScanOptions(threshold=-1, group_by="product")
    matches = scanner(store).scan(ScanQuery(photos=(photo(11),)), options).matches
    assert [match.product.id for match in matches if match.product.product_id == "mug"] == ["large"]
    assert len(matches) == 2


def test_similar_products_are_without_the_product_itself() -> None:
    store = store_of(product("one", shade=10), product("two", shade=10), product("three", shade=30))
    answer = scanner(store).similar("one", ALL)
    assert answer is not None
    assert [match.product.id for match in answer.matches] == ["two", "three"]
    assert scanner(store).similar("none", ALL) is None


def test_a_scan_of_nothing_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="photo or a text"):
        scanner(store_of(product("one", shade=10))).scan(ScanQuery(), ALL)


def test_an_empty_catalogue_is_told_from_one_without_a_match() -> None:
    assert scanner(store_of()).is_empty(Filters())
    assert not scanner(store_of(product("one", shade=10))).is_empty(Filters())


def test_a_match_tells_all_that_its_candidate_did() -> None:
    candidate = Candidate(id="1", product_id="p", title="Mug", sku="m", image_score=0.95)
    (match,) = rank([candidate], WEIGHTS, None).matches
    assert match == Match(product=candidate, score=0.95, confidence="medium")


def test_a_scan_among_no_products_teaches_nothing() -> None:
    lite = ModelPair(image="efficientnet-lite0@1", text=MODELS.text)
    search = MemorySearch(MemoryStore(FUSION))
    empty = Scanner(HashEmbedder(models=lite), search, FUSION, WEIGHTS)
    empty.scan(ScanQuery(photos=(photo(1),)), ALL)
    assert search.scans == {}


COLORFUL = replace(
    KNOWN, evidence={**KNOWN.evidence, "color": Evidence(sharp=0.1, broad=0.1, clear=1)}
)


class ColorfulSearch(MemorySearch):
    """A search in a shop whose calibration has colours."""

    def calibration(self) -> Calibration:
        return COLORFUL


def painted(*color: int) -> list[Pixels]:
    return [np.full((8, 8, 3), color, np.uint8)]


def colored(id_: str, *color: int) -> EmbeddedProduct:
    """A product whose picture looks like that of all others, but for its colour."""
    (histogram,) = color_histograms(painted(*color))
    return replace(product(id_, shade=7), color=histogram)


def test_colours_tell_products_apart_once_five_photos_were_scanned() -> None:
    store = store_of(
        colored("red", 200, 30, 30), colored("green", 30, 160, 30), product("plain", shade=7)
    )
    search = ColorfulSearch(store)
    scan = Scanner(HashEmbedder(), search, FUSION, WEIGHTS).scan
    green = ScanQuery(photos=(painted(30, 150, 40),))
    first = scan(green, ALL).matches
    assert all(match.product.color_score is None for match in first)
    for color in ((90, 60, 60), (60, 60, 120), (150, 130, 60), (120, 60, 120)):
        scan(ScanQuery(photos=(painted(*color),)), ALL)
    matches = scan(green, ALL).matches
    assert matches[0].product.id == "green"
    assert "color" in matches[0].because
    assert matches[-1].product.id == "red"
    assert "color" not in matches[-1].because
    (plain,) = (match for match in matches if match.product.id == "plain")
    assert "color" not in plain.because


def test_colours_do_not_count_while_all_photos_are_alike() -> None:
    search = ColorfulSearch(store_of(colored("red", 200, 30, 30), colored("green", 30, 160, 30)))
    scan = Scanner(HashEmbedder(), search, FUSION, WEIGHTS).scan
    for _ in range(20):
        matches = scan(ScanQuery(photos=(painted(200, 30, 30),)), ALL).matches
    assert search.means(None, "color").count == 20
    assert all(match.product.color_score is None for match in matches)


def test_colours_that_were_not_calibrated_are_neither_compared_nor_learned() -> None:
    search = MemorySearch(store_of(colored("red", 200, 30, 30)))
    scan = Scanner(HashEmbedder(), search, FUSION, WEIGHTS).scan
    for _ in range(6):
        (match,) = scan(ScanQuery(photos=(painted(200, 30, 30),)), ALL).matches
    assert match.product.color_score is None
    assert search.means(None, "color").count == 0


def test_a_match_says_what_speaks_for_it_the_strongest_first(
    calibration: Calibration | None,
) -> None:
    others = [Candidate(id=str(n), image_score=0.1, text_score=0.1) for n in range(9)]
    both = Candidate(id="both", image_score=0.3, text_score=0.8, is_code=True)
    words = Candidate(id="words", image_score=0.1, text_score=0.6)
    found = {m.product.id: m for m in rank([both, words, *others], WEIGHTS, calibration).matches}
    assert found["both"].because == ("code", "words", "picture")
    assert found["words"].because == ("words",)
    assert found["1"].because == ()
