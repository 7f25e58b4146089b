"""Every contract between the parts, on one page.

`wiring` chooses the implementations; `testing.py` ships one of each that lives in memory;
`tests/contract` runs one suite over all of them.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from shelfsight.records import (
    Candidate,
    Due,
    Embedded,
    Failure,
    Modality,
    ModelPair,
    Pictured,
    PictureFormat,
    Pixels,
    Product,
    Selection,
    Vector,
)


class Catalog(Protocol):
    """The shop's products."""

    def due(self, selection: Selection) -> Due:
        """Count what `pages` would give."""
        ...

    def pages(self, selection: Selection, size: int) -> Iterator[list[Product]]:
        """The products that are due, in order of their ids, `size` a page, the last shorter."""
        ...


class ImageFetcher(Protocol):
    """From addresses to pixels. Never raises for a picture: failures are values."""

    def fetch(self, page: Sequence[Product]) -> list[Pictured]:
        """The products of a page, in order, with their pictures decoded and resized."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...


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


class VectorStore(Protocol):
    """Where vectors and failures are kept."""

    def require(self, models: ModelPair, *, replace: bool = False) -> None:
        """Refuse, before the first write, vectors that would not fit those that are stored.

        Raises:
            SchemaError: the columns are missing or of other dimensions.
            ModelMismatchError: other models made the stored vectors, and not `replace`.
        """
        ...

    def save(self, page: list[Embedded], models: ModelPair) -> list[Embedded]:
        """Store a page in one transaction, and hand it on. Saving it again changes nothing.

        A stored vector that could not be made anew stays while its content is the same.
        """
        ...

    def recombine(self) -> int:
        """Bring combined vectors made with other weights up to date; gives how many."""
        ...

    def nearest(self, modality: Modality, query: Vector, limit: int) -> list[Candidate]:
        """The products whose vector of that kind is nearest to `query`, nearest first."""
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
