"""The models that run in this process, as rows of a table.

A new model is one row here and one reference vector in a test.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from shelfsight.embedding.wire import QUERY_INSTRUCTION
from shelfsight.errors import ModelError
from shelfsight.records import BRANCH, IMAGE_WIDTH, TEXT_WIDTH, PictureFormat, model_identity

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFiles:
    """Which files are needed of a repository of the Hugging Face hub.

    `graph` is the ONNX file or torch's weights, `others` what lies beside it, paths as in the
    repository.
    """

    repository: str
    graph: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchForm:
    """The files that torch reads of a model, and the class of transformers that reads them."""

    architecture: str
    revision: str
    hub: HubFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """A model that takes pixels (n, 3, side, side), each value `(0..255 - mean) / deviation`.

    `revision` is what is downloaded: a commit, or `BRANCH`. In a loaded model's row the commit that
    was downloaded, or a hash of the files, stands for `BRANCH` (`hub.with_revision_of_files`).
    `hub` is None for a model built from an installed package, `torch` for one that only ONNX
    Runtime runs. `width` is what the graph gives, at most `column`. `output` names the graph's
    output (n, width); None means its first.
    """

    name: str
    revision: str
    hub: HubFiles | None
    width: int
    picture: PictureFormat
    mean: float
    deviation: float
    output: str | None = None
    torch: TorchForm | None = None
    column: int = IMAGE_WIDTH

    @property
    def identity(self) -> str:
        """As stored with each vector; see `records.model_identity`."""
        return model_identity(self.name, self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpec:
    """A model that takes tokens (n, length); the fields not told here are as in `ImageSpec`.

    `end_token` is appended, and survives the cut to `max_tokens`. `pad_to` is a length to which
    every text is brought; None pads to the longest of a batch. `pooling` "last" takes the state
    of a text's last token; "graph" means that the graph pools. `query` is the template of a text
    that asks rather than describes. `shortest` is how few of its first numbers still are a vector
    (Matryoshka Representation Learning); None for a model that was not trained for it.
    """

    name: str
    revision: str
    hub: HubFiles | None
    width: int
    max_tokens: int
    pad_token: int
    pooling: Literal["last", "graph"]
    end_token: int | None = None
    pad_to: int | None = None
    query: str = "{text}"
    shortest: int | None = None
    output: str | None = None
    torch: TorchForm | None = None
    column: int = TEXT_WIDTH

    @property
    def identity(self) -> str:
        """As stored with each vector; see `records.model_identity`."""
        return model_identity(self.name, self.revision)


SIGLIP = ImageSpec(
    name="siglip-base-patch16-224",
    revision="294847d6b5fe86c91330269da98ce112d6c75e7e",
    hub=HubFiles(
        repository="Xenova/siglip-base-patch16-224",
        graph="onnx/vision_model.onnx",
    ),
    width=768,
    picture=PictureFormat(side=224, resample="bicubic"),
    mean=127.5,
    deviation=127.5,
    output="pooler_output",
    torch=TorchForm(
        architecture="SiglipVisionModel",
        revision="7fd15f0689c79d79e38b1c2e2e2370a7bf2761ed",
        hub=HubFiles(
            repository="google/siglip-base-patch16-224",
            graph="model.safetensors",
            others=("config.json",),
        ),
    ),
)

SIGLIP2 = ImageSpec(
    name="siglip2-base-patch16-224",
    revision=BRANCH,
    hub=HubFiles(
        repository="onnx-community/siglip2-base-patch16-224-ONNX",
        graph="onnx/vision_model.onnx",
    ),
    width=768,
    picture=PictureFormat(side=224, resample="bilinear"),
    mean=127.5,
    deviation=127.5,
    output="pooler_output",
    torch=TorchForm(
        architecture="SiglipVisionModel",
        revision="75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2",
        hub=HubFiles(
            repository="google/siglip2-base-patch16-224",
            graph="model.safetensors",
            others=("config.json",),
        ),
    ),
)

# Words in SigLIP's space of images: trained on 64 places without a mask, so the padding counts.
SIGLIP_TEXT = TextSpec(
    name=SIGLIP.name,
    revision=SIGLIP.revision,
    hub=HubFiles(
        repository="Xenova/siglip-base-patch16-224",
        graph="onnx/text_model.onnx",
        others=("tokenizer.json",),
    ),
    width=768,
    max_tokens=64,
    pad_to=64,
    pad_token=1,
    end_token=1,
    pooling="graph",
    output="pooler_output",
    torch=TorchForm(
        architecture="SiglipTextModel",
        revision="7fd15f0689c79d79e38b1c2e2e2370a7bf2761ed",
        hub=HubFiles(
            repository="google/siglip-base-patch16-224",
            graph="model.safetensors",
            others=("config.json", "tokenizer.json"),
        ),
    ),
    column=IMAGE_WIDTH,
)

QWEN3 = TextSpec(
    name="qwen3-embedding-0.6b",
    revision=BRANCH,
    hub=HubFiles(
        repository="Qdrant/Qwen3-Embedding-0.6B-onnx",
        graph="onnx/model.onnx",
        others=("onnx/model.onnx_data", "tokenizer.json"),
    ),
    width=1024,
    # It reads 32,768; the memory of attention grows with the square, and products are short.
    max_tokens=2048,
    pad_token=151_643,
    end_token=151_643,
    pooling="last",
    # The task the model was published with (Qwen3-Embedding's README); no blank after "Query:".
    query=f"Instruct: {QUERY_INSTRUCTION}\nQuery:{{text}}",
    shortest=32,  # "user-defined output dimensions ranging from 32 to 1024" (its README)
    torch=TorchForm(
        architecture="Qwen3Model",
        revision="b22da495047858cce924d27d76261e96be6febc0",
        hub=HubFiles(
            repository="Qwen/Qwen3-Embedding-0.6B",
            graph="model.safetensors",
            others=("config.json", "tokenizer.json"),
        ),
    ),
)

EFFICIENTNET_LITE0 = ImageSpec(
    name="efficientnet-lite0",
    revision="0.1.0",
    hub=None,
    width=768,
    picture=PictureFormat(side=224, resample="bicubic"),
    mean=127.0,
    deviation=128.0,
)

WORDLLAMA = TextSpec(
    name="wordllama-l2-supercat-256",
    revision="0.4.0.post1",
    hub=None,
    width=256,
    # A mean of words has no limit of its own; this one bounds the work.
    max_tokens=1024,
    pad_token=0,
    pooling="graph",
    shortest=64,  # trained at 64, 128, 256, 512 and 1024 (WordLlama's README)
)

ModelSpec = ImageSpec | TextSpec

PAIRS: dict[str, tuple[ImageSpec, TextSpec]] = {
    "siglip-qwen3": (SIGLIP, QWEN3),
    "lite": (EFFICIENTNET_LITE0, WORDLLAMA),
}

Row = TypeVar("Row", ImageSpec, TextSpec)


def torch_form(spec: ModelSpec) -> TorchForm:
    """Give what torch reads of a model.

    Raises:
        ModelError: only ONNX Runtime runs it.
    """
    if spec.torch is None:
        raise ModelError(f"BACKEND=torch: {spec.name} has no form for torch; use BACKEND=onnx")
    return spec.torch


def for_torch(spec: Row) -> Row:
    """Give the row with the files and the revision that torch reads.

    The vectors then count as another model's: that an export has the very weights of the original
    is likely, but has not been compared.

    Raises:
        ModelError: only ONNX Runtime runs it.
    """
    form = torch_form(spec)
    return replace(spec, revision=form.revision, hub=form.hub)
