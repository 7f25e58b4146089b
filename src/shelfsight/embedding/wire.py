"""What travels between a client and an embedding server: JSON over HTTP, one shape for both.

`POST /embed/image`, `POST /embed/text` and `GET /health`. A vector is a list of numbers or, where
`encoding_format` asks for it, the base64 of its little-endian float32.
"""

from typing import Any, Literal

import numpy as np
import pybase64
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PositiveInt

from shelfsight.records import PictureFormat, model_identity

IMAGE_PATH = "/embed/image"
TEXT_PATH = "/embed/text"
HEALTH_PATH = "/health"

Encoding = Literal["float", "base64"]


class ImageRequest(BaseModel):
    """One picture file in base64 (`image_data`), or several (`images`)."""

    image_data: str | None = None
    images: list[str] | None = None
    instruction: str | None = None
    encoding_format: Encoding = "float"


class TextRequest(BaseModel):
    """Texts; with an `instruction` they ask, without one they describe."""

    texts: list[str]
    instruction: str | None = None
    normalize: bool = True
    encoding_format: Encoding = "float"


class ItemError(BaseModel):
    """Why one item of a request has no vector; `kind` is a stable word."""

    index: int
    kind: str
    message: str = ""


class EmbedResponse(BaseModel):
    """A vector for each item in order, None where `errors` says why."""

    embeddings: list[list[float] | str | None]
    dimension: int | None = None
    model: str | None = None
    errors: list[ItemError] = []
    usage: dict[str, Any] | None = None
    processing_time_ms: float | None = None


class PictureInfo(BaseModel):
    """To what a picture is brought before the model sees it; see `records.PictureFormat`."""

    side: int = Field(gt=0, le=4096)
    resample: Literal["bilinear", "bicubic"]


class ModelInfo(BaseModel):
    """One model of a server; `picture` is the image model's."""

    name: str
    revision: str = ""
    dimension: PositiveInt
    picture: PictureInfo | None = None

    @property
    def identity(self) -> str:
        """As stored beside each vector: `name@revision`."""
        return model_identity(self.name, self.revision)

    @property
    def picture_format(self) -> PictureFormat | None:
        """The same as `picture`, for those who decode."""
        if self.picture is None:
            return None
        return PictureFormat(side=self.picture.side, resample=self.picture.resample)


class ModelsInfo(BaseModel):
    """The two models of a server."""

    image: ModelInfo
    text: ModelInfo


class Health(BaseModel):
    """What `GET /health` answers; `uptime` in seconds, `problems` of workers in words."""

    status: str = "healthy"
    models: ModelsInfo
    device: str | None = None
    uptime: float | None = None
    version: str | None = None
    problems: list[str] = []


def encode_vector(vector: NDArray[np.float32]) -> str:
    """Give the base64 of a vector's little-endian float32."""
    return pybase64.b64encode_as_string(vector.astype("<f4").tobytes())


def decode_vector(sent: list[float] | str) -> NDArray[np.float32]:
    """Read a vector in either form, as float32 (width,); a number too great becomes infinite.

    Raises:
        ValueError: it is no base64 of whole float32 numbers.
    """
    if isinstance(sent, str):
        return np.frombuffer(pybase64.b64decode(sent, validate=True), "<f4").astype(np.float32)
    with np.errstate(over="ignore"):
        return np.array(sent, np.float64).astype(np.float32)
