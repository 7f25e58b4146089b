"""What a row of the table of models holds: the files of a model, its inputs, what was measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from shelfsight.errors import ModelError
from shelfsight.records import (
    IMAGE_WIDTH,
    TEXT_WIDTH,
    Modality,
    ModelPair,
    PictureFormat,
    model_identity,
)

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFiles:
    """The files of a model in a repository of the Hugging Face hub.

    `graph` is the ONNX file or torch's weights, `others` the files needed beside it. Paths are as
    in the repository.
    """

    repository: str
    graph: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedFile:
    """A file inside an installed package, identified by its content."""

    package: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """A model whose weights ship inside an installed package; it needs no download.

    `builder` is the function of `embedding.local.lite_graphs` that builds its ONNX graph,
    `tokenizer` the file with a text model's tokenizer.
    """

    builder: str
    tokenizer: PackagedFile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchForm:
    """The files of a model that torch reads, and the transformers class that reads them."""

    architecture: str
    revision: str
    hub: HubFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """An image model. It takes pixels (n, 3, side, side), each value `(0..255 - mean) / deviation`.

    Attributes:
        name: the first half of its identity.
        revision: what is downloaded: a commit, `records.BRANCH`, or the version of a package. In a
            loaded model's row the commit that was downloaded, or a hash of the files, stands for
            `BRANCH` (`embedding.local.hub.with_revision_of_files`).
        source: where its files come from.
        width: the width of the graph's output, at most `column`.
        picture: the size and filter to which pictures are brought.
        output: the name of the graph's output (n, width); None means its first.
        torch: the files for torch; None for a model that only ONNX Runtime runs.
        column: the width of the database column.
        is_centred: whether scans find more after the mean vector was subtracted, by measurement
            (`benchmarks/scan_quality.py`).
    """

    name: str
    revision: str
    source: HubFiles | PackagedModel
    width: int
    picture: PictureFormat
    mean: float
    deviation: float
    output: str | None = None
    torch: TorchForm | None = None
    column: int = IMAGE_WIDTH
    is_centred: bool = False

    @property
    def identity(self) -> str:
        """What is stored with each vector; see `records.model_identity`."""
        return model_identity(self.name, self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpec:
    """A text model. It takes tokens (n, length); fields not listed here are as in `ImageSpec`.

    Attributes:
        max_tokens: how many tokens of a text are embedded, the end token included.
        pad_token: fills up the shorter texts of a batch.
        pooling: "last" takes the state of a text's last token; "graph" means the graph pools.
        end_token: appended to each text, also to one that is cut to `max_tokens`.
        pad_to: a length to which every text is padded; None pads to the longest of a batch.
        query: the template of a text that asks rather than describes.
        shortest: the smallest number of leading values that are a valid vector (Matryoshka
            Representation Learning); None for a model that was not trained for it.
    """

    name: str
    revision: str
    source: HubFiles | PackagedModel
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
        """What is stored with each vector; see `records.model_identity`."""
        return model_identity(self.name, self.revision)


ModelSpec = ImageSpec | TextSpec

Spec = TypeVar("Spec", ImageSpec, TextSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What makes a match sure; `scan.confidence` says how they are used.

    `high` and `medium` are the smallest shares, in [0, 1], of a match of that confidence. Below the
    score `low` there is no match. A product whose score is better by `spread` weighs e times as
    much. `absent` is the score of the rival that stands for "not in the catalogue".
    """

    high: float
    medium: float
    low: float
    spread: float
    absent: float


UNMEASURED = Thresholds(high=math.inf, medium=0.5, low=0.0, spread=0.05, absent=0.0)
"""For pairs that nobody measured, SigLIP with Qwen3 among them: confidence is never high, medium
for what stands out clearly, and no match only for what has nothing in common with the query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An image model and a text model that are used together.

    `thresholds` are those of scans by these models, by kind of query, where they were measured.
    """

    image: ImageSpec
    text: TextSpec
    thresholds: Mapping[Modality, Thresholds] = field(default_factory=dict)

    @property
    def identities(self) -> ModelPair:
        """The identities of both models."""
        return ModelPair(image=self.image.identity, text=self.text.identity)


def torch_form(spec: ModelSpec) -> TorchForm:
    """Return what torch reads of a model.

    Raises:
        ModelError: only ONNX Runtime runs it.
    """
    if spec.torch is None:
        raise ModelError(f"BACKEND=torch: {spec.name} has no form for torch; use BACKEND=onnx")
    return spec.torch


def for_torch(spec: Spec) -> Spec:
    """Return the row with the files and the revision that torch reads.

    The vectors then count as another model's: an export likely has the very weights of the
    original, but that has not been compared.

    Raises:
        ModelError: only ONNX Runtime runs it.
    """
    form = torch_form(spec)
    return replace(spec, revision=form.revision, source=form.hub)
