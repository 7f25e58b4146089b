"""The data classes that the stages pass on: products, pictures, vectors and failures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    """A float32 array of shape (width,) and unit length."""

    Pixels = NDArray[np.uint8]
    """A uint8 array of shape (height, width, 3): RGB, upright, transparency flattened on white."""

    ModelPicture = Pixels | bytes
    """A picture for a model: its pixels, or a file that an embedding server decodes."""
else:  # commands that need no vectors start faster without numpy
    Vector = Pixels = ModelPicture = Any


def pixels_of(picture: ModelPicture) -> Pixels:
    """Return a picture's pixels, for a model in this process.

    Raises:
        TypeError: it is a file, as only embedding servers take it.
    """
    if isinstance(picture, bytes):
        raise TypeError("models in this process take pixels, not picture files")
    return picture


PhotoNote = Literal["truncated"]
"""What is said of a photo that was read: `truncated` lacks its last bytes."""

Modality = Literal["image", "text", "combined"]

ContentModality = Literal["image", "text"]
"""The two kinds of content; the combined vector is made from their vectors."""

TextField = Literal["title", "description", "category", "options", "brand"]
"""A part of a product's text."""

TEXT_FIELDS: tuple[TextField, ...] = ("title", "description", "category", "options", "brand")
"""All parts that a text may have, in their order. New sets of vectors have them all."""

FIRST_TEXT_FIELDS: tuple[TextField, ...] = ("title", "description")
"""The parts of the texts whose stored row does not name them, as those of the first releases."""

DEFAULT_LANGUAGE = "en"
"""The language that is taken of texts in several languages, if no other is asked for."""

IMAGE_WIDTH = 768
TEXT_WIDTH = 1024
COMBINED_WIDTH = 768
COLOR_WIDTH = 256

Feature = Literal["image", "color"]
"""What a picture is described by: the vector of the image model, or its colour histogram."""

EvidenceKind = Literal["image", "text", "color"]
"""What a scan compares. Colours are those of the photo, so they count as the image does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorCounts:
    """A number of vectors of each kind."""

    image: int = 0
    text: int = 0
    combined: int = 0

    def __add__(self, other: "VectorCounts") -> "VectorCounts":
        return VectorCounts(
            image=self.image + other.image,
            text=self.text + other.text,
            combined=self.combined + other.combined,
        )

    @property
    def is_any(self) -> bool:
        """Whether there is any vector."""
        return self != VectorCounts()

    def beside(self, other: "VectorCounts") -> list[tuple[Modality, int, int]]:
        """Return each kind with its number here and its number in `other`."""
        return [
            ("image", self.image, other.image),
            ("text", self.text, other.text),
            ("combined", self.combined, other.combined),
        ]


NO_VECTORS = VectorCounts()


class Stage(StrEnum):
    """The stage of the backfill at which a product failed."""

    SOURCE = "source"
    FETCH = "fetch"
    DECODE = "decode"
    IMAGE = "embed_image"
    TEXT = "embed_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The reason why one picture or text could not be processed.

    `kind` is a stable word for programs (`http_404`, `timeout`, `not_an_image`, `too_large`, ...),
    and `message` is a line for people. `retryable` says whether another attempt soon may succeed.
    `host` is the host of the picture's address, as `host` or `host:port`. `settings` names the
    settings that caused the failure, each with a hash of its value (see `Settings.fingerprints`).
    """

    stage: Stage
    kind: str
    message: str
    retryable: bool = False
    host: str | None = None
    settings: str = ""


IMAGE_STAGES = frozenset({Stage.FETCH, Stage.DECODE, Stage.IMAGE})
TEXT_STAGES = frozenset({Stage.TEXT})

STAGES: Mapping[ContentModality, frozenset[Stage]] = {"image": IMAGE_STAGES, "text": TEXT_STAGES}
"""The stages at which making an image vector or a text vector can fail."""


class Stored(StrEnum):
    """What is stored of a vector of a product."""

    NONE = "none"
    """There is no vector."""

    CURRENT = "current"
    """The vector was made from the product's present content, by the models in use."""

    STALE = "stale"
    """The vector was made from other content or by another model. If no new vector can be made, it
    is taken away."""


class Need(StrEnum):
    """What must be done about a stored vector; the rule is in `postgres/need.sql`.

    To check a stored image vector, the servers are asked for its pictures again. Then CHECK becomes
    MAKE or KEEP.
    """

    MAKE = "make"
    """Embed the content and replace whatever is stored."""

    KEEP = "keep"
    """Keep the stored vector, or the stored failure whose next attempt is not due yet."""

    CHECK = "check"
    """Keep the stored vector, unless its content turns out to have changed."""


NO_CONTENT = Failure(
    stage=Stage.SOURCE, kind="no_content", message="neither title, description nor picture"
)


EMPTY_TEXT = Failure(stage=Stage.TEXT, kind="empty_text", message="there is no text to embed")
"""The title and the description have no words, for example only HTML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """The file at the address of a picture.

    `content_hash` is the SHA-256 of the file's bytes in hexadecimal, or "" if it is not known.
    `etag` and `last_modified` are HTTP headers that the server sent with the file. `source` is the
    address that a redirect led to, or None without a redirect.
    """

    url: str
    content_hash: str
    etag: str | None = None
    last_modified: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One row of `"ProductVariants"`, with the addresses of its pictures in order.

    `source_hash` identifies the content that the vectors depend on, as `text:pictures`; it is
    computed in SQL. `text_fields` are the parts that make up the text. Those that do not are empty,
    and so are those that the catalogue lacks. `options` is JSON, or text. `language` is taken of
    texts in several. `has_text` is true if one of them has more than blanks, even if no words are
    left without HTML. `is_new` is true if no vectors were stored when the product was read;
    `stored_image` and `stored_text` tell what was stored then. `files` are the picture files that
    the stored image vector was made from. They are given only for an image vector that is to be
    checked, and stay there after the check.
    """

    id: str
    product_id: str | None = None
    owner_id: str | None = None
    title: str = ""
    description: str = ""
    category: str = ""
    options: str = ""
    brand: str = ""
    language: str = DEFAULT_LANGUAGE
    text_fields: tuple[TextField, ...] = FIRST_TEXT_FIELDS
    has_text: bool = False
    image_urls: tuple[str, ...] = ()
    source_hash: str = ""
    is_new: bool = False
    image_need: Need = Need.MAKE
    text_need: Need = Need.MAKE
    stored_image: Stored = Stored.NONE
    stored_text: Stored = Stored.NONE
    files: tuple[PictureFile, ...] = ()

    @property
    def kept_stages(self) -> frozenset[Stage]:
        """The stages that the product skips, because its image or text vector is kept."""
        image = IMAGE_STAGES if self.image_need is Need.KEEP else frozenset()
        return image | TEXT_STAGES if self.text_need is Need.KEEP else image


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Picture:
    """A decoded picture, ready for the image model.

    Only pages that wait to be embedded refer to it, so its pixels are freed when the last of these
    pages is embedded. `sent` is the file for an embedding server that takes original pictures; None
    for models that take the pixels.
    """

    file: PictureFile
    pixels: Pixels
    sent: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownPicture:
    """A picture with content that was embedded earlier in this run, so that no pixels are needed.

    `result` is the vector (768,) of the picture, or the reason why it has none. `color` is its
    colour histogram (256,).
    """

    file: PictureFile
    result: Vector | Failure
    color: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedProduct:
    """A product with its decoded pictures, and the failures of the other pictures.

    There are no pictures if the stored image vector is kept. In that case `kept` has the files that
    the vector was made from, if they have not changed.
    """

    product: Product
    pictures: tuple[Picture | KnownPicture, ...] = ()
    failures: tuple[Failure, ...] = ()
    kept: tuple[PictureFile, ...] = ()


Refetched = Literal["unchanged", "changed", "failed"]
"""The result of requesting the pictures of a stored image vector again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedProduct:
    """A product with up to three vectors: image (768,), text (1024,), combined (768,).

    `color` is the colour histogram (256,) of the pictures of the image vector. After the product
    was stored, it also has the vectors that were kept, but not a histogram that was kept.
    `text_used` is the normalised text that was embedded. `picture` is the file of the first picture
    that was used. `files` are the picture files of the image vector, if they were requested.
    """

    product: Product
    image: Vector | None = None
    text: Vector | None = None
    combined: Vector | None = None
    color: Vector | None = None
    text_used: str = ""
    picture: PictureFile | None = None
    failures: tuple[Failure, ...] = ()
    files: tuple[PictureFile, ...] = ()

    @property
    def refetched(self) -> Refetched | None:
        """The result of checking the stored image vector; None if it was not checked."""
        if not self.product.files:
            return None
        if self.product.image_need is not Need.KEEP:
            return "failed" if self.image is None else "changed"
        return "failed" if any(f.stage in IMAGE_STAGES for f in self.failures) else "unchanged"

    @property
    def is_untouched(self) -> bool:
        """Whether the stored image vector was checked and no vector had to be made."""
        product = self.product
        return bool(product.files) and product.image_need is product.text_need is Need.KEEP

    @property
    def untried_stages(self) -> frozenset[Stage]:
        """The stages that were skipped because a vector was kept without a check."""
        kept = self.product.kept_stages
        return kept - IMAGE_STAGES if self.product.files else kept

    @property
    def lost(self) -> VectorCounts:
        """The stored vectors that are taken away when the product is stored."""
        image, text = self.product.stored_image, self.product.stored_text
        loses_image = image is Stored.STALE and self.image is None
        loses_text = text is Stored.STALE and self.text is None
        keeps_none = self.combined is None and Stored.CURRENT not in {image, text}
        loses_combined = keeps_none and (loses_image or loses_text)
        return VectorCounts(
            image=int(loses_image), text=int(loses_text), combined=int(loses_combined)
        )

    @property
    def skipped(self) -> bool:
        """Whether the product has nothing to embed: neither text nor picture."""
        return NO_CONTENT in self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFormat:
    """The pictures that a model takes: `side` x `side` pixels, resized by this filter.

    The aspect ratio of a picture is not kept, unless `keeps_shape`: then `side` is the longest side
    of a view of a photo, smaller pictures are not enlarged, and the pictures of products come as
    files. An embedding server that resizes pictures itself takes them so.
    """

    side: int
    resample: Literal["bilinear", "bicubic"]
    keeps_shape: bool = False

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and the height to which a picture of this size is resized."""
        if not self.keeps_shape:
            return self.side, self.side
        factor = min(1.0, self.side / max(width, height))
        return max(1, round(width * factor)), max(1, round(height * factor))


BRANCH = "main"
"""The branch of a model's repository that is downloaded if no commit is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPair:
    """The identities of the two models that make vectors; see `model_identity`."""

    image: str
    text: str

    def accepts(self, stored: "ModelPair") -> bool:
        """Return whether stored vectors with these identities count as made by this pair."""
        return stored.image in stored_identities(self.image) and (
            stored.text in stored_identities(self.text)
        )


def model_identity(name: str, revision: str) -> str:
    """Return `name@revision`, which is stored with each vector; only the name without a revision.

    A revision is a commit of the model's repository, a hash of the model's files, both (see
    `revision_of_files`), or the version of a package.
    """
    return f"{name}@{revision}" if revision else name


def model_name(identity: str) -> str:
    """Return the name of the model from an identity, without the revision."""
    return identity.partition("@")[0]


def variant_of(identity: str, variant: str) -> str:
    """Return the identity of a model whose vectors differ from those of `identity`.

    It is `name+variant@revision`. Its vectors do not mix with others, since the name is another.
    """
    name, at, revision = identity.partition("@")
    return f"{name}+{variant}{at}{revision}"


_OF_FILES = re.compile(r"(?<=@[0-9a-f]{40})-[0-9a-f]{16}$")


def revision_of_files(commit: str, digits: str) -> str:
    """Return the revision of a user's own files in the place of a commit's, by their hash."""
    return f"{commit}-{digits[:16]}"


def stored_identities(identity: str) -> list[str]:
    """Return the identities under which vectors of this model may be stored.

    These are the given identity, that of its commit without the hash of a user's own files, and
    `name@main`. Older versions of shelfsight stored the commit alone for such files, and
    `name@main` for models downloaded from the branch `main`. Vectors that were stored so count as
    made by this model, so that an upgrade does not refuse them.
    """
    without_files = _OF_FILES.sub("", identity)
    return [*dict.fromkeys((identity, without_files, model_identity(model_name(identity), BRANCH)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weights of image and text; only their ratio matters."""

    image: float = 0.7
    text: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogChoice:
    """Which catalogue to read.

    Attributes:
        name: a preset, such as "medusa", or the path of a file with your own SELECTs.
        options: the options of the preset, by name.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Selects the products of a run. A product must meet all conditions; None means no condition.

    Times need a time zone.

    Attributes:
        skip_existing: leave out products whose vectors are up to date.
        refetch: also request the pictures of stored image vectors again, to see if they changed.
        retry_failed: try all failures again now, even those whose next attempt is not due yet.
        only_failed: only products that failed.
        kinds: with `only_failed`, only failures of these kinds.
        hosts: with `only_failed`, only failures at these picture hosts.
        since: only products created at or after this time.
        until: only products created before this time.
        updated_since: only products updated at or after this time.
        owner: only products of this owner (`"UserId"`).
        products: only variants with one of these ids, or variants of a product with one of them.
        variants: only variants with one of these ids.
        skus: only variants with one of these SKUs.
        missing: only products that lack this vector but have content for it.
        where: a SQL condition over `"ProductVariants"`, run in a read-only transaction.
    """

    skip_existing: bool = True
    refetch: bool = False
    retry_failed: bool = False
    only_failed: bool = False
    kinds: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    updated_since: datetime | None = None
    owner: str | None = None
    products: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    missing: Modality | None = None
    where: str | None = None

    @property
    def stays_due(self) -> bool:
        """Whether products may still match once they are done; then only the ledger shows progress.

        Products that failed again still match if failures are asked for.
        """
        asks_for_failures = self.retry_failed or self.only_failed or self.missing is not None
        return self.refetch or asks_for_failures or not self.skip_existing


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """How many products of a selection are due, and which content they have.

    `with_image` counts the products whose stored image vector only needs a check of its pictures.
    `selected` counts all products of the selection, due or not. `lost` counts the stored vectors
    that a run would take away, because their products have no such content any more.
    """

    products: int
    with_picture: int
    with_text: int
    with_neither: int
    with_image: int = 0
    selected: int = 0
    lost: VectorCounts = NO_VECTORS
