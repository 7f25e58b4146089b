"""The JSON that a client and an embedding server exchange over HTTP.

The endpoints are `POST /embed/image`, `POST /embed/text` and `GET /health`. A vector is a list of
numbers or, if `encoding_format` is "base64", the base64 of its little-endian float32 values.
"""

from typing import Annotated, Any, Literal

import numpy as np
import pybase64
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    Field,
    PositiveInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from shelfsight.records import PictureFormat, model_identity

IMAGE_PATH = "/embed/image"
TEXT_PATH = "/embed/text"
HEALTH_PATH = "/health"

Encoding = Literal["float", "base64"]


class ImageRequest(BaseModel):
    """A request to embed a picture file in base64 (`image_data`), or several (`images`)."""

    image_data: str | None = None
    images: list[str] | None = None
    instruction: str | None = None
    encoding_format: Encoding = "float"


class TextRequest(BaseModel):
    """A request to embed texts. They are queries if there is an `instruction`, else documents."""

    texts: list[str]
    instruction: str | None = None
    normalize: bool = True
    encoding_format: Encoding = "float"


class ItemError(BaseModel):
    """The reason why an item of a request has no vector. `kind` is a stable word for programs."""

    index: int
    kind: str
    message: str = ""


def _none_if_malformed(
    value: object, read: ValidatorFunctionWrapHandler
) -> list[float] | str | None:
    try:
        vector: list[float] | str | None = read(value)
    except ValidationError:
        return None
    return vector


SentVector = Annotated[list[float] | str | None, WrapValidator(_none_if_malformed)]
"""A vector as numbers or in base64. None is none; so is anything else that a server sends, so that
one item cannot spoil the response."""


class EmbedResponse(BaseModel):
    """The response: a vector for each item, in order; None for an item that `errors` explains."""

    embeddings: list[SentVector]
    dimension: int | None = None
    model: str | None = None
    errors: list[ItemError] = []
    usage: dict[str, Any] | None = None
    processing_time_ms: float | None = None


class PictureInfo(BaseModel):
    """The size and filter of the image model's pictures; see `records.PictureFormat`."""

    side: int = Field(gt=0, le=4096)
    resample: Literal["bilinear", "bicubic"]


class ModelInfo(BaseModel):
    """A model of a server. Only the image model has a `picture`."""

    name: str
    revision: str = ""
    dimension: PositiveInt
    picture: PictureInfo | None = None

    @property
    def identity(self) -> str:
        """The model's identity, which is stored with each vector; see `records.model_identity`."""
        return model_identity(self.name, self.revision)

    @property
    def picture_format(self) -> PictureFormat | None:
        """`picture` as the record that the decoding of pictures takes."""
        if self.picture is None:
            return None
        return PictureFormat(side=self.picture.side, resample=self.picture.resample)


class ModelsInfo(BaseModel):
    """The image model and the text model of a server."""

    image: ModelInfo
    text: ModelInfo


class Health(BaseModel):
    """The response of `GET /health`. `uptime` is in seconds; `problems` are of worker processes."""

    status: str = "healthy"
    models: ModelsInfo
    device: str | None = None
    uptime: float | None = None
    version: str | None = None
    problems: list[str] = []


def encode_vector(vector: NDArray[np.float32]) -> str:
    """Encode a vector as the base64 of its little-endian float32 values."""
    return pybase64.b64encode_as_string(vector.astype("<f4").tobytes())


def decode_vector(sent: list[float] | str) -> NDArray[np.float32]:
    """Decode a vector that was sent as numbers or as base64, to float32 (width,).

    Numbers that are too large for float32 become infinite.

    Raises:
        ValueError: the text is not the base64 of whole float32 values.
    """
    if isinstance(sent, str):
        return np.frombuffer(pybase64.b64decode(sent, validate=True), "<f4").astype(np.float32)
    with np.errstate(over="ignore"):
        return np.array(sent, np.float64).astype(np.float32)
