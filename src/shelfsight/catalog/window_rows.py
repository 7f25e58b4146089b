"""The statements that read one window of the catalogue, and the rows that they return."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from shelfsight.backfill.picture_identity import stored_address, without_parameters
from shelfsight.catalog.content import Content
from shelfsight.records import Need, PictureFile, Product, Stored, TextField, VectorCounts


class WindowRow(Protocol):
    """The fields that every row of a window has."""

    @property
    def size(self) -> int:
        """The number of products in the window, whether they are due or not."""
        ...

    @property
    def last(self) -> str | None:
        """The last product id in the window; None if the window has no products."""
        ...


class CountRow(NamedTuple):
    """The number of products of a window that are due, by the content they have; see `Due`."""

    size: int
    last: str | None
    products: int
    with_picture: int
    with_text: int
    with_neither: int
    with_image: int
    lost_image: int
    lost_text: int
    lost_combined: int

    @property
    def lost(self) -> VectorCounts:
        """The stored vectors whose products have no such content any more."""
        return VectorCounts(image=self.lost_image, text=self.lost_text, combined=self.lost_combined)


class PartitionRow(NamedTuple):
    """The ranges that end in a window. `ids` are the due products; `[]` if they are many."""

    size: int
    last: str | None
    products: int
    range_ends: list[str]
    ids: list[str]
    lost_image: int
    lost_text: int
    lost_combined: int

    @property
    def lost(self) -> VectorCounts:
        """The stored vectors whose products have no such content any more."""
        return VectorCounts(image=self.lost_image, text=self.lost_text, combined=self.lost_combined)


class ProductRow(NamedTuple):
    """A product that is due. If a window has no due product, its only row has the `id` None."""

    size: int
    last: str | None
    id: str | None
    product_id: str | None
    owner: str | None
    title: str
    description: str
    category: str
    options: str
    brand: str
    has_text: bool
    urls: list[str]
    hash: str
    is_new: bool
    image_need: str
    text_need: str
    stored_image: str
    stored_text: str
    files: Mapping[str, Mapping[str, str]] | None


Row = TypeVar("Row", bound=WindowRow)


@dataclass(frozen=True, slots=True)
class WindowQuery(Generic[Row]):
    """A named statement about a window of the catalogue, and the class of its rows."""

    name: str
    row: type[Row]


COUNT = WindowQuery("count", CountRow)
PARTITION = WindowQuery("partition", PartitionRow)
PRODUCTS = WindowQuery("window", ProductRow)


def product_of(
    row: ProductRow, id_: str, content: Content, text_fields: tuple[TextField, ...]
) -> Product:
    """Return the product that a row describes. `id_` is the row's id, which must not be None.

    `text_fields` are the parts that its text was read from.
    """
    return Product(
        id=id_,
        product_id=row.product_id,
        owner_id=row.owner,
        title=row.title,
        description=row.description,
        category=row.category,
        options=row.options,
        brand=row.brand,
        text_fields=text_fields,
        language=content.language,
        has_text=row.has_text,
        image_urls=tuple(row.urls),
        source_hash=row.hash,
        is_new=row.is_new,
        image_need=Need(row.image_need),
        text_need=Need(row.text_need),
        stored_image=Stored(row.stored_image),
        stored_text=Stored(row.stored_text),
        files=tuple(_files(row, content.pattern)),
    )


def _files(row: ProductRow, parameters: str) -> Iterator[PictureFile]:
    """Yield the stored files, each under the address that its picture has now.

    If that is not the same to the letter, its server is not asked with the stored validators.
    """
    now = {without_parameters(stored_address(url), parameters): url for url in row.urls}
    for stored, fields in (row.files or {}).items():
        url = now.get(without_parameters(stored, parameters), stored)
        file = _file(url, fields)
        is_same = stored == stored_address(url)
        yield file if is_same else PictureFile(url=url, content_hash=file.content_hash)


def _file(url: str, fields: Mapping[str, str]) -> PictureFile:
    return PictureFile(
        url=url,
        content_hash=fields["hash"],
        etag=fields.get("etag"),
        last_modified=fields.get("modified"),
        source=fields.get("source"),
    )
