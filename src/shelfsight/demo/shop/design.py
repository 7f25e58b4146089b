"""What is drawn for a product: a few words, from which the picture follows."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["jpeg", "png", "webp", "cutout", "gif", "cmyk", "sideways"]
"""How a picture is kept; `cutout` is a PNG with a transparent ground, `gif` has a palette, and
`sideways` is a JPEG whose EXIF data say how to turn it upright."""

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
    """The kind of product, its pattern and palette by name, and the seed of small details."""

    kind: str
    pattern: str
    palette: str
    seed: int
    format: Format = "jpeg"

    @property
    def file_name(self) -> str:
        """The name of the picture's file; two designs of one shop never share it."""
        name = f"{self.kind}-{self.pattern}-{self.palette}".lower()
        return f"{name}.{SUFFIXES[self.format]}"
