"""The fields of the table of models: files, inputs, and what was measured."""

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from shelfsight.errors import ModelError
from shelfsight.models.calibration import Calibration
from shelfsight.records import (
    IMAGE_WIDTH,
    TEXT_WIDTH,
    ModelPair,
    PictureFormat,
    model_identity,
)

Device = Literal["cpu", "cuda"]

Precision = Literal["fp32", "fp16", "int8"]
"""The number format of a model's weights: floats of 32 or 16 bits, or integers of 8 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFiles:
    """The files of a model in a repository of the Hugging Face hub.

    `graph` is the ONNX file or the weights for torch, and `others` are further files that are
    needed. Paths are relative to the repository. `size` is about how many bytes all of them have;
    None if that is not known.
    """

    repository: str
    graph: str
    others: tuple[str, ...] = ()
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedFile:
    """A file inside an installed package. Its content is checked by its SHA-256.

    `extra` is the extra of Shelfsight that installs the package.
    """

    package: str
    path: str
    sha256: str
    extra: str = "lite"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """A model whose weights are part of an installed package, so nothing is downloaded.

    `builder` names the function of `embedding.local.lite_graphs` that builds the ONNX graph.
    `tokenizer` is the file with a text model's tokenizer.
    """

    builder: str
    tokenizer: PackagedFile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchForm:
    """The files from which torch reads a model, and the transformers class that reads them."""

    architecture: str
    revision: str
    hub: HubFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallForm:
    """The ONNX files of a model in a smaller number format, as somebody has published them."""

    precision: Precision
    revision: str
    hub: HubFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What people should know of a model before they choose it.

    `licence` is that of the weights, as an SPDX identifier. `figures` says how good the model is,
    with the source of the numbers; "" if no source was read.
    """

    licence: str
    figures: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """An image model. It takes pixels (n, 3, side, side), each value `(0..255 - mean) / deviation`.

    Attributes:
        name: the first half of the model's identity.
        revision: the version of the files: a commit, `records.BRANCH`, or the version of a package.
            When a model is loaded from `BRANCH`, its row gets the commit that was downloaded, or a
            hash of the files (`embedding.local.hub.with_revision_of_files`).
        source: where the model's files come from.
        width: the width of the graph's output. A wider one than `column` is projected.
        picture: the size to which pictures are resized, and the filter that is used.
        output: the name of the graph's output (n, width); None means the first output.
        torch: the files for torch; None for a model that only ONNX Runtime runs.
        small: its files in smaller number formats; see `in_precision`.
        folder: its folder in MODEL_DIR; "" if that has the model's name.
        column: the width of the database column.
        is_centred: whether scans find more if the mean vector is subtracted first; measured with
            `benchmarks/scan_quality.py`.
        calibration: how probable a match is, by its image and by its colours; None if nobody has
            measured it.
        facts: the licence and what is known of the model.
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
    small: tuple[SmallForm, ...] = ()
    folder: str = ""
    column: int = IMAGE_WIDTH
    is_centred: bool = False
    calibration: Calibration | None = None
    facts: Facts | None = None

    @property
    def identity(self) -> str:
        """The identity that is stored with each vector; see `records.model_identity`."""
        return model_identity(self.name, self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpec:
    """A text model. It takes tokens (n, length). Fields not listed here are as in `ImageSpec`.

    Attributes:
        max_tokens: how many tokens of a text are embedded at most, including the end token.
        pad_token: the token that is added to shorter texts, so that a batch has equal lengths.
        pooling: "last": the vector is the state of a text's last token. "graph": the graph returns
            a vector for each text.
        end_token: the token that is added to the end of each text, even of a text that was cut.
        pad_to: the length to which every text is padded; None means that of the longest text in a
            batch.
        query: the template of a search query; texts that describe products have no template.
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
    small: tuple[SmallForm, ...] = ()
    folder: str = ""
    column: int = TEXT_WIDTH
    calibration: Calibration | None = None
    facts: Facts | None = None

    @property
    def identity(self) -> str:
        """The identity that is stored with each vector; see `records.model_identity`."""
        return model_identity(self.name, self.revision)


ModelSpec = ImageSpec | TextSpec

Spec = TypeVar("Spec", ImageSpec, TextSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An image model and a text model that are used together.

    `use` says what the pair is good for.
    """

    image: ImageSpec
    text: TextSpec
    use: str = ""

    @property
    def calibration(self) -> Calibration | None:
        """How probable a match is; None unless both models were measured.

        Each modality was fitted by itself, so a text model keeps its constants beside any image
        model.
        """
        parts = (self.image.calibration, self.text.calibration)
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return Calibration(
            evidence={kind: one for part in known for kind, one in part.evidence.items()},
            source=" and ".join(dict.fromkeys(part.source for part in known)),
        )

    @property
    def identities(self) -> ModelPair:
        """The identities of both models."""
        return ModelPair(image=self.image.identity, text=self.text.identity)


def in_precision(spec: Spec, precision: Precision) -> Spec:
    """Return a model's row with the files in a number format.

    Vectors of another format are those of another model: its name ends with the format, and nothing
    that was measured of the original is kept.

    Raises:
        ValueError: nobody has published this model in this format; the message says in which.
    """
    if precision == "fp32":
        return spec
    for form in spec.small:
        if form.precision == precision:
            return replace(
                spec,
                name=f"{spec.name}-{precision}",
                revision=form.revision,
                source=form.hub,
                torch=None,
                small=(),
                folder=spec.name,
                calibration=None,
            )
    if not spec.small:
        raise ValueError(f"{spec.name} comes in one form; leave PRECISION at fp32")
    formats = ", ".join(["fp32", *(form.precision for form in spec.small)])
    raise ValueError(f"{spec.name} comes in {formats}, not in {precision}")


def torch_form(spec: ModelSpec) -> TorchForm:
    """Return the files of a model for torch, and the class that reads them.

    Raises:
        ModelError: only ONNX Runtime runs this model.
    """
    if spec.torch is None:
        raise ModelError(f"BACKEND=torch: {spec.name} has no form for torch; use BACKEND=onnx")
    return spec.torch


def for_torch(spec: Spec) -> Spec:
    """Return a model's row with the files and the revision that torch reads.

    The vectors then count as those of another model. An ONNX export most likely has the same
    weights as the original, but that was not checked.

    Raises:
        ModelError: only ONNX Runtime runs this model.
    """
    form = torch_form(spec)
    return replace(spec, revision=form.revision, source=form.hub)
