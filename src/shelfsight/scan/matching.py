"""The data classes of a scan: the query, its options, the candidates and the result."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple

from shelfsight.records import Modality, PhotoNote, Pixels, Vector, Weights

Photo = Sequence[Pixels]
"""The views of one photo, each uint8 of shape (side, side, 3), as the image model takes them."""

Confidence = Literal["high", "medium", "low"]
Action = Literal["show_single_match", "show_multiple_candidates", "fallback_to_manual"]
Because = Literal["code", "picture", "color", "confirmed_photo", "words"]
"""A kind of evidence: a SKU or barcode, the look of the picture, its colours, a photo that a person
has confirmed, or the words."""

GroupBy = Literal["variant", "product"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Limits which products a scan may find. A filter that is None or empty allows all products.

    Attributes:
        owner: only products of this owner (`"UserId"`).
        category: only products of this category.
        options: pairs of name and value that the product's `"Options"` must contain.
        min_price: the lowest price allowed, in the shop's currency.
        max_price: the highest price allowed, in the shop's currency.
        skus: only products with one of these SKUs.
        updated_since: only products updated at or after this time, which has a time zone.
    """

    owner: str | None = None
    category: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    skus: tuple[str, ...] = ()
    updated_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanQuery:
    """What to search for: photos of one thing, words that describe it, or both.

    `text` may also be a SKU or a barcode. `codes` are the texts of the barcodes and QR codes that
    were read in the photos.
    """

    photos: tuple[Photo, ...] = ()
    text: str | None = None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """The options of a scan.

    Attributes:
        limit: how many matches there are at most.
        filters: which products may be found.
        weights: how much the photo and the words count; None: as the scanner's settings say.
        threshold: the least score of a match; None: probability decides what is a match.
        group_by: "variant", or "product": only the best variant of each product.
        without: the SKUs of products that are left out, as if the catalogue lacked them.
    """

    limit: int = 10
    filters: Filters = field(default_factory=Filters)
    weights: Weights | None = None
    threshold: float | None = None
    group_by: GroupBy = "variant"
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What there is to find among the products that pass some filters.

    Attributes:
        products: whether any product passes.
        embedded: whether any of them has vectors.
        image: whether any of them has an image vector.
        text: whether any of them has a text vector.
    """

    products: bool
    embedded: bool
    image: bool
    text: bool


class WhyNothing(StrEnum):
    """The reason why a scan found nothing."""

    NO_PRODUCTS = "no_products"
    """No product passes the filters."""

    NOT_EMBEDDED = "not_embedded"
    """The products that pass the filters have no vectors."""

    NO_IMAGES = "no_images"
    """A photo was scanned, and none of these products has an image vector."""

    NO_TEXTS = "no_texts"
    """Words were scanned, and none of these products has a text vector."""

    UNLIKE = "unlike"
    """No product is similar enough."""


def why_nothing(coverage: Coverage, *, photo: bool, text: bool) -> WhyNothing:
    """Return the reason why a scan of a photo, of text or of both found nothing."""
    if not coverage.products:
        return WhyNothing.NO_PRODUCTS
    if not coverage.embedded:
        return WhyNothing.NOT_EMBEDDED
    if photo and not coverage.image:
        return WhyNothing.NO_IMAGES
    if text and not photo and not coverage.text:
        return WhyNothing.NO_TEXTS
    return WhyNothing.UNLIKE


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Means of a feature, image vectors (768,) or colour histograms (256,).

    `catalogue` is that of a catalogue, and `scans` that of `count` scanned photos.
    """

    catalogue: Vector
    scans: Vector | None = None
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """The means that are subtracted before image vectors (768,) or colours (256,) are compared.

    Pictures of the same shop are alike in many ways, and so are photos from phones. Subtracting the
    mean removes this likeness, and keeps what distinguishes products (GR-CLIP, arXiv 2507.19054).
    """

    catalogue: Vector
    scans: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoColor:
    """The colour histogram of a photo, (256,), and the means to subtract before comparing it."""

    photo: Vector
    centre: Centre


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """The vectors and words that the database search uses to find one thing.

    Candidates are the products whose vector in the column `column` is nearest to `vector`, the
    products that share words with `words`, and those whose SKU or barcode is one of `codes`. Each
    candidate's own vectors are then compared with `image` (768,) and `text` (1024,), and its
    colours with `color`. If `centre` is given, it is subtracted from the image vectors first. With
    `confirmed`, `image` is also compared with the photos that were confirmed to show a product,
    and these find candidates, too.
    """

    column: Modality
    vector: Vector
    image: Vector | None = None
    text: Vector | None = None
    words: str | None = None
    codes: tuple[str, ...] = ()
    centre: Centre | None = None
    color: PhotoColor | None = None
    confirmed: bool = False


class Candidate(NamedTuple):
    """A stored product, with the scores of its comparison with the query.

    It is a tuple because each scan makes about a hundred candidates, and tuples are fast to make.

    Attributes:
        id: the id of the product variant.
        product_id: the id of the product that the variant belongs to.
        title: the title.
        description: the description.
        sku: the SKU.
        price: the price, in the shop's currency.
        link: the address of its page in the shop, or its handle.
        image_url: the address of its first picture.
        image_score: cosine of the image vectors; None if they were not compared.
        text_score: cosine of the text vectors; None if they were not compared.
        word_score: share of the query's words that occur in the product's text, in [0, 1]; None if
            words were not compared.
        color_score: cosine of the colour histograms; None if they were not compared.
        confirmed: for each photo that was confirmed to show the product, a pair: its cosine with
            the query's photo, and 1 if it resembles the product, else 0. None if there is none.
        is_code: whether the query's text, or a code in its photo, is the product's SKU or barcode.
    """

    id: str
    product_id: str | None = None
    title: str = ""
    description: str = ""
    sku: str | None = None
    price: Decimal | None = None
    link: str | None = None
    image_url: str | None = None
    image_score: float | None = None
    text_score: float | None = None
    word_score: float | None = None
    color_score: float | None = None
    confirmed: Sequence[Sequence[float]] | None = None
    is_code: bool = False


class Match(NamedTuple):
    """A product that a scan found. `score` is in [-1, 1].

    `probability` is how probable it is that the query shows this product, in [0, 1]; None if the
    models were not calibrated. `confidence` is its level. `because` are the kinds of evidence
    that speak for it, the strongest first; there may be none.
    """

    product: Candidate
    score: float
    confidence: Confidence
    probability: float | None = None
    because: tuple[Because, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """The result of a scan: the matches, best first, and the recommended way to show them.

    `confidence` is that of the first match; `action` is the recommendation. `not_in_catalog` is how
    probable it is that the query shows no product of the catalogue, in [0, 1]; None if the models
    were not calibrated. `notes` is what is to be said of the photos, each note once. `vectors` are
    the image vectors of the photos, (768,) each.
    """

    matches: tuple[Match, ...]
    confidence: Confidence
    action: Action
    not_in_catalog: float | None = None
    notes: tuple[PhotoNote, ...] = ()
    vectors: tuple[Vector, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedScan:
    """The photos of one scan that were confirmed to show one product.

    Attributes:
        id: the id of the scan.
        owner: the owner whose products were scanned; None if those of all owners were.
        product: the id of the product variant.
        model: the identity of the image model.
        vectors: the image vector of each photo, (768,).
        resembles: whether the product's own picture, its colours or a code spoke for the product.
    """

    id: str
    owner: str | None
    product: str
    model: str
    vectors: Sequence[Vector]
    resembles: bool
