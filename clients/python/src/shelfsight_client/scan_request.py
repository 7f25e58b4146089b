"""Makes the body of a scan request from paths, bytes, addresses and options."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

from shelfsight_client.responses import Box

Photo = str | Path | bytes
"""A photo: the path of its file, the bytes of its file, or its http(s) address."""


class Filters(TypedDict, total=False):
    """Which products may be found; `updatedSince` is a time in ISO 8601, with its zone."""

    category: str
    options: dict[str, str]
    minPrice: float
    maxPrice: float
    skus: list[str]
    updatedSince: str
    owner: str


class Weights(TypedDict):
    """The weights of image and text in a score; only their ratio matters."""

    image: float
    text: float


class ScanOptions(TypedDict, total=False):
    """Options of a scan: how many matches, of which products, and how they are scored.

    Attributes:
        limit: the largest number of matches, 1 to 100; 10 by default.
        threshold: the least score of a match, in [-1, 1].
        group_by: "variant", or "product" for the best variant of each product.
        filters: which products may be found.
        weights: the weights of image and text.
        box: the part of the only photo that shows the thing; see `Shelfsight.boxes`.
        combine_images: whether all photos show one thing, and are searched for together.
    """

    limit: int
    threshold: float
    group_by: Literal["variant", "product"]
    filters: Filters
    weights: Weights
    box: Box
    combine_images: bool


class Image(TypedDict, total=False):
    """A photo as it is sent: one of the two."""

    url: str
    base64: str


_NAMES = {"group_by": "groupBy", "combine_images": "combineImages"}


def scan_body(
    photos: Photo | Sequence[Photo], text: str | None, options: ScanOptions
) -> dict[str, object]:
    """Return the JSON body of a scan.

    Raises:
        OSError: a file cannot be read.
    """
    listed = [photos] if isinstance(photos, Photo) else photos
    body: dict[str, object] = {_NAMES.get(name, name): value for name, value in options.items()}
    if listed:
        body["images"] = [_image(photo) for photo in listed]
    if text is not None:
        body["textQuery"] = text
    return body


def _image(photo: Photo) -> Image:
    if isinstance(photo, str) and photo.lower().startswith(("http://", "https://")):
        return {"url": photo}
    data = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
    return {"base64": b64encode(data).decode()}
