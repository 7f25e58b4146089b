"""The contracts that both paths rely on: what embeds, and how two vectors become one.

`wiring` chooses the implementations; `testing/` ships one of each that lives in memory;
`tests/contract` runs one suite over all of them.
"""

from collections.abc import Sequence
from typing import Protocol

from shelfsight.records import Failure, ModelPair, PictureFormat, Pixels, Vector


class Embedder(Protocol):
    """Two models. Results keep the order; an item that cannot be embedded gives a `Failure`."""

    @property
    def models(self) -> ModelPair:
        """Which models these are, as stored beside each vector."""
        ...

    @property
    def picture_format(self) -> PictureFormat:
        """The size and filter to which pictures are brought before `embed_images`."""
        ...

    def embed_images(self, pictures: Sequence[Pixels]) -> list[Vector | Failure]:
        """Unit vectors (768,) of pictures of shape (side, side, 3)."""
        ...

    def embed_texts(self, texts: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        """Unit vectors (1024,) of texts; `query` says they ask rather than describe."""
        ...

    def close(self) -> None:
        """Let go of the models or the connection."""
        ...


class Fusion(Protocol):
    """How an image and a text vector become one."""

    @property
    def name(self) -> str:
        """The scheme and its weights, as stored beside each combined vector."""
        ...

    def combine(self, image: Vector | None, text: Vector | None) -> Vector | None:
        """A unit vector (768,) of an image (768,) and a text vector (1024,)."""
        ...
