"""Makes tiny models of the real architectures with random weights, in the files of the hub."""

import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from torch import nn
from transformers import (
    Qwen3Config,
    Qwen3Model,
    SiglipConfig,
    SiglipModel,
    SiglipTextConfig,
    SiglipVisionConfig,
)
from transformers.cache_utils import DynamicCache
from transformers.models.siglip.modeling_siglip import SiglipTextModel, SiglipVisionModel

from shelfsight.models.specs import ImageSpec, TextSpec, in_precision

QWEN_VOCABULARY = 151_669
HEADS, HEAD_WIDTH, LAYERS = 2, 16, 2
BATCH = torch.export.Dim("batch", min=1, max=1024)
LENGTH = torch.export.Dim("length", min=1, max=4096)


class Pooled(nn.Module):
    """The two outputs that SigLIP's exports have, under their names."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        result = self.model(values)
        return result.last_hidden_state, result.pooler_output


class Plain(nn.Module):
    """Qwen3 as an encoder: ids and mask in, states out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids, attention_mask=attention_mask).last_hidden_state


class Cached(nn.Module):
    """Qwen3 as a decoder is exported: with positions and a cache of keys and values."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, *past):
        pairs = zip(past[::2], past[1::2], strict=True)
        cache = DynamicCache(pairs, config=self.model.config)
        return self.model(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=cache,
        ).last_hidden_state


def siglip_so400m_vision() -> SiglipVisionModel:
    """Make a model with the pixels, patches and width of SigLIP2 So400m, but a single layer."""
    torch.manual_seed(4)
    config = SiglipVisionConfig(
        hidden_size=1152,
        intermediate_size=96,
        num_hidden_layers=1,
        num_attention_heads=16,
        image_size=384,
        patch_size=14,
    )
    return randomised(SiglipVisionModel(config))


def siglip_vision() -> SiglipVisionModel:
    torch.manual_seed(1)
    config = SiglipVisionConfig(
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=224,
        patch_size=16,
    )
    return randomised(SiglipVisionModel(config))


def siglip_text() -> SiglipTextModel:
    torch.manual_seed(2)
    config = SiglipTextConfig(
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        vocab_size=300,
        max_position_embeddings=64,
        projection_size=48,
    )
    return randomised(SiglipTextModel(config))


def qwen3() -> Qwen3Model:
    torch.manual_seed(3)
    config = Qwen3Config(
        vocab_size=QWEN_VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=HEADS,
        head_dim=HEAD_WIDTH,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    )
    return randomised(Qwen3Model(config))


def siglip(vision: SiglipVisionModel, words: SiglipTextModel) -> SiglipModel:
    """Make the model of both towers, as the hub has it."""
    model = SiglipModel(SiglipConfig(text_config=words.config, vision_config=vision.config))
    model.vision_model, model.text_model = vision, words
    return model


def randomised(model: nn.Module) -> nn.Module:
    """Make the weights large enough that a wrong token, pixel or position shows in the vector."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
    return model.eval()


def save(module: nn.Module, example: tuple, shapes: tuple, names: tuple, path: Path) -> None:
    """Write `path` and, beside it, `path`_data with the weights, as Qwen3's export has them."""
    inputs, outputs = names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own insides
        program = torch.onnx.export(
            module.eval(),
            example,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(
        program.model_proto, path, save_as_external_data=True, location=f"{path.name}_data"
    )


def save_siglip(model: nn.Module, example: torch.Tensor, name: str, path: Path) -> None:
    names = ([name], ["last_hidden_state", "pooler_output"])
    save(Pooled(model), (example,), ({0: BATCH},), names, path)


def save_qwen3(model: Qwen3Model, path: Path) -> None:
    ids = torch.randint(0, 300, (2, 5))
    example = (ids, torch.ones_like(ids))
    names = (["input_ids", "attention_mask"], ["last_hidden_state"])
    save(Plain(model), example, ({0: BATCH, 1: LENGTH},) * 2, names, path)


def save_qwen3_with_cache(model: Qwen3Model, path: Path) -> None:
    ids, past = torch.randint(0, 300, (2, 5)), 3
    mask, places = torch.ones(2, 5 + past, dtype=torch.long), torch.arange(past, past + 5)
    cache = [torch.rand(2, HEADS, past, HEAD_WIDTH) for _ in range(2 * LAYERS)]
    shapes = (
        {0: BATCH, 1: LENGTH},
        {0: BATCH, 1: torch.export.Dim.AUTO},
        {0: BATCH, 1: LENGTH},
        tuple({0: BATCH, 2: torch.export.Dim.AUTO} for _ in cache),
    )
    kinds = [
        f"past_key_values.{layer}.{kind}" for layer in range(LAYERS) for kind in ("key", "value")
    ]
    names = (["input_ids", "attention_mask", "position_ids", *kinds], ["last_hidden_state"])
    save(Cached(model), (ids, mask, places.expand(2, 5), *cache), shapes, names, path)


def save_smaller(folder: Path, spec: ImageSpec | TextSpec) -> None:
    """Write the files of a model with 16 and 8 bits beside the original, unless they are there."""
    original, half, eighth = (
        folder / in_precision(spec, precision).source.graph
        for precision in ("fp32", "fp16", "int8")
    )
    if not half.exists():
        onnx.save(convert_float_to_float16(onnx.load(original), disable_shape_infer=True), half)
    if not eighth.exists():
        quantize_dynamic(
            original,
            eighth,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        )
