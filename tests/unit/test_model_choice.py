"""What `MODELS` names, how it is listed, and what is known of each model."""

import json
from contextlib import closing
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.cli.models_command import models as models_command
from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.errors import SettingsError
from shelfsight.models.choice import (
    all_models,
    image_models,
    known_pair,
    name_of_pair,
    pair_of,
    text_models,
    with_precision,
)
from shelfsight.models.specs import Pair, Precision
from shelfsight.models.table import PAIRS, QWEN3, SIGLIP, WORDLLAMA
from shelfsight.records import model_identity
from shelfsight.scan.confidence import built_in
from shelfsight.settings import load

LITE = PAIRS["lite"]


@given(st.sampled_from(sorted(image_models())), st.sampled_from(sorted(text_models())))
def test_any_two_models_can_be_mixed_and_are_recognised_by_what_they_stored(
    image: str, text: str
) -> None:
    pair = pair_of(f"image:{image},text:{text}")
    assert (pair.image.name, pair.text.name) == (image, text)
    assert pair_of(f"image:{image}, text:{text}") == pair
    assert known_pair(pair.identities) == pair
    called = name_of_pair(
        model_identity(image, "some-commit"), model_identity(text, "another-commit")
    )
    assert called is not None
    assert pair_of(called).identities == pair.identities


@given(st.text())
def test_what_names_no_models_is_refused_with_what_is_allowed(chosen: str) -> None:
    with pytest.raises(ValueError, match="image:NAME,text:NAME"):
        pair_of(chosen)


def test_a_mixed_pair_is_calibrated_if_both_models_were_measured() -> None:
    measured = Pair(image=PAIRS["lite0"].image, text=WORDLLAMA)
    assert built_in(measured.identities) == PAIRS["lite0"].calibration
    assert LITE.calibration is not None
    assert set(LITE.calibration.evidence) == {"image", "text", "color"}
    assert LITE.calibration.source == "202 labelled photos of groceries"
    for pair in (Pair(image=LITE.image, text=QWEN3), Pair(image=SIGLIP, text=WORDLLAMA)):
        assert built_in(pair.identities) is None  # the first backfill calibrates it


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_pair_in_another_number_format_is_a_pair_of_other_models(precision: Precision) -> None:
    chosen = load({"models": "siglip-qwen3", "precision": precision}).chosen_models
    assert chosen == with_precision("siglip-qwen3", precision) == f"siglip-qwen3-{precision}"
    original, pair = PAIRS["siglip-qwen3"], pair_of(chosen)
    assert not pair.identities.accepts(original.identities)
    assert pair.image.picture == original.image.picture
    assert name_of_pair(pair.identities.image, pair.identities.text) == chosen
    assert known_pair(pair.identities) == replace(pair, use="")
    mixed = f"image:{SIGLIP.name}-{precision},text:{QWEN3.name}"
    assert pair_of(mixed) == Pair(image=pair.image, text=original.text)


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("lite", "efficientnet-lite1-lite2-int8 comes in one form; leave PRECISION"),
        ("large-qwen3", "siglip2-so400m-patch14-384 comes in one form; leave PRECISION"),
        (f"image:{SIGLIP.name},text:{QWEN3.name}", "PRECISION is for a pair"),
    ],
)
def test_a_format_that_nobody_has_published_is_refused(models: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load({"models": models, "precision": "int8"})


def test_every_row_says_its_licence_and_every_pair_its_use() -> None:
    for pair in PAIRS.values():
        assert pair.use
        for spec in (pair.image, pair.text):
            assert spec.facts is not None
            assert spec.facts.licence in {"Apache-2.0", "MIT"}


def test_the_list_names_all_pairs_and_models_and_needs_no_database() -> None:
    said = CliRunner().invoke(models_command, ["--list"])
    assert said.exit_code == 0, said.output
    assert "  text: qwen3-embedding-0.6b (1024 values)\n" in said.output
    assert "siglip2-so400m-patch14-384 (1152 values, projected to 768)\n" in said.output
    assert "licence: Apache-2.0; download: 2.8 GB\n" in said.output
    assert "licence: Apache-2.0, MIT; download: none\n" in said.output
    listed = json.loads(CliRunner().invoke(models_command, ["--list", "--json"]).stdout)
    assert [row["name"] for row in listed["pairs"]] == list(PAIRS)
    rows = {row["name"]: row for row in listed["models"]}
    assert set(rows) == {spec.name for spec in all_models()}
    assert rows[QWEN3.name]["precisions"] == ["fp32", "fp16", "int8"]
    assert rows[WORDLLAMA.name]["precisions"] == ["fp32"]
    assert rows[QWEN3.name]["backends"]["onnx"]["files"] == [
        "onnx/model.onnx",
        "onnx/model.onnx_data",
        "tokenizer.json",
    ]
    assert rows[SIGLIP.name]["backends"]["torch"]["revision"] == SIGLIP.torch.revision
    assert CliRunner().invoke(models_command, ["--list", "--switch"]).exit_code == 2


def test_mixed_models_are_loaded() -> None:
    mixed = f"image:{PAIRS['lite0'].image.name},text:{WORDLLAMA.name}"
    with closing(open_pair(mixed, model_dir=None)) as embedder:
        assert embedder.models == PAIRS["lite0"].identities
        assert [len(vector) for vector in embedder.embed_texts(["a mug"])] == [1024]
