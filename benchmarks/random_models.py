"""Create models of SigLIP's and Qwen3's real sizes with random weights, to benchmark offline.

    pip install -r requirements/parity.txt
    python -m benchmarks.random_models FOLDER [--layers 4 | --full]

FOLDER can then be used as MODEL_DIR; its text model has the files of sentence-transformers, too.
SigLIP's image tower has its full 93 million parameters. Qwen3-Embedding-0.6B has its full widths
but by default only 4 of its 28 layers: with all of them (`--full`), a few cores take seconds per
text.
"""

import argparse
import json
from pathlib import Path

import torch
from tests.parity.conftest import qwen_vocabulary
from tests.parity.exported import QWEN_VOCABULARY, save_qwen3, save_siglip
from tokenizers.processors import TemplateProcessing
from transformers import Qwen3Config, Qwen3Model, SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipVisionModel

from shelfsight.models.table import QWEN3, SIGLIP

LAYERS = 4

ALL_LAYERS = 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--layers", type=int, default=LAYERS, help="layers of Qwen3 (default: 4)")
    size.add_argument(
        "--full", action="store_const", const=ALL_LAYERS, dest="layers", help="all 28 layers"
    )
    arguments = parser.parse_args()
    torch.manual_seed(1)
    with torch.no_grad():
        siglip(arguments.folder / SIGLIP.name)
        qwen3(arguments.folder / QWEN3.name, arguments.layers)


def siglip(folder: Path) -> None:
    """Save SigLIP base's image tower: 12 layers of width 768 over 196 patches."""
    model = SiglipVisionModel(SiglipVisionConfig(image_size=224, patch_size=16)).eval()
    path = folder / SIGLIP.source.graph
    save_siglip(model, torch.rand(2, 3, 224, 224), "pixel_values", path)


def qwen3(folder: Path, layers: int) -> None:
    """Save Qwen3-Embedding-0.6B as in its config.json, except for the number of layers."""
    config = Qwen3Config(
        vocab_size=QWEN_VOCABULARY,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    )
    model = Qwen3Model(config).eval()
    save_qwen3(model, folder / QWEN3.source.graph)
    model.save_pretrained(folder)
    tokenizer(folder)
    for_sentence_transformers(folder)


def tokenizer(folder: Path) -> None:
    backend = qwen_vocabulary()
    backend.post_processor = TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", QWEN3.end_token)]
    )
    backend.save(str(folder / "tokenizer.json"))
    config = {"pad_token": "<|endoftext|>", "model_max_length": QWEN3.max_tokens}
    # The class name of transformers 4, which version 5 still accepts.
    write(folder / "tokenizer_config.json", config | {"tokenizer_class": "PreTrainedTokenizerFast"})


def for_sentence_transformers(folder: Path) -> None:
    """Save settings for last-token pooling and normalisation, as Qwen3-Embedding's repository."""
    modules = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    descriptions = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(modules)
    ]
    pooling = {"word_embedding_dimension": QWEN3.width, "pooling_mode_lasttoken": True}
    pooling |= dict.fromkeys(("pooling_mode_cls_token", "pooling_mode_mean_tokens"), False)
    write(folder / "modules.json", descriptions)
    write(folder / "1_Pooling" / "config.json", pooling)
    write(folder / "sentence_bert_config.json", {"max_seq_length": QWEN3.max_tokens})
    (folder / "2_Normalize").mkdir(exist_ok=True)


def write(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
