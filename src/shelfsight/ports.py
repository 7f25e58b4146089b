"""The interfaces that both backfills and scans need: the embedder, and the fusion of two vectors.

`wiring` chooses their implementations. `testing/` has an implementation of each interface in
memory. `tests/contract` runs the same tests on all implementations.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from shelfsight.records import Failure, ModelPair, ModelPicture, PictureFormat, Vector

Advanced = Callable[[int], None]
"""Called with how many more items of a call are embedded, from any thread."""


def ignore(_count: int) -> None:
    """Do nothing: the `Advanced` of callers that show no progress."""


class Embedder(Protocol):
    """Embeds pictures and texts with two models.

    Results are in the order of the items. The result of an item that cannot be embedded is a
    `Failure`. `advanced` is called while a call is in progress, since a page may take minutes.
    """

    @property
    def models(self) -> ModelPair:
        """The identities of the two models, as stored with each vector."""
        ...

    @property
    def picture_format(self) -> PictureFormat:
        """The size and filter with which pictures must be resized before `embed_images`.

        If it keeps the shape, `embed_images` takes picture files, too.
        """
        ...

    def embed_images(
        self, pictures: Sequence[ModelPicture], *, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed pictures of shape (side, side, 3) as unit vectors of shape (768,).

        If the format keeps the shape, pictures are (height, width, 3), or bytes of a picture file.
        """
        ...

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed texts as unit vectors of shape (1024,).

        Set `query` if the texts are search queries instead of texts of products.
        """
        ...

    def close(self) -> None:
        """Release the models, or close the connection to the embedding server."""
        ...


class Fusion(Protocol):
    """Combines an image vector and a text vector into one vector."""

    @property
    def name(self) -> str:
        """The fusion method and its weights, as stored with each combined vector."""
        ...

    def combine(self, image: Vector | None, text: Vector | None) -> Vector | None:
        """Combine an image vector (768,) and a text vector (1024,) into a unit vector (768,)."""
        ...
