"""The contracts that both paths rely on: the embedder, and the fusion of two vectors into one.

`wiring` chooses the implementations. `testing/` ships one of each that lives in memory, and
`tests/contract` runs one suite over all of them.
"""

from collections.abc import Sequence
from typing import Protocol

from shelfsight.records import Failure, ModelPair, PictureFormat, Pixels, Vector


class Embedder(Protocol):
    """Two models. Results keep the order of the items; an item that fails gives a `Failure`."""

    @property
    def models(self) -> ModelPair:
        """The names of the two models, as stored with each vector."""
        ...

    @property
    def picture_format(self) -> PictureFormat:
        """The size and filter to which pictures are resized before `embed_images`."""
        ...

    def embed_images(self, pictures: Sequence[Pixels]) -> list[Vector | Failure]:
        """Embed pictures of shape (side, side, 3) as unit vectors of shape (768,)."""
        ...

    def embed_texts(self, texts: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        """Embed texts as unit vectors of shape (1024,); `query` marks what is searched for."""
        ...

    def close(self) -> None:
        """Release the models or the connection."""
        ...


class Fusion(Protocol):
    """Combines an image and a text vector into one."""

    @property
    def name(self) -> str:
        """The scheme and its weights, as stored with each combined vector."""
        ...

    def combine(self, image: Vector | None, text: Vector | None) -> Vector | None:
        """Combine an image vector (768,) and a text vector (1024,) into a unit vector (768,)."""
        ...
