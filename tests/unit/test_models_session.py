"""A model that is not what its row says is refused; an item it cannot take fails alone."""

from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from shelfsight.embedding import lite_graphs
from shelfsight.embedding.image_model import ImageModel
from shelfsight.embedding.models import EFFICIENTNET_LITE0, PAIRS, SIGLIP, WORDLLAMA, ModelSpec
from shelfsight.embedding.text_model import TextModel
from shelfsight.errors import ModelError
from shelfsight.records import Failure
from shelfsight.settings import Settings

WORDS = {"a": 0, "red": 1, "mug": 2, "broken": 3, "unknown": 4}
TABLE = np.eye(4, 3, dtype=np.float32) + 0.1
TABLE[3] = np.nan


def words_model(**changes) -> TextModel:
    """Make a model of four words; the fifth, `unknown`, has no row, which its graph refuses."""
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="unknown"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    spec = replace(WORDLLAMA, width=3, **changes)
    return TextModel(spec, lite_graphs.token_means(TABLE), tokenizer)


def test_a_text_the_model_refuses_fails_alone():
    texts = ["red mug", "mug", "unknown mug", "a mug", "red", "mug unknown", "a red mug"]
    results = words_model().embed(texts)
    kinds = [result.kind if isinstance(result, Failure) else "" for result in results]
    assert kinds == ["", "", "model_error", "", "", "model_error", ""]
    alone = [words_model().embed([text])[0] for text in texts]
    np.testing.assert_allclose(results[6], alone[6], atol=1e-6)


def test_a_vector_that_is_not_finite_fails_alone():
    good, bad = words_model().embed(["red mug", "broken mug"])
    assert isinstance(bad, Failure)
    assert bad.kind == "non_finite"
    assert bad.stage == "embed_text"
    assert np.isfinite(good).all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 4}, "(1, 4)"),
        ({"output": "states"}, "states"),
        ({"pooling": "last"}, "shape"),
    ],
)
def test_a_graph_that_is_not_what_the_row_says_is_refused(changes: dict, told: str):
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="unknown"))
    spec = replace(WORDLLAMA, width=3)
    with pytest.raises(ModelError, match="wordllama") as caught:
        TextModel(replace(spec, **changes), lite_graphs.token_means(TABLE), tokenizer)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelError, match="siglip-base-patch16-224 cannot be loaded"):
        ImageModel(SIGLIP, path)


def test_a_text_model_for_an_image_row_is_refused():
    with pytest.raises(ModelError, match="efficientnet-lite0"):
        ImageModel(EFFICIENTNET_LITE0, lite_graphs.token_means(TABLE))


def test_the_pairs_are_those_that_can_be_set():
    assert set(PAIRS) == set(Settings.model_fields["models"].annotation.__args__)


@pytest.mark.parametrize("spec", [spec for pair in PAIRS.values() for spec in pair])
def test_every_model_fits_its_column(spec: ModelSpec):
    assert spec.width <= spec.column
