"""Every contract between the parts, on one page.

`wiring` chooses the implementations; `testing.py` ships one of each that lives in memory;
`tests/contract` runs one suite over all of them.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from shelfsight.matching import Candidate, Filters, Means, Sought
from shelfsight.records import (
    Due,
    Embedded,
    Failure,
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


class ProductSearch(Protocol):
    """Finds stored products. Threads may use it at the same time if they may use its database."""

    def require(self, models: ModelPair) -> None:
        """Refuse queries of other models than those that made the stored vectors.

        Raises:
            SchemaError: the columns are missing or of other dimensions.
            ModelMismatchError: other models made the stored vectors.
        """
        ...

    def candidates(self, sought: Sought, filters: Filters, limit: int) -> list[Candidate]:
        """The `limit` products nearest to what is sought, and those that its words name.

        Never fewer than `limit` where so many pass the filters and have that vector.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        ...

    def is_empty(self, filters: Filters) -> bool:
        """Whether nothing is stored that passes the filters.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        ...

    def vectors(self, id_: str, filters: Filters) -> Sought | None:
        """What to look for to find products like this one; None where there is none to be seen.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        ...

    def means(self, owner: str | None) -> Means | None:
        """The means of an owner's catalogue and scans, or of all; None without a catalogue."""
        ...

    def learn(self, owner: str | None, image: Vector) -> None:
        """Let the vector of a scan's photo count in the mean of the scans."""
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
