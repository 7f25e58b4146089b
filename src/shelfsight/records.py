"""The records that travel between the stages: products, pictures, vectors, failures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""A float32 array of shape (width,) and unit length."""

Pixels = NDArray[np.uint8]
"""A uint8 array of shape (height, width, 3): RGB, upright, transparency flattened on white."""

Modality = Literal["image", "text", "combined"]

ContentModality = Literal["image", "text"]
"""A modality of a product's own content; the combined vector is made of these two."""

IMAGE_WIDTH = 768
TEXT_WIDTH = 1024
COMBINED_WIDTH = 768


class Stage(StrEnum):
    """The stage at which a product failed."""

    SOURCE = "source"
    FETCH = "fetch"
    DECODE = "decode"
    IMAGE = "embed_image"
    TEXT = "embed_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong with one picture or text, as a value.

    `kind` is a stable word for programs (`http_404`, `timeout`, `not_an_image`, `too_large`, ...),
    `message` a line for people. `retryable` says whether another try soon may help. `host` is where
    the picture should have come from, as `host` or `host:port`.
    """

    stage: Stage
    kind: str
    message: str
    retryable: bool = False
    host: str | None = None


IMAGE_STAGES = frozenset({Stage.FETCH, Stage.DECODE, Stage.IMAGE})
TEXT_STAGES = frozenset({Stage.TEXT})

STAGES: Mapping[ContentModality, frozenset[Stage]] = {"image": IMAGE_STAGES, "text": TEXT_STAGES}
"""The stages in which a vector of each modality can fail."""


class Need(StrEnum):
    """What is to be done about one stored vector; `postgres/need.sql` holds the rule.

    A stored image is checked by asking the servers for its pictures again; the fetcher turns the
    answer into MAKE or KEEP.
    """

    MAKE = "make"
    """Embed the content and replace whatever is stored."""

    KEEP = "keep"
    """Leave the stored vector, or the recorded failure that waits for its next attempt."""

    CHECK = "check"
    """Keep the stored vector unless it turns out to be of other content."""


NO_CONTENT = Failure(
    stage=Stage.SOURCE, kind="no_content", message="neither title, description nor picture"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """The file behind an address.

    `content_hash` is the SHA-256 of its bytes, in hex; "" if it is not known. `etag` and
    `last_modified` are what the server sent, at the address `source` if a redirect led there.
    """

    url: str
    content_hash: str
    etag: str | None = None
    last_modified: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One row of `"ProductVariants"` with the addresses of its pictures, in order.

    `source_hash` identifies the content that the vectors depend on, as `text:pictures`; it is
    computed in SQL. `is_new` says that no vectors were stored when the product was read. `files`
    are the picture files that the stored image was made of. They are given only for an image that
    is to be checked, and remain there after the check.
    """

    id: str
    product_id: str | None = None
    owner_id: str | None = None
    title: str = ""
    description: str = ""
    image_urls: tuple[str, ...] = ()
    source_hash: str = ""
    is_new: bool = False
    image_need: Need = Need.MAKE
    text_need: Need = Need.MAKE
    files: tuple[PictureFile, ...] = ()

    @property
    def kept_stages(self) -> frozenset[Stage]:
        """The stages of the modalities that are kept, through which the product does not go."""
        image = IMAGE_STAGES if self.image_need is Need.KEEP else frozenset()
        return image | TEXT_STAGES if self.text_need is Need.KEEP else image


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Picture:
    """A decoded picture, ready for the image model.

    Only the pages that wait to be embedded hold it: its pixels are freed with the last of them.
    """

    file: PictureFile
    pixels: Pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownPicture:
    """A picture whose content was embedded earlier in the run, so no pixels are needed.

    `result` is its vector (768,), or why it has none.
    """

    file: PictureFile
    result: Vector | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedProduct:
    """A product with its decoded pictures, and what went wrong with the others.

    It has none where its stored image stays: `kept` are the files that this is made of, if they
    are as they were.
    """

    product: Product
    pictures: tuple[Picture | KnownPicture, ...] = ()
    failures: tuple[Failure, ...] = ()
    kept: tuple[PictureFile, ...] = ()


Refetched = Literal["unchanged", "changed", "failed"]
"""What came of asking for the pictures of a stored image again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedProduct:
    """A product with up to three vectors: image (768,), text (1024,), combined (768,).

    Once it is stored it also has the vectors that were kept. `text_used` is the normalised text
    that was embedded; `picture` is the file of the first picture used. `files` are those of its
    image, if they were asked for.
    """

    product: Product
    image: Vector | None = None
    text: Vector | None = None
    combined: Vector | None = None
    text_used: str = ""
    picture: PictureFile | None = None
    failures: tuple[Failure, ...] = ()
    files: tuple[PictureFile, ...] = ()

    @property
    def refetched(self) -> Refetched | None:
        """The result of checking the stored image against its pictures; None if it was not."""
        if not self.product.files:
            return None
        if self.product.image_need is not Need.KEEP:
            return "failed" if self.image is None else "changed"
        return "failed" if any(f.stage in IMAGE_STAGES for f in self.failures) else "unchanged"

    @property
    def is_untouched(self) -> bool:
        """Whether the stored image was checked and no vector had to be made."""
        product = self.product
        return bool(product.files) and product.image_need is product.text_need is Need.KEEP

    @property
    def untried_stages(self) -> frozenset[Stage]:
        """The stages that were not tried: those of what is kept, unless it was checked."""
        kept = self.product.kept_stages
        return kept - IMAGE_STAGES if self.product.files else kept

    @property
    def skipped(self) -> bool:
        """Whether there was nothing to embed: no text, no picture."""
        return NO_CONTENT in self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFormat:
    """How a model wants a picture: squashed to `side` x `side` pixels, by this filter."""

    side: int
    resample: Literal["bilinear", "bicubic"]


BRANCH = "main"
"""The branch of a model's repository that is downloaded where no commit is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPair:
    """The identities of the two models that made (or will make) a vector; see `model_identity`."""

    image: str
    text: str

    def accepts(self, stored: "ModelPair") -> bool:
        """Whether vectors stored under these identities count as made by this pair."""
        return stored.image in stored_identities(self.image) and (
            stored.text in stored_identities(self.text)
        )


def model_identity(name: str, revision: str) -> str:
    """Return `name@revision`, the identity stored with each vector; the name alone without one.

    A revision is a commit of the model's repository, a hash of its files or a package's version.
    """
    return f"{name}@{revision}" if revision else name


def model_name(identity: str) -> str:
    """Return the name in an identity, without the revision."""
    return identity.partition("@")[0]


def stored_identities(identity: str) -> list[str]:
    """Return the identities under which vectors of this model may be stored.

    Besides its own that is `name@main`: older versions stored a model that was downloaded from a
    branch under the name of the branch. Which commit that was is not known, so such vectors count
    as those of any commit of the model, and an upgrade does not refuse them.
    """
    return [identity, model_identity(model_name(identity), BRANCH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much image and text count; only their ratio matters."""

    image: float = 0.7
    text: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which products a run is about. Times have a time zone; None means no such limit.

    Attributes:
        skip_existing: leave out products whose vectors are up to date.
        refetch: also ask for the pictures of stored images again, to see whether they changed.
        retry_failed: try failures again now, not only once they are due.
        only_failed: only products that failed, in one of `kinds` and at one of `hosts` if given.
        since, until: products created in this time, the end excluded.
        updated_since: products updated at or after this time.
        owner: products of this owner (`"UserId"`).
        products: ids of variants or of their products.
        variants: ids of variants.
        skus: SKUs of variants.
        missing: products that could have this vector and do not.
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
        """Whether products stay selected once done; only the ledger then knows the progress."""
        return self.refetch or not self.skip_existing


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """How many products of a selection are due, and what content they have.

    `with_image` counts stored images whose pictures would only be asked for again.
    """

    products: int
    with_picture: int
    with_text: int
    with_neither: int
    with_image: int = 0
