"""What travels between the stages: a product, its pictures, its vectors, what went wrong."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""A float32 array of shape (width,) and unit length."""

Pixels = NDArray[np.uint8]
"""A uint8 array of shape (height, width, 3), RGB, upright, flattened on white."""

Modality = Literal["image", "text", "combined"]

IMAGE_WIDTH = 768
TEXT_WIDTH = 1024
COMBINED_WIDTH = 768


class Stage(StrEnum):
    """Where on its way a product failed."""

    SOURCE = "source"
    FETCH = "fetch"
    DECODE = "decode"
    IMAGE = "embed_image"
    TEXT = "embed_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong with one picture or text, as a value.

    `kind` is a stable word for machines (`http_404`, `timeout`, `not_an_image`, `too_large`, ...),
    `message` a line for people. `retryable` says whether trying again soon may help. `host` is
    where the picture should have come from, `host` or `host:port`.
    """

    stage: Stage
    kind: str
    message: str
    retryable: bool = False
    host: str | None = None


IMAGE_STAGES = frozenset({Stage.FETCH, Stage.DECODE, Stage.IMAGE})
TEXT_STAGES = frozenset({Stage.TEXT})

NO_CONTENT = Failure(
    stage=Stage.SOURCE, kind="no_content", message="neither title, description nor picture"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """The file that was behind an address.

    `content_hash` is the SHA-256 of its bytes, in hex; "" if not known. `etag` and `last_modified`
    are as the server gave them, at `source` if a redirect led there.
    """

    url: str
    content_hash: str
    etag: str | None = None
    last_modified: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One row of `"ProductVariants"` with the addresses of its pictures, in order.

    `source_hash` stands for the content the vectors depend on, `text:pictures`; it is computed in
    SQL. `is_new` says that no vectors of it were stored when it was read. An image or a text that
    is not needed is left alone: it has not changed, and its vector is stored, or what failed of it
    is not to be tried again yet. An image that is needed may be stored all the same, made of
    `files`: they are asked for again, and it is made anew if one is another by now.
    """

    id: str
    product_id: str | None = None
    owner_id: str | None = None
    title: str = ""
    description: str = ""
    image_urls: tuple[str, ...] = ()
    source_hash: str = ""
    is_new: bool = False
    needs_image: bool = True
    needs_text: bool = True
    files: tuple[PictureFile, ...] = ()

    @property
    def unneeded_stages(self) -> frozenset[Stage]:
        """The stages through which it does not go."""
        image = frozenset() if self.needs_image else IMAGE_STAGES
        return image if self.needs_text else image | TEXT_STAGES


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedProduct:
    """A product with up to three vectors: image (768,), text (1024,), combined (768,).

    Once it is stored it has those too that were not needed. `text_used` is the normalised text
    that was embedded; `picture` the file of the first picture used; `files` those of its image, if
    they were asked for.
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
        """What came of asking for the pictures of its stored image again, if they were."""
        if not self.product.files:
            return None
        if self.product.needs_image:
            return "failed" if self.image is None else "changed"
        return "failed" if any(f.stage in IMAGE_STAGES for f in self.failures) else "unchanged"

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of it was to be made, once its pictures had been asked for again."""
        return self.refetched is not None and not (
            self.product.needs_image or self.product.needs_text
        )

    @property
    def untried_stages(self) -> frozenset[Stage]:
        """The stages through which it did not go."""
        unneeded = self.product.unneeded_stages
        return unneeded if self.refetched is None else unneeded - IMAGE_STAGES

    @property
    def skipped(self) -> bool:
        """Whether there was nothing to embed: no text, no picture."""
        return NO_CONTENT in self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFormat:
    """How a model wants a picture: squashed to `side` x `side` pixels, by which filter."""

    side: int
    resample: Literal["bilinear", "bicubic"]


BRANCH = "main"
"""The branch of a model's repository that is downloaded where no commit is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPair:
    """The identities of the two models that made (or will make) vectors; see `model_identity`."""

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
    """How much image and text count in the combined vector; only their ratio matters."""

    image: float = 0.7
    text: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which products a run is about. Times are aware; None means no such limit.

    `products` are ids of variants or of their products, `variants` of variants only. `where` is a
    SQL condition over `"ProductVariants"`, run in a read-only transaction. `retry_failed` does not
    wait until what failed is due again; `only_failed` leaves out all but that: what failed in one
    of `kinds`, at one of `hosts`, where such are given. `refetch` adds those with a stored image,
    to see whether the pictures behind their addresses are others by now.
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
        """Whether what is done is chosen again: how far a run has come, only its ledger knows."""
        return self.refetch or not self.skip_existing


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """How many products a selection has due, and what content they have.

    Of `with_image` a vector is stored of whose pictures it is asked whether they are others now.
    """

    products: int
    with_picture: int
    with_text: int
    with_neither: int
    with_image: int = 0
