"""Late fusion: products are ranked by what query and product share."""

import numpy as np
import pytest

from shelfsight.embedding.fusion import WeightedMean
from shelfsight.records import Candidate, Embedded, ModelPair, Product, Weights
from shelfsight.scan import Scanner, rank
from shelfsight.testing import MODELS, HashEmbedder, MemoryStore, direction

WEIGHTS = Weights()
FUSION = WeightedMean(WEIGHTS)


def candidate(id_: str, *, image: bytes | None = None, text: bytes | None = None) -> Candidate:
    return Candidate(
        id=id_,
        title=id_,
        sku=None,
        image=None if image is None else direction(image, 768),
        text=None if text is None else direction(text, 1024),
    )


def test_weights_count_over_what_query_and_product_share() -> None:
    both = candidate("both", image=b"a", text=b"b")
    image_only = candidate("image only", image=b"a")
    image, text = direction(b"a", 768), direction(b"other", 1024)
    found = {match.id: match for match in rank([both, image_only], image, text, WEIGHTS)}
    assert found["image only"].score == pytest.approx(1)
    assert found["image only"].text_score is None
    text_score = found["both"].text_score
    assert text_score is not None
    assert found["both"].score == pytest.approx(0.7 + 0.3 * text_score, abs=1e-5)


def test_a_photo_is_not_compared_with_texts() -> None:
    (match,) = rank([candidate("1", image=b"a", text=b"b")], direction(b"a", 768), None, WEIGHTS)
    assert match.score == pytest.approx(1)
    assert match.text_score is None


def test_with_an_image_weight_of_zero_a_photo_alone_still_ranks() -> None:
    weights = Weights(image=0, text=1)
    matches = rank(
        [candidate("far", image=b"x"), candidate("near", image=b"a")],
        direction(b"a", 768),
        None,
        weights,
    )
    assert [match.id for match in matches] == ["near", "far"]


def shop_where_some_lack_text(products: int) -> MemoryStore:
    """Every fifth product has no text; a complete one and one without text look half alike."""
    store = MemoryStore(FUSION)
    page = []
    for number in range(products):
        image = direction(b"image %d" % number, 768)
        text = None if number % 5 == 0 else direction(b"text %d" % number, 1024)
        page.append(
            Embedded(
                product=Product(id=f"{number:04}", source_hash="a:b"),
                image=image,
                text=text,
                combined=FUSION.combine(image, text),
            )
        )
    store.save(page, MODELS)
    return store


def test_products_without_text_win_no_more_often_than_their_share() -> None:
    store = shop_where_some_lack_text(200)
    random = np.random.default_rng(7)
    wins = 0
    for id_, row in store.rows.items():
        assert row.image is not None
        noisy = row.image + 0.06 * random.standard_normal(768).astype(np.float32)
        photo = noisy / np.linalg.norm(noisy)
        first = rank(store.nearest("image", photo, 200), photo, None, WEIGHTS)[0]
        assert first.id == id_
        wins += store.rows[first.id].text is None
    assert wins == 40


def test_a_scan_with_other_models_than_those_stored_is_refused() -> None:
    from shelfsight.errors import ModelMismatchError

    store = shop_where_some_lack_text(5)
    other = HashEmbedder(models=ModelPair(image="other@1", text="other@1"))
    with pytest.raises(ModelMismatchError):
        Scanner(other, store, FUSION, WEIGHTS).scan([np.zeros((8, 8, 3), np.uint8)], None)


def test_a_text_and_a_photo_together_find_what_both_fit() -> None:
    embedder = HashEmbedder()
    store = MemoryStore(FUSION)
    pixels = np.full((8, 8, 3), 200, np.uint8)
    (image,) = embedder.embed_images([pixels])
    (text,) = embedder.embed_texts(["a green mug"])
    twin = direction(b"a red mug", 1024)
    page = [
        Embedded(
            product=Product(id=id_), image=image, text=words, combined=FUSION.combine(image, words)
        )
        for id_, words in (("red", twin), ("green", text))
    ]
    store.save(page, MODELS)
    matches = Scanner(embedder, store, FUSION, WEIGHTS).scan([pixels], "a green mug")
    assert [match.id for match in matches] == ["green", "red"]
    assert matches[0].score == pytest.approx(1, abs=1e-5)
