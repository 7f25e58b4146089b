"""The design of a product's picture: a few words that determine every pixel of the picture."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["jpeg", "png", "webp", "cutout", "gif", "cmyk", "sideways"]
"""The file format of a picture.

`cutout` is a PNG with a transparent background, `gif` has a palette, and `sideways` is a JPEG whose
EXIF orientation says how to turn it upright.
"""

SUFFIXES: dict[Format, str] = {
    "jpeg": "jpg",
    "png": "png",
    "webp": "webp",
    "cutout": "png",
    "gif": "gif",
    "cmyk": "jpg",
    "sideways": "jpg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The kind of product, its pattern and palette by name, and the seed for small details."""

    kind: str
    pattern: str
    palette: str
    seed: int
    format: Format = "jpeg"

    @property
    def file_name(self) -> str:
        """The file name of the picture, unique among the designs of a shop."""
        name = f"{self.kind}-{self.pattern}-{self.palette}".lower()
        return f"{name}.{SUFFIXES[self.format]}"
