"""Local SigLIP vectors equal those of transformers."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from shelfsight.embedding.width import fit_width
from shelfsight.models.specs import ImageSpec
from shelfsight.models.table import SIGLIP, SIGLIP2, SIGLIP2_SO400M, SIGLIP_TEXT
from tests.parity import exported
from tests.parity.conftest import Reference, word_tokenizer

# google/siglip-base-patch16-224 and google/siglip2-base-patch16-224, preprocessor_config.json.
PROCESSORS = {
    SIGLIP.name: {"resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    SIGLIP2.name: {"resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
}
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def photograph(width: int, height: int) -> Image.Image:
    """Draw smooth waves with noise, so that the filter matters."""
    random = np.random.default_rng(width)
    rows, columns = np.mgrid[:height, :width]
    waves = [
        127 + 90 * np.sin(rows / a) * np.cos(columns / b) for a, b in ((9, 5), (3, 17), (6, 7))
    ]
    noise = random.normal(0, 30, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("spec", [SIGLIP, SIGLIP2], ids=lambda spec: spec.name)
def test_a_picture_gets_the_vector_of_transformers(
    spec: ImageSpec, reference: Reference, backend: ModuleType
):
    pictures = [photograph(640, 400), photograph(90, 130), photograph(224, 224)]
    processor = SiglipImageProcessorPil(size={"height": 224, "width": 224}, **PROCESSORS[spec.name])
    with torch.no_grad():
        pixels = processor(pictures, return_tensors="pt")["pixel_values"]
        expected = reference.vision(pixels).pooler_output.numpy()

    side, resample = spec.picture.side, FILTERS[spec.picture.resample]
    squashed = [np.asarray(picture.resize((side, side), resample)) for picture in pictures]
    model = backend.load_image(replace(spec, width=48), reference.model_dir)
    vectors = np.stack(model.embed(squashed))

    assert vectors.shape == (3, 768)
    assert cosines(vectors, expected).min() >= 0.9999
    # The other filter is another picture: were the test blind to it, it would prove nothing.
    other = FILTERS["bilinear" if spec.picture.resample == "bicubic" else "bicubic"]
    wrong = [np.asarray(picture.resize((side, side), other)) for picture in pictures[:2]]
    assert cosines(np.stack(model.embed(wrong)), expected[:2]).max() < 0.9999


def test_a_wide_model_gets_the_projected_vector_of_transformers(
    tmp_path: Path, backend: ModuleType
):
    theirs = exported.siglip_so400m_vision()
    folder = tmp_path / SIGLIP2_SO400M.name
    pixels = torch.rand(2, 3, 384, 384)
    exported.save_siglip(theirs, pixels, "pixel_values", folder / "onnx" / "vision_model.onnx")
    exported.siglip(theirs, exported.siglip_text()).save_pretrained(folder)
    pictures = [photograph(640, 400), photograph(384, 384)]
    processor = SiglipImageProcessorPil(
        size={"height": 384, "width": 384}, **PROCESSORS[SIGLIP2.name]
    )
    with torch.no_grad():
        values = processor(pictures, return_tensors="pt")["pixel_values"]
        wide = theirs(values).pooler_output.numpy()

    model = backend.load_image(SIGLIP2_SO400M, tmp_path)
    squashed = [np.asarray(picture.resize((384, 384), FILTERS["bilinear"])) for picture in pictures]
    vectors = np.stack(model.embed(squashed))

    assert wide.shape == (2, 1152)
    assert vectors.shape == (2, 768)
    assert cosines(vectors, fit_width(wide, 768)).min() >= 0.9999


def test_words_for_pictures_are_padded_to_64_without_a_mask(
    reference: Reference, backend: ModuleType
):
    texts = ["a red mug", "Blue SHIRT", "the dots " * 60]
    wordy = word_tokenizer()
    wordy.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=wordy, pad_token="</s>")

    def theirs(texts: list[str], padding: str) -> np.ndarray:
        batch = tokenizer(
            texts, padding=padding, truncation=True, max_length=64, return_tensors="pt"
        )
        with torch.no_grad():
            return reference.words(batch["input_ids"]).pooler_output.numpy()

    model = backend.load_text(replace(SIGLIP_TEXT, width=48), reference.model_dir)
    vectors = np.stack(model.embed(texts))

    assert vectors.shape == (3, 768)
    assert cosines(vectors, theirs(texts, "max_length")).min() >= 0.9999
    # Padded to the longest, as is usual, short texts get other vectors.
    assert cosines(vectors[:2], theirs(texts[:2], "longest")).max() < 0.99


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    assert not ours[:, theirs.shape[1] :].any()
    return (ours[:, : theirs.shape[1]] * theirs).sum(axis=1)
