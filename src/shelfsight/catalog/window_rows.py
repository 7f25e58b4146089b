"""The statements that read one window of the catalogue, and the rows that they return."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from shelfsight.records import Need, PictureFile, Product


class WindowRow(Protocol):
    """What every row of a window has."""

    @property
    def size(self) -> int:
        """How many products the window covers, due or not."""
        ...

    @property
    def last(self) -> str | None:
        """The last of their ids; None if there are none."""
        ...


class CountRow(NamedTuple):
    """How many products of a window are due, and what content they have; see `Due`."""

    size: int
    last: str | None
    products: int
    with_picture: int
    with_text: int
    with_neither: int
    with_image: int


class PartitionRow(NamedTuple):
    """The ranges that end in a window; `ids` are those that are due, `[]` if there are many."""

    size: int
    last: str | None
    products: int
    range_ends: list[str]
    ids: list[str]


class ProductRow(NamedTuple):
    """A product that is due; `id` is None in the only row of a window in which none is."""

    size: int
    last: str | None
    id: str | None
    product_id: str | None
    owner: str | None
    title: str
    description: str
    urls: list[str]
    hash: str
    is_new: bool
    image_need: str
    text_need: str
    files: Mapping[str, Mapping[str, str]] | None


Row = TypeVar("Row", bound=WindowRow)


@dataclass(frozen=True, slots=True)
class WindowQuery(Generic[Row]):
    """A named statement about one window, and the class of its rows."""

    name: str
    row: type[Row]


COUNT = WindowQuery("count", CountRow)
PARTITION = WindowQuery("partition", PartitionRow)
PRODUCTS = WindowQuery("window", ProductRow)


def product_of(row: ProductRow, id_: str) -> Product:
    """The product of a row, whose id the caller has found not to be None."""
    return Product(
        id=id_,
        product_id=row.product_id,
        owner_id=row.owner,
        title=row.title,
        description=row.description,
        image_urls=tuple(row.urls),
        source_hash=row.hash,
        is_new=row.is_new,
        image_need=Need(row.image_need),
        text_need=Need(row.text_need),
        files=tuple(_file(url, fields) for url, fields in (row.files or {}).items()),
    )


def _file(url: str, fields: Mapping[str, str]) -> PictureFile:
    return PictureFile(
        url=url,
        content_hash=fields["hash"],
        etag=fields.get("etag"),
        last_modified=fields.get("modified"),
        source=fields.get("source"),
    )
